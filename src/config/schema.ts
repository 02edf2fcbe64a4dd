import { z } from 'zod';
import { scopeConfig } from '../connector/scope-config.ts';
import { forwardConfig } from '../forward/config.ts';
import { ledgerConfig } from '../ledger/config.ts';
import { targetConfig } from '../polaris/config.ts';
import { isLoopback } from '../runtime/http-access.ts';
import { duration, secret } from '../runtime/schema.ts';

const reconcileConfig = z
  .strictObject({
    every: duration()
      .describe('How often the whole source is listed and compared with the ledger, besides once at every start.')
      .prefault('15m'),
    audit: z
      .union([z.literal('off').transform(() => undefined), duration()], {
        error: 'expected off, or a duration such as 6h',
      })
      .describe(
        'How often Polaris is asked for every table, by conditional requests that read no metadata (about 2 ms each), to mend what others changed there; `off` for never.',
      )
      .prefault('6h'),
  })
  .transform(({ every, audit }) => ({ everyMs: every, auditMs: audit }));

const budgetConfig = z
  .strictObject({
    floor: z.int().min(0).describe('So many tables may vanish within `per`, however few tables there are.').default(20),
    share: z
      .number()
      .min(0)
      .max(1)
      .describe('Or so large a part, from 0 to 1, of the tables that the target holds. The larger of both counts.')
      .default(0.2),
    per: duration().describe('The time over which vanished tables are counted.').prefault('10m'),
  })
  .transform(({ floor, share, per }) => ({ floor, share, perMs: per }));

const dropsConfig = z
  .strictObject({
    mode: z
      .enum(['fenced', 'report', 'never'])
      .describe(
        '`fenced`: a table that the source says is gone is dropped, within the budget. `report`: every DROP is held until `polaris-push drops release`. `never`: what vanished stays in Polaris.',
      )
      .default('fenced'),
    budget: z
      .union([z.literal('off').transform(() => undefined), budgetConfig], {
        error: 'expected off, or a section with floor, share and per',
      })
      .describe('How many tables may vanish before the rest is held for a human; `off` for no limit.')
      .prefault({}),
    grace: duration()
      .describe(
        'How long a table must be gone before its DROP is sent. A table that is dropped and created again within this time is updated instead and keeps its grants in Polaris; every other DROP is late by as much.',
      )
      .prefault('0s'),
  })
  .transform(({ mode, budget, grace }) => ({ mode, budget, graceMs: grace }));

const LISTEN = /^(.+):([0-9]{1,5})$/;

/** "[::1]:9184" without the port and the brackets. */
const hostIn = (listen: string): string => (LISTEN.exec(listen)?.[1] ?? '').replace(/^\[(.*)\]$/, '$1');

const httpConfig = z
  .strictObject({
    listen: z
      .string()
      .regex(LISTEN, { error: 'expected an address and a port, such as 127.0.0.1:9184' })
      .refine((text) => Number(LISTEN.exec(text)?.[2] ?? 0) <= 65_535, { error: 'a port is at most 65535' })
      .describe(
        'Address and port where `run` listens, without TLS. 127.0.0.1 is reachable from this machine only; any other address needs a token.',
      ),
    token: secret()
      .min(16, { error: 'too short to be safe: at least 16 characters' })
      .regex(/^[\x21-\x7e]*$/, { error: 'has characters that a header cannot hold' })
      .describe(
        'What requests must bring, as `Authorization: Bearer` or as the password of HTTP Basic. Webhooks need none: each delivery is signed.',
      )
      .optional(),
    admin_token: secret()
      .min(16, { error: 'too short to be safe: at least 16 characters' })
      .regex(/^[\x21-\x7e]*$/, { error: 'has characters that a header cannot hold' })
      .describe(
        'What the status page and the API must be given, besides `token`, to put parked tables back to work or to release held DROPs; without one they only show.',
      )
      .optional(),
    open: z
      .array(z.enum(['health', 'metrics']))
      .describe(
        'What is answered without the token: `health` (`/livez` and `/readyz`, then without details) and `metrics` (`/metrics`). Of no effect without a token.',
      )
      .default(['health']),
  })
  .superRefine(({ listen, token }, context) => {
    const host = hostIn(listen);
    if (token !== undefined || host === '' || isLoopback(host)) return;
    const message = `non-loopback bind without a token: other machines can reach ${host}; set http.token or http.token_file, or listen on 127.0.0.1`;
    context.addIssue({ code: 'custom', path: ['listen'], message });
  })
  .transform(({ listen, token, admin_token: adminToken, open }) => ({
    host: hostIn(listen),
    port: Number(LISTEN.exec(listen)?.[2] ?? 0),
    token,
    adminToken,
    open,
  }));

const shutdownConfig = z
  .strictObject({
    drain: duration()
      .describe('How long a stopping agent waits for answers to notifications that are under way.')
      .prefault('30s'),
  })
  .transform(({ drain }) => ({ drainMs: drain }));

const logConfig = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error'])
    .describe('The least severe lines that are written.')
    .default('info'),
  format: z
    .enum(['json', 'text'])
    .describe('Absent: text on a terminal, JSON lines otherwise. Logs go to standard error.')
    .optional(),
});

const targetsConfig = z
  .array(targetConfig)
  .min(1, { error: 'expected at least one target' })
  .superRefine((targets, context) => {
    for (const [index, { name }] of targets.entries())
      if (targets.findIndex((target) => target.name === name) !== index)
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'another target has the same name' });
  });

/**
 * The schema of a configuration file, for the given schema of its `source`. Its output is the normalised configuration:
 * camelCase, durations in ms, sizes in bytes.
 */
export const configSchema = <Source>(source: z.ZodType<Source>) =>
  z.strictObject({
    source: source.describe('Where the tables come from; `kind` says which connector.'),
    tables: scopeConfig.describe('Which tables are mirrored, and under which names.').prefault({}),
    targets: targetsConfig.describe('The EXTERNAL catalogs of Polaris that are kept equal to the source.'),
    ledger: ledgerConfig.describe("The agent's memory.").prefault({}),
    forward: forwardConfig
      .describe('Where an event goes after each admitted notification: sinks, none unless told.')
      .default([]),
    reconcile: reconcileConfig.describe('Comparison of the whole source with what was delivered.').prefault({}),
    prechecks: z
      .enum(['new', 'always', 'never'])
      .describe(
        'When a VALIDATE notification comes before a CREATE or UPDATE: for tables of which Polaris knows nothing yet, for all, or for none.',
      )
      .default('new'),
    recreate: z
      .enum(['keep', 'replace'])
      .describe(
        'A table that was dropped and created again under the same name: `keep` updates it and keeps its grants in Polaris, `replace` drops and creates it, so that grants die with the old table.',
      )
      .default('keep'),
    drops: dropsConfig.describe('What happens to tables that vanished from the source.').prefault({}),
    http: httpConfig
      .describe('The HTTP server of `run`: metrics, health, the status page, and webhooks; off when absent.')
      .optional(),
    shutdown: shutdownConfig.describe('How the agent stops.').prefault({}),
    log: logConfig.describe('What is logged, and how.').prefault({}),
  });

/** A whole configuration, normalised. `source` is what its connector's schema made of it. */
export type Config = z.output<ReturnType<typeof configSchema<{ readonly kind: string }>>>;
