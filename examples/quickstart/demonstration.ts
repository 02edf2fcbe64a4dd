import { setTimeout as sleep } from 'node:timers/promises';
import { isEqual, verdict, type Comparison } from './comparison.ts';
import { createWarehouse, embeddedSetup, startMetastore, startPolaris } from './embedded.ts';
import { unlessAborted } from './interruption.ts';
import { PolarisReader } from './polaris-reader.ts';
import { report } from './report.ts';
import { Screen, type View } from './screen.ts';
import { Session } from './session.ts';
import { truth } from './truth.ts';
import { createTables, fixedWorkload, Operations, randomWorkload, type Writers } from './workload.ts';
import { HiveWriter } from './writer.ts';

/** How a run talks, and what ends it. */
export type Run = {
  /** Removed at the end. */
  readonly folder: string;
  /** On a terminal, until interrupted; otherwise once. */
  readonly live: boolean;
  readonly coloured: boolean;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
};

/** After the last operation, both sides must be equal within this. It takes a fraction of a second. */
const SETTLE_MS = 15_000;
const ENGINES = 3;
const PAUSE_MS = 400;
const COMPARE_MS = 1_000;
const STOP = 'Ctrl-C: stop, compare, verdict';
const STOPPING = 'Stopping: finishing what is under way. Ctrl-C once more ends at once.';

/** The main job on embedded parts. Returns the exit code: 0 only when both sides are equal in the end. */
export async function demonstrate(run: Run): Promise<number> {
  const { folder, print, signal } = run;
  const step = async <T>(what: (result: T) => string, work: Promise<T>): Promise<T> => {
    const before = performance.now();
    const result = await work;
    print(`  ${what(result).padEnd(66)}${seconds(performance.now() - before).padStart(5)} s`);
    signal.throwIfAborted();
    return result;
  };
  print('polaris-push quick start: a Hive Metastore, mirrored into Apache Polaris\n');
  // Stopped in reverse: the writers, the agent, what it talks to.
  await using parts = new AsyncDisposableStack();
  const metastore = parts.use(
    await step(
      ({ version }) => `PostgreSQL ${version} with the tables of a Hive Metastore`,
      startMetastore({ detached: true }),
    ),
  );
  const warehouse = createWarehouse(folder);
  const { command: polaris, access } = await step(
    (started) => `Polaris (emulated) at ${started.access.uri}`,
    unlessAborted(startPolaris(warehouse), signal),
  );
  parts.use(polaris);
  const client = await metastore.client();
  parts.defer(() => client.end());
  const reader = new PolarisReader(access);
  const session = parts.use(
    new Session({
      setup: embeddedSetup(folder, metastore, access),
      source: () => truth(client),
      mirror: () => reader.tables(),
      others: [polaris],
    }),
  );
  await step(() => 'the agent: polaris-push run', session.caughtUp(signal));
  const connection = { connectionString: metastore.url, warehouse };
  const locking = parts.use(new HiveWriter(connection));
  const lockFree = parts.use(new HiveWriter({ ...connection, locks: false }));
  const title = `polaris-push  Hive Metastore (PostgreSQL ${metastore.version}) → Polaris (emulated)`;
  const work = { run, session, writers: { locking, lockFree }, title };
  const { comparison, operations } = run.live ? await live(work) : await once(work);
  const { statistics } = session;
  const lines = report({ statistics, comparison, operations: operations.counts, source: await truth(client) });
  for (const line of lines) print(line);
  const { admitted, latency } = statistics;
  print(verdict(comparison, `${operations.total} operations, ${admitted} notifications, visible after ${latency}`));
  return isEqual(comparison) ? 0 : 3;
}

type Work = { readonly run: Run; readonly session: Session; readonly writers: Writers; readonly title: string };
type Done = { readonly comparison: Comparison; readonly operations: Operations };

const seconds = (ms: number) => (ms / 1000).toFixed(1);

/** The fixed workload, and then equal or not. */
async function once({ run, session, writers }: Work): Promise<Done> {
  const { print, signal } = run;
  const operations = new Operations();
  print('\nWorkload');
  const before = performance.now();
  const part = (text: string) => {
    session.check();
    signal.throwIfAborted();
    print(`  ${text}`);
  };
  await unlessAborted(fixedWorkload(writers, operations, part), signal);
  const wrote = performance.now();
  const comparison = await session.equal(SETTLE_MS, signal);
  const settled = isEqual(comparison) ? 'equal' : 'not equal';
  print(
    `  ${operations.total} operations in ${seconds(wrote - before)} s, ${settled} ${seconds(performance.now() - wrote)} s later\n`,
  );
  return { comparison, operations };
}

/** Engines at work and the screen, until the user interrupts; then everything under way is finished. */
async function live({ run, session, writers, title }: Work): Promise<Done> {
  const operations = new Operations();
  const startedMs = Date.now();
  let compared: View['compared'];
  const view = (): View => {
    const { statistics } = session;
    const hint = run.signal.aborted ? STOPPING : STOP;
    return { title, startedMs, nowMs: Date.now(), statistics, operations: operations.counts, compared, hint };
  };
  using screen = new Screen(process.stdout, run.coloured, view);
  const broken = new AbortController();
  const signal = AbortSignal.any([run.signal, broken.signal]);
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  const engine = () =>
    randomWorkload({
      writers,
      operations,
      signal,
      pause: () => pause(PAUSE_MS * 2 * Math.random()),
      random: Math.random,
    });
  const watch = async () => {
    while (!signal.aborted) {
      session.check();
      compared = { comparison: await session.compare(), atMs: Date.now() };
      await pause(COMPARE_MS);
    }
  };
  await createTables(writers.locking, operations);
  // One that fails ends them all, and the run.
  const parts = [watch(), ...Array.from({ length: ENGINES }, engine)];
  await Promise.all(parts.map((part) => part.catch((error: unknown) => broken.abort(error))));
  if (broken.signal.aborted) throw broken.signal.reason;
  screen.draw();
  return { comparison: await session.equal(SETTLE_MS), operations };
}
