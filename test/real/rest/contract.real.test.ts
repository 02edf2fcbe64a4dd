import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import rest from '../../../connectors/iceberg-rest/index.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import type { Log, LogFields } from '../../../src/runtime/log.ts';
import { type ConnectorFixture, connectorContract } from '../../contract/connector.contract.ts';
import { pythonWith } from '../pyiceberg.ts';
import { findToolchain } from '../toolchain.ts';
import { PYTHON } from './servers.ts';
import { type Source, SOURCES, type SourceKind } from './sources.ts';

/** Against servers that aren't ours: `npm run test:real:rest` starts it, once it has found the tools. */
for (const kind of SOURCES.filter(({ name }) => name === 'iceberg' || name === 'nessie')) contractWith(kind);

function contractWith(kind: SourceKind): void {
  let source: Source;
  let folder: string;

  beforeAll(async () => {
    const toolchain = findToolchain();
    const python = await pythonWith('rest', join(PYTHON, 'requirements.txt'));
    if (!toolchain.ready || !python.ready) throw new Error('npm run test:real:rest tells what is missing.');
    folder = realpathSync(mkdtempSync(join(tmpdir(), `polaris-push-contract-${kind.name}-`)));
    source = await kind.start({ ...toolchain, python }, folder, '');
  }, 300_000);

  afterAll(async () => {
    await source[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  connectorContract(`iceberg-rest on ${kind.title}`, () => openFixture(source));
}

const TOKEN = 'planted-token-of-the-test';
const TENANT = 'planted-header-of-the-test';
const NAMESPACES = [['sales'], ['sales', 'two words']] as const;

async function openFixture({ writer, config: { uri, ...others } }: Source): Promise<ConnectorFixture> {
  await using stack = new AsyncDisposableStack();
  // A test that ran out of time has left something.
  await writer.do({ command: 'clear' });
  for (const path of NAMESPACES) await writer.do({ command: 'create_namespace', path });
  stack.defer(async () => void (await writer.do({ command: 'clear' })));
  const address = new URL(String(uri));
  const line = stack.use(await openLine(Number(address.port)));
  address.port = String(line.port);
  const logged: { readonly event: string; readonly fields: LogFields }[] = [];
  const deps = { clock: systemClock, log: keptLog(logged) };
  const config = rest.config.parse({
    ...others,
    uri: address.href,
    // Nobody there looks at either.
    auth: { type: 'bearer', token: TOKEN },
    headers: { 'x-tenant': TENANT },
    poll: { list: '100ms', requests_per_second: 500 },
  });
  const owned = stack.move();
  return {
    keepsNoCursor: true,
    open: async () => owned.use(await rest.open(config, deps)),
    check: () => rest.check(config, deps, new AbortController().signal),
    table: (name) => ({ namespace: NAMESPACES[name === 'b' ? 1 : 0], name }),
    create: async (table) => void (await writer.do({ command: 'create', path: path(table) })),
    commit: async (table) => void (await writer.do({ command: 'append', path: path(table) })),
    drop: async (table) => void (await writer.do({ command: 'drop', path: path(table) })),
    rename: async (table, to) => void (await writer.do({ command: 'rename', path: path(table), to: path(to) })),
    createUnsupported: async (table) => void (await writer.do({ command: 'create_view', path: path(table) })),
    breakReads: () => line.cut(),
    contents: async () => JSON.stringify(await writer.tables()),
    secrets: [TOKEN, TENANT],
    logged: () => JSON.stringify(logged),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const path = ({ namespace, name }: TableIdentifier): readonly string[] => [...namespace, name];

/** All levels, in memory. */
function keptLog(events: { event: string; fields: LogFields }[]): Log {
  const keep = (event: string, fields: LogFields = {}) => void events.push({ event, fields });
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log };
  return log;
}

/** A TCP proxy before a port of 127.0.0.1 that can be cut. */
async function openLine(target: number): Promise<AsyncDisposable & { readonly port: number; cut(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  };
  const { port } = server.address() as { readonly port: number };
  return { port, cut, [Symbol.asyncDispose]: cut };
}
