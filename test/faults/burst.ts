import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embeddedSetup, startMetastore, startPolaris } from '../../examples/quickstart/embedded.ts';
import { PolarisReader } from '../../examples/quickstart/polaris-reader.ts';
import { counted } from '../../examples/quickstart/screen.ts';
import { Session } from '../../examples/quickstart/session.ts';
import { truth } from '../../examples/quickstart/truth.ts';
import { HiveWriter } from '../../examples/quickstart/writer.ts';
import { rss } from './outage.ts';

// node test/faults/burst.ts [--tables 1000] [--commits 20]: many commits to many tables as fast as the metastore takes them;
// prints how few notifications that made, and how long it took until source and Polaris were equal.

const { values } = parseArgs({
  options: { tables: { type: 'string', default: '1000' }, commits: { type: 'string', default: '20' } },
});
const [tables, commits] = [Number(values.tables), Number(values.commits)];
const NEVER = new AbortController().signal;
const CONNECTIONS = 8;
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const folder = mkdtempSync(join(tmpdir(), 'polaris-push-burst-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const warehouse = join(folder, 'warehouse');
mkdirSync(warehouse);
await using metastore = await startMetastore({ detached: true });
const polaris = await startPolaris(warehouse);
await using parts = new AsyncDisposableStack();
parts.use(polaris.command);
const client = await metastore.client();
parts.defer(() => client.end());
const writer = parts.use(
  new HiveWriter({
    connectionString: metastore.url,
    warehouse,
    locks: false,
    notificationLog: false,
    connections: CONNECTIONS,
  }),
);
const reader = new PolarisReader(polaris.access);
const session = parts.use(
  new Session({
    setup: embeddedSetup(folder, metastore, polaris.access),
    source: () => truth(client),
    mirror: () => reader.tables(),
  }),
);
await session.caughtUp(NEVER);

const names = Array.from({ length: tables }, (_, index) => `burst.t${String(index).padStart(4, '0')}`);
await writer.createNamespace('burst');
const created = performance.now();
await inParallel(names, (name) => writer.createTable(name));
await equal();
console.log(`${tables} tables created, and equal: ${seconds(created)}; ${session.statistics.admitted} notifications`);

const before = session.statistics.admitted;
const started = performance.now();
// Every table in turn, so that commits to one table are spread over the whole burst: the hardest case for merging them.
const jobs = Array.from({ length: commits }, () => names).flat();
await inParallel(jobs, (name) => writer.commit(name));
const written = performance.now();
console.log(
  `${jobs.length} commits in ${seconds(started)} (${Math.round((jobs.length / (written - started)) * 1000)}/s)`,
);
await equal();
console.log(`equal ${seconds(written)} after the last commit, ${seconds(started)} after the first`);
const { admitted, byType, byOutcome, latency, parked } = session.statistics;
console.log(
  `${admitted - before} notifications for ${jobs.length} commits, ${((admitted - before) / tables).toFixed(1)} a table`,
);
console.log(
  `all: ${counted(byType)}; not admitted: ${counted(byOutcome)}; parked: ${parked.size}; visible after ${latency}`,
);
console.log(`agent: ${Math.round(rss(session.agent.process.pid, 'VmHWM') / 1024 ** 2)} MiB resident at most`);

async function equal(): Promise<void> {
  const { missing, different, extra } = await session.equal(300_000);
  if (missing.length + different.length + extra.length > 0) throw new Error('Not equal after 300 s.');
}

async function inParallel(list: readonly string[], work: (name: string) => Promise<unknown>): Promise<void> {
  const queue = list.values();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (const name of queue) await work(name);
    }),
  );
}
