import { parseArgs } from 'node:util';
import type { TableIdentifier } from '../../src/core/types.ts';
import { targetConfig } from '../../src/polaris/config.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { openPolicies } from '../../src/polaris/policies.ts';
import { parseContent, PolicyCache } from '../../src/polaris/policy-cache.ts';
import { Gate } from '../../src/runtime/gate.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { seededRandom } from '../../src/runtime/random.ts';

/**
 * What the policies of 1,000 events on 100 tables cost with the cache, against asking for every event: the same events,
 * alternating in one process, medians. `node test/bench/policy-cache.ts [--events 1000] [--tables 100] [--runs 5]`.
 * Events that are spread over time are told to the cache's clock, not waited for; they come one after the other, so
 * their milliseconds would say nothing and aren't shown.
 */
const { values } = parseArgs({
  options: { events: { type: 'string' }, tables: { type: 'string' }, runs: { type: 'string' } },
});
const EVENTS = Number(values.events ?? 1000);
const TABLES = Number(values.tables ?? 100);
const RUNS = Number(values.runs ?? 5);
const CONCURRENCY = 8;
const MINUTE = 60_000;
const TYPE = 'system.data-compaction';
const API = '/api/catalog';
const CATALOG = 'mirror';

await using polaris = await startEmulator({
  catalogs: [{ name: CATALOG, baseLocation: 's3://lake' }],
  readMetadata: 'never',
});
const token = await post('/v1/oauth/tokens', {
  type: 'application/x-www-form-urlencoded',
  body: 'grant_type=client_credentials&client_id=root&client_secret=s3cr3t&scope=PRINCIPAL_ROLE:ALL',
});
const { access_token: bearer } = (await token.json()) as { access_token: string };
await provision();

let requests = 0;
polaris.onRequest(({ kind }) => void (kind === 'policy' && requests++));
await using client = await openPolicies(
  targetConfig.parse({
    name: 'main',
    uri: `${polaris.uri}${API}`,
    catalog: CATALOG,
    auth: { client_id: 'root', client_secret: 's3cr3t' },
  }),
  { clock: systemClock, log: silentLog },
);
const signal = new AbortController().signal;
const random = seededRandom(7);
/** Every table has one at least; the others fall at random, and all come in a random order. */
const events = Array.from({ length: EVENTS }, (_, i) => (i < TABLES ? i : Math.floor(random() * TABLES)))
  .map((table) => ({ table, rank: random() }))
  .toSorted((a, b) => a.rank - b.rank)
  .map(({ table }) => table);

type Way = { readonly name: string; readonly timed: boolean; readonly run: () => Promise<void> };
const WAYS: readonly Way[] = [
  { name: 'asked for every event', timed: true, run: plain },
  { name: 'cache, all events at once', timed: true, run: () => cached({ spanMs: 0, maxAgeMs: MINUTE }) },
  ...[1, 5, 15, 60].map((minutes) => ({
    name: `cache of ${minutes} min, events over 1 h`,
    timed: false,
    run: () => cached({ spanMs: 60 * MINUTE, maxAgeMs: minutes * MINUTE }),
  })),
];

async function plain(): Promise<void> {
  await each(async (table) => {
    const found = await client.applicable(table, { type: TYPE }, signal);
    for (const policy of found) if (parseContent(policy).kind !== 'json') throw new Error('It is not JSON.');
    if (found.length !== 1) throw new Error(`${found.length} policies apply.`);
  });
}

/** The same events, spread evenly over a span of the cache's own time. */
async function cached({ spanMs, maxAgeMs }: { spanMs: number; maxAgeMs: number }): Promise<void> {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  using cache = new PolicyCache(client, { clock, maxAgeMs });
  let seen = 0;
  await each(
    async (table) => {
      nowMs = (spanMs * seen++) / EVENTS;
      const [policy, ...more] = await cache.get(table, { type: TYPE }, signal);
      if (policy?.parsed.kind !== 'json' || more.length > 0) throw new Error('Another policy applies.');
    },
    spanMs === 0 ? CONCURRENCY : 1,
  );
}

async function each(work: (table: TableIdentifier) => Promise<void>, concurrency: number = CONCURRENCY): Promise<void> {
  const gate = new Gate(() => concurrency);
  await Promise.all(
    events.map(async (table) => {
      await gate.enter();
      try {
        await work(tableOf(table));
      } finally {
        gate.leave();
      }
    }),
  );
}

const results = new Map<string, { requests: number[]; ms: number[] }>(
  WAYS.map(({ name }) => [name, { requests: [], ms: [] }]),
);
// The first round warms up and isn't counted.
for (let round = 0; round <= RUNS; round++) {
  for (const { name, run } of WAYS) {
    const before = { requests, ms: performance.now() };
    await run();
    if (round === 0) continue;
    results.get(name)?.requests.push(requests - before.requests);
    results.get(name)?.ms.push(performance.now() - before.ms);
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
console.log(`${EVENTS} events on ${TABLES} tables; medians of ${RUNS} runs`);
console.log(`${'policies'.padEnd(34)}${'requests'.padStart(10)}${'per event'.padStart(11)}${'ms'.padStart(8)}`);
for (const { name, timed } of WAYS) {
  const { requests: counts = [], ms = [] } = results.get(name) ?? {};
  const asked = median(counts);
  const cells = [String(asked).padStart(10), (asked / EVENTS).toFixed(3).padStart(11)];
  console.log(name.padEnd(34) + cells.join('') + (timed ? median(ms).toFixed(0).padStart(8) : ''));
}

function tableOf(i: number): TableIdentifier {
  return { namespace: [`db${i % 10}`], name: `t${i}` };
}

/** Tables in ten namespaces, and one policy that all of them inherit from the catalog. */
async function provision(): Promise<void> {
  for (let i = 0; i < TABLES; i++) {
    const { namespace, name } = tableOf(i);
    const payload = { 'table-name': name, timestamp: 1, 'metadata-location': `s3://lake/${name}/metadata/1.json` };
    await post(`/v1/${CATALOG}/namespaces/${namespace.join('%1F')}/tables/${name}/notifications`, {
      body: JSON.stringify({ 'notification-type': 'CREATE', payload }),
    });
  }
  const content = JSON.stringify({
    version: '2025-02-03',
    enable: true,
    config: { target_file_size_bytes: '134217728' },
  });
  const policies = `/polaris/v1/${CATALOG}/namespaces/db0/policies`;
  await post(policies, { body: JSON.stringify({ name: 'compact', type: TYPE, content }) });
  await post(`${policies}/compact/mappings`, {
    method: 'PUT',
    body: JSON.stringify({ target: { type: 'catalog', path: [] } }),
  });
}

async function post(
  path: string,
  { body, method = 'POST', type = 'application/json' }: { body: string; method?: string; type?: string },
): Promise<Response> {
  const authorization: Record<string, string> = path.startsWith('/v1/oauth')
    ? {}
    : { authorization: `Bearer ${bearer}` };
  const headers = { 'content-type': type, ...authorization };
  const response = await fetch(`${polaris.uri}${API}${path}`, { method, headers, body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}
