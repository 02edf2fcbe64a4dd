import { describe, expect, test } from 'vitest';
import type { SourceFigures } from '../../src/connector/figures.ts';
import type { Notification, NotificationType, Outcome, TableIdentifier, Timestamp } from '../../src/core/types.ts';
import { LABELS, METRICS, PREFIX } from '../../src/observe/definitions.ts';
import { Monitor, type MonitoredParts } from '../../src/observe/monitor.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { eventually } from '../pipeline/world.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { quietParts, readExposition } from './scrape.ts';

const FACTS = { version: '1.2.3', source: 'lab', targets: ['main'], sinks: ['hook'] };
const HOSTILE = ['<script>alert(1)</script>', 'a"} 1\npolaris_push_fake 7', '\u001b[31m', 'x'.repeat(3_000)];
const table = (name: string): TableIdentifier => ({ namespace: [name], name });

const notified = (type: NotificationType, outcome: Outcome, more: object = {}): PipelineEvent => {
  const notification: Notification = { type, table: table('orders'), timestamp: 1 as Timestamp };
  return { kind: 'notified', target: 'main', notification, outcome, tookMs: 20, ...more };
};

/** A monitor of an agent at rest, with a server that is asked as Prometheus asks. */
async function monitored(parts: Partial<MonitoredParts> = {}, facts = FACTS) {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const server = stack.use(await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog }));
  const monitor = stack.use(new Monitor(facts, { clock, log: silentLog }));
  monitor.serve(server);
  const all = quietParts(parts);
  monitor.start(all);
  await eventually(async () => (clock.sleeping > 0 ? undefined : 'still measuring'));
  const scrape = async () => {
    // Texts are kept for a second.
    await clock.advance(1_000);
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    return { type: answer.headers.get('content-type'), ...readExposition(await answer.text()) };
  };
  const value = async (series: string) => (await scrape()).series.get(`${PREFIX}${series}`);
  return {
    monitor,
    clock,
    server,
    scrape,
    value,
    ledger: all.ledger,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const own = (series: ReadonlyMap<string, number>): string[] =>
  [...series.keys()].filter((key) => key.startsWith(PREFIX)).toSorted();

describe('The endpoint', () => {
  test('exposes exactly what the table of metrics says, and the process itself as prom-client does', async () => {
    await using agent = await monitored();
    const { names, type } = await agent.scrape();
    const ours = names.filter(({ name }) => name.startsWith(PREFIX));
    expect(new Map(ours.map(({ name, kind }) => [name, kind]))).toEqual(
      new Map(Object.entries(METRICS).map(([name, { kind }]) => [`${PREFIX}${name}`, kind])),
    );
    const others = names.filter(({ name }) => !name.startsWith(PREFIX)).map(({ name }) => name);
    expect(others.filter((name) => !/^(?:process|nodejs)_/.test(name))).toEqual([]);
    expect(others).toContain('process_resident_memory_bytes');
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  test('has a value of everything but what this source or its sinks lack, before anything has happened', async () => {
    await using agent = await monitored({}, { ...FACTS, sinks: [] });
    const { series } = await agent.scrape();
    const valued = new Set(
      [...series.keys()].map((key) => key.replace(/\{.*/, '').replace(/_(?:bucket|sum|count)$/, '')),
    );
    const missing = Object.keys(METRICS).filter((name) => !valued.has(`${PREFIX}${name}`));
    const partial = Object.entries(METRICS).flatMap(([name, metric]) => ('partial' in metric ? [name] : []));
    expect(new Set(missing)).toEqual(new Set(partial));
  });

  test('has no more series after thousands of tables with hostile names, and none of their names', async () => {
    await using agent = await monitored();
    const before = (await agent.scrape()).series;
    for (let i = 0; i < 5_000; i++) {
      const name = HOSTILE[i % HOSTILE.length] ?? '';
      const of = { target: 'main', table: table(`${name}${i}`) } as const;
      const parked = { code: 'REFUSED', detail: name, since: 0, type: 'UPDATE' } as const;
      agent.monitor.see({ kind: 'parked', ...of, parked });
      agent.monitor.see({ kind: 'settled', ...of, skipped: name });
      agent.monitor.see({ kind: 'foreign-sender', ...of, timestamp: 1 as Timestamp, served: 'other' });
      agent.monitor.see({ kind: 'event-refused', sink: 'hook', ...of, detail: name });
      agent.monitor.see({ kind: 'target-down', target: 'main', detail: name });
    }
    const after = (await agent.scrape()).series;
    expect(own(after)).toEqual(own(before));
    expect(after.get(`${PREFIX}parks_total{target="main",code="REFUSED"}`)).toBe(5_000);
  });

  test('makes a text once a second at most, however many ask', async () => {
    let asked = 0;
    const standing = { limit: 1, inFlight: 0, breaker: 'closed', stalledMs: 0 } as const;
    const drivers = [{ name: 'main', get standing() { return (asked++, standing); } }]; // oxfmt-ignore
    await using agent = await monitored({ drivers });
    await agent.scrape();
    const before = asked;
    const { port } = agent.server;
    await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
    expect(asked).toBe(before);
    await agent.scrape();
    expect(asked).toBe(before + 1);
  });

  test('answers during a shutdown and when the ledger has failed, and says so', async () => {
    await using agent = await monitored();
    agent.ledger.fail();
    expect(await agent.value('ledger_up')).toBe(0);
    agent.monitor.stopping();
    await agent.monitor[Symbol.asyncDispose]();
    expect(await agent.value('build_info{version="1.2.3",node="' + process.versions.node + '"}')).toBe(1);
  });
});

describe('What happens is counted', () => {
  test('notifications by type and outcome, conflicts by diagnosis, refusals by reason', async () => {
    await using agent = await monitored();
    const message = 'text of Polaris';
    agent.monitor.see(notified('CREATE', { kind: 'admitted' }, { commitToVisibleMs: 300 }));
    agent.monitor.see(notified('UPDATE', { kind: 'stale', message }));
    agent.monitor.see(notified('UPDATE', { kind: 'lost-race', message }));
    agent.monitor.see(notified('CREATE', { kind: 'name-taken', by: 'view', message }));
    agent.monitor.see(notified('CREATE', { kind: 'refused', reason: 'metadata-missing', status: 400, message }));
    const { series } = await agent.scrape();
    const at = (key: string) => series.get(`${PREFIX}${key}`);
    expect(at('notifications_total{target="main",type="CREATE",outcome="admitted"}')).toBe(1);
    expect(at('notifications_total{target="main",type="UPDATE",outcome="stale"}')).toBe(1);
    expect(at('notifications_total{target="main",type="DROP",outcome="admitted"}')).toBe(0);
    for (const diagnosis of ['stale', 'lost-race', 'name-taken'])
      expect(at(`conflicts_total{target="main",diagnosis="${diagnosis}"}`)).toBe(1);
    expect(at('refusals_total{target="main",reason="metadata-missing"}')).toBe(1);
    expect(at('notification_duration_seconds_count{target="main",type="UPDATE"}')).toBe(2);
    expect(at('notification_duration_seconds_sum{target="main",type="UPDATE"}')).toBeCloseTo(0.04);
    expect(at('commit_to_visible_seconds_bucket{le="0.25",source="lab",target="main"}')).toBe(0);
    expect(at('commit_to_visible_seconds_bucket{le="0.5",source="lab",target="main"}')).toBe(1);
  });

  test('hints, lists, reads, failures of the source, sinks, tokens, requests and commits', async () => {
    await using agent = await monitored();
    const { monitor } = agent;
    monitor.see({ kind: 'hinted', changes: { upserted: 3, renamed: 1 } });
    monitor.see({ kind: 'reconciled', tables: 40, hints: 2, tookMs: 5 });
    monitor.see({ kind: 'resolved', target: 'main', tables: 4, failed: false, tookMs: 3 });
    monitor.see({ kind: 'resolved', target: 'main', tables: 2, failed: true, tookMs: 3 });
    monitor.see({ kind: 'source-down', detail: 'gone' });
    monitor.see({ kind: 'forwarded', sink: 'hook', events: 9, tookMs: 4 });
    monitor.meters.renewed('main', { ok: false });
    monitor.meters.requested('main', { kind: 'notify', status: 409 });
    monitor.meters.requested('main', { kind: 'serves', status: undefined });
    monitor.meters.committed({ ms: 2 });
    const { series } = await agent.scrape();
    const at = (key: string) => series.get(`${PREFIX}${key}`);
    expect(at('hints_total{source="lab",kind="upserted"}')).toBe(3);
    expect(at('hints_total{source="lab",kind="dropped"}')).toBe(0);
    expect(at('reconcile_hints_total{source="lab"}')).toBe(2);
    expect(at('reconciled_tables{source="lab"}')).toBe(40);
    expect(at('resolved_tables_total{target="main",result="ok"}')).toBe(4);
    expect(at('resolves_total{target="main",result="failed"}')).toBe(1);
    expect(at('source_failures_total{source="lab"}')).toBe(1);
    expect(at('sink_forwarded_events_total{sink="hook"}')).toBe(9);
    expect(at('token_renewals_total{target="main",result="failed"}')).toBe(1);
    expect(at('target_requests_total{target="main",operation="notify",status="4xx"}')).toBe(1);
    expect(at('target_requests_total{target="main",operation="serves",status="none"}')).toBe(1);
    expect(at('ledger_commit_duration_seconds_bucket{le="0.0025"}')).toBe(1);
  });
});

describe('How things stand is looked up', () => {
  test('entries of the ledger, the oldest of them, and parked ones by code', async () => {
    const standing = { limit: 8, inFlight: 2, breaker: 'half-open', stalledMs: 1_500, oldestSince: 0 } as const;
    const now = new ManualClock().now();
    const drivers = [{ name: 'main', standing: { ...standing, oldestSince: now - 60_000 } }];
    await using agent = await monitored({ drivers });
    const parked = { code: 'DROP_HELD', detail: 'x', since: 0, type: 'DROP' } as const;
    await agent.ledger.append([
      { kind: 'seen', target: 'main', table: table('a'), count: 1 },
      { kind: 'seen', target: 'main', table: table('b'), count: 1 },
      { kind: 'parked', target: 'main', table: table('b'), seen: 1, parked },
    ]);
    const { series } = await agent.scrape();
    const at = (key: string) => series.get(`${PREFIX}${key}`);
    expect(at('pending_tables{target="main"}')).toBe(1);
    expect(at('parked_tables{target="main",code="DROP_HELD"}')).toBe(1);
    expect(at('parked_tables{target="main",code="REFUSED"}')).toBe(0);
    expect(at('oldest_pending_age_seconds{target="main"}')).toBe(61);
    expect(at('concurrency_limit{target="main"}')).toBe(8);
    expect(at('requests_in_flight{target="main"}')).toBe(2);
    expect(LABELS.breaker.values.map((state) => at(`breaker_state{target="main",breaker="${state}"}`))).toEqual([
      0, 0, 1,
    ]);
    expect(at('stalled_seconds{target="main"}')).toBe(1.5);
  });

  test('drift is what the last audit found, and no more of what it did not find again', async () => {
    await using agent = await monitored();
    expect(await agent.value('drift_tables{target="main",drift="orphan"}')).toBeUndefined();
    agent.monitor.see({ kind: 'audited', target: 'main', tables: 9, drift: { orphan: 2 }, tookMs: 1 });
    expect(await agent.value('drift_tables{target="main",drift="orphan"}')).toBe(2);
    agent.monitor.see({ kind: 'audited', target: 'main', tables: 9, drift: { stale: 1 }, tookMs: 1 });
    expect(await agent.value('drift_tables{target="main",drift="orphan"}')).toBe(0);
    expect(await agent.value('drift_tables{target="main",drift="stale"}')).toBe(1);
  });

  test('the source is measured every ten seconds, whether or not anybody scrapes; old figures are not shown as new', async () => {
    let measured = 0;
    let broken = false;
    const figures: SourceFigures = {
      lagMs: 2_500,
      lagBytes: 77,
      slot: { state: 'extended', active: true, retainedBytes: 10, safeBytes: 20 },
      queue: { visible: 1, inFlight: 2, delayed: 3 },
      polls: { tables: 5, budgetPerSecond: 6 },
      requests: { load: 8 },
      throttled: 1,
      clockSkewMs: -250,
    };
    const measure = async () => {
      measured++;
      if (broken) throw new Error('not now');
      return figures;
    };
    await using agent = await monitored({ measure });
    const { series } = await agent.scrape();
    const at = (key: string) => series.get(`${PREFIX}source_${key}`);
    expect(at('lag_seconds{source="lab"}')).toBe(2.5);
    expect(at('lag_bytes{source="lab"}')).toBe(77);
    expect(at('slot_active{source="lab"}')).toBe(1);
    expect(LABELS.slot.values.map((state) => at(`slot_state{source="lab",slot="${state}"}`))).toEqual([0, 1, 0, 0, 0]);
    expect(at('slot_retained_bytes{source="lab"}')).toBe(10);
    expect(at('slot_safe_bytes{source="lab"}')).toBe(20);
    expect(at('queue_messages{source="lab",queue="in-flight"}')).toBe(2);
    expect(at('polled_tables{source="lab"}')).toBe(5);
    expect(at('poll_budget{source="lab"}')).toBe(6);
    expect(at('requests_total{source="lab",operation="load"}')).toBe(8);
    expect(at('throttled_total{source="lab"}')).toBe(1);
    expect(at('clock_skew_seconds{source="lab"}')).toBe(-0.25);
    for (let i = 0; i < 5; i++) await agent.scrape();
    expect(measured).toBe(1);
    // What has changed as much as that is not shown only ten seconds later.
    agent.monitor.see({ kind: 'source-up' });
    await eventually(async () => (measured === 2 ? undefined : 'not measured again'));
    broken = true;
    for (let i = 0; i < 8; i++) {
      await agent.clock.advance(10_000);
      await eventually(async () => (agent.clock.sleeping > 0 ? undefined : 'still measuring'));
    }
    expect(measured).toBe(10);
    expect(await agent.value('source_lag_seconds{source="lab"}')).toBeUndefined();
    expect(agent.monitor.snapshot().source.history).toHaveLength(10);
  });
});
