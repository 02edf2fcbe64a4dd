import { z } from 'zod';
import type { Connectors } from '../../src/config/load.ts';
import type { ConnectorDefinition } from '../../src/connector/connector.ts';
import { duration, secret, size } from '../../src/runtime/schema.ts';

const config = z
  .strictObject({
    kind: z.literal('stub').describe('This connector.'),
    connection: z.string().min(1).describe('A URL.'),
    password: secret().describe('A secret.').optional(),
    port: z.int().min(1).max(65_535).describe('A number.').default(5432),
    buffer: size().describe('A size.').prefault('64MiB'),
    timeout: duration().describe('A duration whose default is in milliseconds.').default(90_000),
    tls: z.boolean().describe('A switch.').default(false),
  })
  .transform(({ kind, connection, password, port, buffer, timeout, tls }) => ({
    kind,
    connection,
    password,
    port,
    bufferBytes: buffer,
    timeoutMs: timeout,
    tls,
  }));

type StubConfig = z.output<typeof config>;

/** A connector that has a configuration and nothing else. */
const stub: ConnectorDefinition<StubConfig> = {
  kind: 'stub',
  config,
  async *check() {},
  open: () => Promise.reject(new Error('A stub has nothing to open.')),
};

export const connectors: Connectors = { stub: async () => stub };
