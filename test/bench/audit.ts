import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newMetadata, type Column } from '../../examples/quickstart/iceberg-metadata.ts';
import { blank } from '../../src/core/fold.ts';
import { nextTimestamp } from '../../src/core/timestamp.ts';
import type { Entry, TableState } from '../../src/core/types.ts';
import { diff } from '../../src/pipeline/diff.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { Gate } from '../../src/runtime/gate.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { systemClock } from '../../src/runtime/clock.ts';

/**
 * What an audit of equal tables costs, against the same audit by plain loads: alternating runs in one process, medians.
 * `node test/bench/audit.ts [--tables 10000] [--runs 5]`. Bytes are counted by a proxy, both directions together.
 */
const { values } = parseArgs({ options: { tables: { type: 'string' }, runs: { type: 'string' } } });
const TABLES = Number(values.tables ?? 10_000);
const RUNS = Number(values.runs ?? 5);
const CONCURRENCY = 8;
const CATALOG = 'mirror';

const folder = mkdtempSync(join(tmpdir(), 'polaris-push-audit-'));
const polaris = await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: `file://${folder}` }] });
let bytes = 0;
const proxy = createServer((inside) => {
  const outside = connect(Number(new URL(polaris.uri).port), '127.0.0.1');
  for (const [from, to] of [
    [inside, outside],
    [outside, inside],
  ] as const) {
    from.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('error', () => {});
    from.pipe(to);
  }
}).listen(0, '127.0.0.1');
await new Promise((resolve) => proxy.once('listening', resolve));
const uri = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/api/catalog`;
let requests = 0;
polaris.onRequest(() => void requests++);

const config = targetConfig.parse({
  name: 'main',
  uri,
  catalog: CATALOG,
  auth: { client_id: 'root', client_secret: 's3cr3t' },
});
const target = await openPolaris(config, { clock: systemClock, log: silentLog });
const signal = new AbortController().signal;

async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const gate = new Gate(() => CONCURRENCY);
  await Promise.all(
    items.map(async (item) => {
      await gate.enter();
      try {
        await work(item);
      } finally {
        gate.leave();
      }
    }),
  );
}

const columns = Array.from({ length: 30 }, (_, i): Column => ({ name: `column_${i}`, type: 'string' }));
const states = Array.from({ length: TABLES }, (_, i): TableState & { kind: 'present' } => {
  const home = join(folder, `db${i % 50}`, `t${i}`);
  mkdirSync(join(home, 'metadata'), { recursive: true });
  const file = join(home, 'metadata', '00000.metadata.json');
  writeFileSync(file, JSON.stringify(newMetadata(`file://${home}`, columns, 1_700_000_000_000)));
  const table = { namespace: [`db${i % 50}`], name: `t${i}` };
  return { kind: 'present', table, metadataLocation: `file://${file}`, incarnation: String(i), asOf: 1 };
});
await each(states, ({ table, metadataLocation, incarnation }) =>
  target.notify(
    { type: 'CREATE', table, timestamp: nextTimestamp(undefined, 1), metadataLocation, incarnation },
    signal,
  ),
);

const entry = (state: TableState & { kind: 'present' }): Entry => ({
  ...blank('main', state.table),
  delivered: {
    type: 'CREATE',
    timestamp: nextTimestamp(undefined, 1),
    metadataLocation: state.metadataLocation,
    incarnation: state.incarnation,
  },
});
const entries = new Map(states.map((state) => [state.table.name, entry(state)]));
const parts = {
  connector: {
    async *list() {
      for (let i = 0; i < states.length; i += 1000) yield states.slice(i, i + 1000);
    },
    resolve: () => Promise.reject(new Error('Everything is listed.')),
  },
  ledger: {
    lookup: (_target: string, tables: readonly { name: string }[]) => tables.map(({ name }) => entries.get(name)),
  },
  target,
  concurrency: CONCURRENCY,
};

async function byConditionalGets(): Promise<void> {
  for await (const { table, drift } of diff(parts, signal)) throw new Error(`${table.name} is ${drift}.`);
}

const token = await fetch(`${uri}/v1/oauth/tokens`, {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'root',
    client_secret: 's3cr3t',
    scope: 'PRINCIPAL_ROLE:ALL',
  }),
});
const { access_token: bearer } = (await token.json()) as { access_token: string };
const headers = { authorization: `Bearer ${bearer}` };

async function byLoads(): Promise<void> {
  const listed = [];
  for await (const table of target.tables(signal)) listed.push(table);
  if (listed.length !== TABLES) throw new Error(`${listed.length} tables are listed.`);
  await each(states, async ({ table, metadataLocation }) => {
    const url = `${uri}/v1/${CATALOG}/namespaces/${table.namespace.join('%1F')}/tables/${table.name}`;
    const answer = (await (await fetch(url, { headers })).json()) as { 'metadata-location': string };
    if (answer['metadata-location'] !== metadataLocation) throw new Error(`${table.name} differs.`);
  });
}

type Cost = { readonly seconds: number; readonly requests: number; readonly bytes: number };
async function cost(run: () => Promise<void>): Promise<Cost> {
  const before = { ms: performance.now(), requests, bytes };
  await run();
  return {
    seconds: (performance.now() - before.ms) / 1000,
    requests: requests - before.requests,
    bytes: bytes - before.bytes,
  };
}
const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

await byConditionalGets(); // warm-up
const [audits, loads]: [Cost[], Cost[]] = [[], []];
for (let i = 0; i < RUNS; i++) {
  audits.push(await cost(byConditionalGets));
  loads.push(await cost(byLoads));
}
for (const [name, costs] of [
  ['conditional GETs', audits],
  ['plain loads', loads],
] as const) {
  const seconds = costs.map((one) => one.seconds);
  console.log(
    `${name.padEnd(17)} ${median(costs.map((c) => c.requests))} requests  ${(median(costs.map((c) => c.bytes)) / 1e6).toFixed(1)} MB  ` +
      `${median(seconds).toFixed(2)} s (${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)})`,
  );
}
const ratio = (of: (cost: Cost) => number) => (median(loads.map(of)) / median(audits.map(of))).toFixed(1);
console.log(
  `ratio             bytes ${ratio((c) => c.bytes)}  seconds ${ratio((c) => c.seconds)}  (${TABLES} equal tables, ${RUNS} alternating runs)`,
);

await target[Symbol.asyncDispose]();
proxy.close();
await polaris[Symbol.asyncDispose]();
rmSync(folder, { recursive: true, force: true });
process.exit(0);
