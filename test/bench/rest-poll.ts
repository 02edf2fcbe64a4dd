import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { restConfig } from '../../connectors/iceberg-rest/config.ts';
import { openCatalog, openRest } from '../../connectors/iceberg-rest/connector.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { byRates, byTurns, ratesOf, type Simulation } from '../connectors/iceberg-rest/poll-simulation.ts';
import type { CatalogFigures, CatalogOptions } from './rest-catalog.ts';

/**
 * What it costs to follow a REST catalog by polls, and how stale its mirror is: by the adaptive schedule, and by polling every
 * table in turn with the same budget. `node test/bench/rest-poll.ts [--tables 5000] [--minutes 20] [--speed 15] [--no-real]`.
 *
 * First in virtual time, for hours, with the schedule alone. Then with the real client over HTTP against a catalog in a process
 * of its own, where the clocks of both go `speed` times as fast: minutes and budget are of that time.
 */
const { values } = parseArgs({
  options: {
    tables: { type: 'string', default: '5000' },
    minutes: { type: 'string', default: '20' },
    speed: { type: 'string', default: '15' },
    kind: { type: 'string', default: 'hot' },
    'no-real': { type: 'boolean', default: false },
  },
});
const TABLES = Number(values.tables);
const SPEED = Number(values.speed);
const MINUTES = Number(values.minutes);
/** 1 % of the tables. */
const CHANGES_PER_MINUTE = TABLES / 100;
const REQUESTS_PER_SECOND = 20;
const MAX_AGE_MS = 15 * 60_000;
const HOUR_MS = 3_600_000;

const KINDS = {
  alike: 'all tables change alike',
  zipf: 'the n-th table changes 1/n as often as the first',
  hot: '1 % of the tables have 80 % of the changes',
  few: '1 % of the tables have all changes',
} as const;
type Kind = keyof typeof KINDS;

type Row = {
  readonly requests: number;
  readonly perSecond: number;
  readonly perChange: number;
  readonly delays: Delays;
};
type Delays = { readonly meanMs: number; readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };

const seconds = (ms: number) => (ms / 1000).toFixed(1).padStart(7);

function show(name: string, { requests, perSecond, perChange, delays }: Row): void {
  const { meanMs, p50Ms, p99Ms, maxMs } = delays;
  const cost = `${String(requests).padStart(8)} requests ${perSecond.toFixed(1).padStart(5)}/s ${perChange.toFixed(1).padStart(5)}/change`;
  console.log(
    `  ${name.padEnd(10)}${cost}   staleness s: mean${seconds(meanMs)} median${seconds(p50Ms)} p99${seconds(p99Ms)} max${seconds(maxMs)}`,
  );
}

function delaysOf(all: readonly number[]): Delays {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN;
  return { meanMs: sorted.reduce((a, b) => a + b, 0) / sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function virtual(kind: Kind): void {
  const rates = ratesOf(kind, TABLES, CHANGES_PER_MINUTE);
  const simulation: Simulation = {
    rates: () => rates,
    requestsPerSecond: REQUESTS_PER_SECOND,
    maxAgeMs: MAX_AGE_MS,
    forMs: 6 * HOUR_MS,
    warmUpMs: 3 * HOUR_MS,
    seed: 1,
  };
  console.log(`\n${KINDS[kind]}; 3 h after 3 h of learning, virtual time, polls alone`);
  for (const [name, policy] of [
    ['in turn', byTurns],
    ['adaptive', byRates],
  ] as const) {
    const { polls, pollsPerSecond, pollsPerChange, ...delays } = policy(simulation);
    show(name, { requests: polls, perSecond: pollsPerSecond, perChange: pollsPerChange, delays });
  }
}

/** A second of it is `SPEED` times shorter. */
const fastClock: Clock = {
  now: () => Math.round(performance.timeOrigin + performance.now() * SPEED),
  monotonicMs: () => performance.now() * SPEED,
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
};

const config = (uri: string) =>
  restConfig.parse({
    kind: 'iceberg-rest',
    uri,
    poll: { requests_per_second: REQUESTS_PER_SECOND, max_age: '15m' },
    concurrency: 32,
    timeouts: { total: '10m', headers: '10m', body: '10m', connect: '10m' },
    max_clock_skew: '10000h',
  });

const deps = { clock: fastClock, log: silentLog };

/** The connector as the agent uses it: hints are acknowledged, and their tables read. */
async function followAdaptive(uri: string, signal: AbortSignal, listed: () => void): Promise<void> {
  await using connector = await openRest(config(uri), deps);
  for await (const _ of connector.list(signal));
  listed();
  for await (const delivery of connector.watch(undefined, signal)) {
    await delivery.ack();
    if (signal.aborted) return;
    await connector
      .resolve(
        delivery.changes.map(({ table }) => table),
        signal,
      )
      .catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
  }
}

/** The same client and budget; every table in turn, and each change read once more, as the agent does. */
async function followInTurn(uri: string, signal: AbortSignal, listed: () => void): Promise<void> {
  const { catalog } = await openCatalog(config(uri), deps);
  await using _ = catalog;
  const etags = new Map<TableIdentifier, string | undefined>();
  for await (const namespace of catalog.namespaces(signal))
    for await (const page of catalog.tables(namespace, signal))
      for (const table of page ?? []) etags.set(table, undefined);
  const all = [...etags.keys()];
  let next = 0;
  const poll = async (table: TableIdentifier): Promise<void> => {
    const loaded = await catalog.load(table, { etag: etags.get(table) }, signal);
    if (loaded.kind !== 'present') return;
    const isFirst = etags.get(table) === undefined;
    etags.set(table, loaded.etag);
    if (!isFirst) await catalog.load(table, { etag: loaded.etag, urgent: true }, signal);
  };
  const worker = async (until: () => boolean): Promise<void> => {
    while (!signal.aborted && until()) {
      const table = all[next++ % all.length];
      if (table !== undefined) await poll(table);
    }
  };
  const workers = (until: () => boolean) => Promise.all(Array.from({ length: 16 }, () => worker(until)));
  await workers(() => next < all.length);
  listed();
  await workers(() => true).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

async function measure(kind: Kind, follow: typeof followAdaptive): Promise<Row> {
  const child = fork(new URL('./rest-catalog.ts', import.meta.url), { stdio: 'inherit' });
  const ask = async (message: object): Promise<CatalogFigures> => {
    child.send(message);
    return ((await once(child, 'message')) as [CatalogFigures])[0];
  };
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const options: CatalogOptions = { tables: TABLES, changesPerMinute: CHANGES_PER_MINUTE, kind, speed: SPEED, seed: 1 };
  await ask({ kind: 'start', options });
  const stop = new AbortController();
  const { promise: listed, resolve } = Promise.withResolvers<void>();
  const following = follow(`http://127.0.0.1:${port}`, stop.signal, resolve);
  await Promise.race([listed, following]);
  await fastClock.sleep(MINUTES * 60_000);
  await ask({ kind: 'measure' });
  await fastClock.sleep(MINUTES * 60_000);
  const { changes, requests, delaysMs } = await ask({ kind: 'figures' });
  stop.abort();
  await following;
  child.disconnect();
  return { requests, perSecond: requests / (MINUTES * 60), perChange: requests / changes, delays: delaysOf(delaysMs) };
}

console.log(`${TABLES} tables, ${CHANGES_PER_MINUTE} changes a minute, ${REQUESTS_PER_SECOND} requests a second`);
for (const kind of Object.keys(KINDS) as Kind[]) virtual(kind);
if (!values['no-real']) {
  const kind = values.kind as Kind;
  console.log(
    `\n${KINDS[kind]}; ${MINUTES} min after ${MINUTES} min of learning, real client over HTTP, time ${SPEED} times as fast, looks at names and reads of changes included`,
  );
  show('in turn', await measure(kind, followInTurn));
  show('adaptive', await measure(kind, followAdaptive));
}
