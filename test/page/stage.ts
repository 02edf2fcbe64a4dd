import { nextTimestamp } from '../../src/core/timestamp.ts';
import type { EntryRecord, Notification, Outcome, ParkCode, TableIdentifier } from '../../src/core/types.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import type { AgentSnapshot, SinkSnapshot, TargetSnapshot } from '../../src/observe/snapshot.ts';
import { StatusApi, type AdminOrder } from '../../src/observe/status-api.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog, type Log } from '../../src/runtime/log.ts';

export const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export type Scenario = {
  readonly snapshot: (now: number) => AgentSnapshot;
  readonly records: (now: number) => readonly EntryRecord[];
  readonly notifications: readonly {
    readonly target?: string;
    readonly table: TableIdentifier;
    readonly type?: Notification['type'];
    readonly outcome?: Outcome;
  }[];
};

export type StageOptions = {
  readonly adminToken?: string | undefined;
  readonly token?: string | undefined;
  readonly log?: Log | undefined;
  readonly mask?: ((text: string) => string) | undefined;
  /** Whether an hour of history is there from the start. */
  readonly history?: boolean | undefined;
};

/** The status page and its API over a real HTTP server, of an agent that stands as a scenario says. */
export async function openStage(scenario: Scenario, options: StageOptions = {}) {
  const stack = new AsyncDisposableStack();
  const log = options.log ?? silentLog;
  const server = stack.use(
    await openHttpServer({ host: '127.0.0.1', port: 0, token: options.token }, { log: silentLog }),
  );
  const ledger = new MemoryLedger();
  await ledger.append(scenario.records(Date.now()));
  const clock = new WarpClock(options.history === true ? Date.now() - HOUR_MS : undefined);
  const orders: AdminOrder[] = [];
  const stage = { snapshot: scenario.snapshot };
  const api = new StatusApi({
    clock,
    log,
    snapshot: () => stage.snapshot(clock.now()),
    ledger: {
      entries: (target) => ledger.entries(target),
      unfinished: (target) => ledger.unfinished(target),
      lookup: (target, tables) => ledger.lookup(target, tables),
      parked: (target) => [...ledger.entries(target)].filter(({ parked }) => parked !== undefined),
    },
    submit: (order) => orders.push(order),
    adminToken: options.adminToken,
    mask: options.mask ?? ((text) => text),
  });
  const notify = (one: Scenario['notifications'][number]) =>
    api.see({
      kind: 'notified',
      target: one.target ?? 'main',
      notification: {
        type: one.type ?? 'UPDATE',
        table: one.table,
        timestamp: nextTimestamp(undefined, clock.now() - 400),
        metadataLocation: `s3://lake/sales/${one.table.name.slice(0, 30)}/metadata/00042-5f1c.metadata.json`,
      },
      outcome: one.outcome ?? { kind: 'admitted' },
      tookMs: 3.4,
      commitToVisibleMs: one.outcome === undefined ? 420 : undefined,
    });
  stack.use(api.serve(server));
  stack.use(api);
  await clock.warp(Date.now());
  for (const one of scenario.notifications) notify(one);
  return {
    uri: `http://127.0.0.1:${server.port}`,
    port: server.port,
    orders,
    ledger,
    notify,
    /** From now on it stands so. */
    become: (next: Scenario) => void (stage.snapshot = next.snapshot),
    close: () => server[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Begins in the past, goes through it at once, and is the system's clock from then on. */
class WarpClock implements Clock {
  #past: number | undefined;
  #sleepers: { readonly until: number; readonly wake: () => void }[] = [];

  constructor(start: number | undefined) {
    this.#past = start;
  }

  now(): number {
    return this.#past ?? Date.now();
  }

  monotonicMs(): number {
    return this.now();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#past === undefined) return systemClock.sleep(ms, signal);
    const until = this.#past + ms;
    return new Promise((wake) => {
      this.#sleepers.push({ until, wake });
    });
  }

  async warp(end: number): Promise<void> {
    while (this.#past !== undefined && this.#past < end) {
      this.#past = Math.min(end, ...this.#sleepers.map(({ until }) => until));
      const now = this.#past;
      const due = this.#sleepers.filter(({ until }) => until <= now);
      this.#sleepers = this.#sleepers.filter((sleeper) => !due.includes(sleeper));
      for (const { wake } of due) wake();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    this.#past = undefined;
    for (const { wake } of this.#sleepers) wake();
  }
}

// -- scenarios ------------------------------------------------------------------------------------------------------

const sales = (name: string): TableIdentifier => ({ namespace: ['sales'], name });

const STARTED_MS = 26 * HOUR_MS;

export const target = (now: number, more: Partial<TargetSnapshot> = {}): TargetSnapshot => ({
  name: 'main',
  state: 'up',
  since: now - STARTED_MS,
  totals: { entries: 1284, delivered: 1271, pending: 0, parked: 0, skipped: 13 },
  parked: {},
  limit: 16,
  inFlight: 2,
  breaker: 'closed',
  stalledMs: 0,
  // Some more during the night's jobs.
  admitted: Math.round((now % (24 * HOUR_MS)) / 700 + 4000 * Math.sin(now / (11 * MINUTE_MS)) + 4000),
  lastDeliveryAt: now - 4000,
  latencyMs: { count: 512, p50: 2.8, p99: 11.5 },
  commitToVisibleMs: { count: 512, p50: 340, p99: 1210 },
  audit: { at: now - 2.2 * HOUR_MS, tables: 1271, drift: {} },
  ...more,
});

export const sink = (now: number, more: Partial<SinkSnapshot> = {}): SinkSnapshot => ({
  name: 'maintenance',
  state: 'up',
  since: now - STARTED_MS,
  waiting: 0,
  buried: 0,
  forwarded: 48_210,
  ...more,
});

/** Waves of some hundred ms, as commits come in bursts. */
const calmLag = (now: number) =>
  Math.round(280 + 120 * Math.sin(now / 240_000) + 90 * Math.sin(now / 37_000) + 60 * Math.sin(now / 9000));

export function snapshotAt(now: number, more: Partial<AgentSnapshot> = {}): AgentSnapshot {
  return {
    version: '0.1.0',
    at: now,
    startedAt: now - STARTED_MS,
    source: {
      name: 'postgresql://metastore.internal:5432/metastore',
      kind: 'hive',
      state: 'following',
      since: now - STARTED_MS,
      caughtUpAt: now - STARTED_MS + 9000,
      reconciled: { at: now - 7 * MINUTE_MS, tables: 1284 },
      figures: {
        lagMs: calmLag(now),
        lagBytes: 2048,
        slot: { state: 'reserved', active: true, retainedBytes: 16 * 1024 ** 2, safeBytes: 48 * 1024 ** 3 },
      },
      measuredAt: now - 3000,
      history: [],
    },
    targets: [target(now)],
    sinks: [sink(now)],
    ledger: {
      path: '/var/lib/polaris-push/ledger.db',
      state: 'open',
      bytes: 3_565_158,
      commitMs: { count: 512, p50: 1.1, p99: 4.8 },
    },
    ...more,
  };
}

const seen = (table: TableIdentifier, of = 'main'): EntryRecord => ({ kind: 'seen', target: of, table, count: 1 });

export function delivered(table: TableIdentifier, now: number, of = 'main'): readonly EntryRecord[] {
  const timestamp = nextTimestamp(undefined, now - 40 * MINUTE_MS);
  const metadataLocation = `s3://lake/sales/${table.name}/metadata/00041-8a3e.metadata.json`;
  const notification = { type: 'UPDATE', table, timestamp, metadataLocation } as const;
  return [
    seen(table, of),
    { kind: 'intent', target: of, table, notification },
    { kind: 'outcome', target: of, table, outcome: 'admitted' },
    { kind: 'settled', target: of, table, seen: 1 },
  ];
}

export const parked = (
  table: TableIdentifier,
  code: ParkCode,
  { since, detail, of = 'main' }: { readonly since: number; readonly detail: string; readonly of?: string },
): readonly EntryRecord[] => [
  seen(table, of),
  {
    kind: 'parked',
    target: of,
    table,
    seen: 1,
    parked: { code, detail, since, type: code === 'DROP_HELD' ? 'DROP' : 'UPDATE' },
  },
];

const NAMES = ['orders', 'order_lines', 'customers', 'returns', 'invoices', 'stock_levels', 'carts', 'sessions'];

const everyday = (now: number) => NAMES.flatMap((name) => delivered(sales(name), now));

export const healthy: Scenario = {
  snapshot: (now) => snapshotAt(now),
  records: everyday,
  notifications: NAMES.map((name) => ({ table: sales(name) })),
};

/** Behind for twenty minutes, and catching up. */
export const lagging: Scenario = {
  snapshot: (now) => {
    const { source, ...rest } = snapshotAt(now);
    const behind = Math.max(0, LAG_SINCE_MS - (Date.now() - now));
    const lagMs = Math.round(behind > 0 ? behind * 0.7 : calmLag(now));
    const figures = {
      ...source.figures,
      lagMs,
      lagBytes: lagMs * 9000,
      slot: { state: 'extended', active: true, retainedBytes: lagMs * 9000, safeBytes: 12 * 1024 ** 3 } as const,
    };
    const busy = target(now, {
      totals: { entries: 1284, delivered: 1271, pending: 412, parked: 0, skipped: 13 },
      inFlight: 16,
      oldestPendingSince: now - 13 * MINUTE_MS,
      commitToVisibleMs: { count: 512, p50: 412_000, p99: 811_000 },
    });
    return { ...rest, source: { ...source, figures }, targets: [busy] };
  },
  records: everyday,
  notifications: healthy.notifications,
};
const LAG_SINCE_MS = 20 * MINUTE_MS;

const LOCATION =
  'Invalid locations [s3://legacy/sales] for identifier: not in the list of allowed locations: [s3://lake/]';

export const withParked: Scenario = {
  snapshot: (now) =>
    snapshotAt(now, {
      targets: [
        target(now, {
          totals: { entries: 1284, delivered: 1250, pending: 0, parked: 24, skipped: 10 },
          parked: { LOCATION_NOT_ALLOWED: 11, METADATA_MISSING: 1, DROP_HELD: 12 },
          audit: { at: now - 31 * MINUTE_MS, tables: 1271, drift: { missing: 2, orphan: 1 } },
        }),
      ],
      sinks: [sink(now, { waiting: 3, oldest: now - 90_000, buried: 2 })],
    }),
  records: (now) => [
    ...everyday(now),
    ...Array.from({ length: 11 }, (_, i) =>
      parked({ namespace: ['legacy'], name: `sales_${2014 + i}` }, 'LOCATION_NOT_ALLOWED', {
        since: now - (40 + i) * MINUTE_MS,
        detail: LOCATION,
      }),
    ).flat(),
    ...parked(sales('returns_staging'), 'METADATA_MISSING', {
      since: now - 3 * HOUR_MS,
      detail: 'Location does not exist: s3://lake/sales/returns_staging/metadata/00007-91ce.metadata.json',
    }),
    ...Array.from({ length: 12 }, (_, i) =>
      parked({ namespace: ['finance'], name: `ledger_${String(i + 1).padStart(2, '0')}` }, 'DROP_HELD', {
        since: now - 9 * MINUTE_MS,
        detail: '32 tables vanished within 10m; 20 may go without somebody looking.',
      }),
    ).flat(),
  ],
  notifications: [
    ...healthy.notifications,
    {
      table: { namespace: ['legacy'], name: 'sales_2024' },
      outcome: { kind: 'refused', reason: 'location-not-allowed', status: 403, message: LOCATION },
    },
  ],
};

export const targetDown: Scenario = {
  snapshot: (now) =>
    snapshotAt(now, {
      targets: [
        target(now, {
          state: 'down',
          since: now - 6 * MINUTE_MS,
          lastError: { at: now - 4000, detail: 'connect ECONNREFUSED polaris.internal:8181' },
          breaker: 'open',
          inFlight: 0,
          limit: 1,
          totals: { entries: 1284, delivered: 1271, pending: 37, parked: 0, skipped: 13 },
          oldestPendingSince: now - 6 * MINUTE_MS,
          lastDeliveryAt: now - 6 * MINUTE_MS,
          admitted: 0,
        }),
        target(now, { name: 'disaster-recovery' }),
      ],
      sinks: [
        sink(now),
        sink(now, {
          name: 'lineage',
          state: 'down',
          since: now - 3 * MINUTE_MS,
          waiting: 120,
          oldest: now - 3 * MINUTE_MS,
          lastError: { at: now - 2000, detail: 'https://lineage.internal/hook answered 502' },
        }),
      ],
    }),
  records: (now) => [...everyday(now), ...NAMES.flatMap((name) => delivered(sales(name), now, 'disaster-recovery'))],
  notifications: [
    ...healthy.notifications.map((one) => ({ ...one, target: 'disaster-recovery' })),
    { table: sales('orders'), outcome: { kind: 'unavailable', message: 'connect ECONNREFUSED' } },
  ],
};

export const MARKUP = '<script>document.title="owned"</script><img src=x onerror=alert(1)>';
export const HOSTILE: readonly TableIdentifier[] = [
  { namespace: ['sales'], name: MARKUP },
  { namespace: ['\u001b[31mred\u001b[0m'], name: 'line\nfeed\ttab' },
  { namespace: ['sales'], name: '\u202egnp.exe\u009b2J' },
  { namespace: ['sales'], name: 'x'.repeat(3000) },
  { namespace: ['"quoted"'], name: "it's & co </bdi>" },
];

export const hostile: Scenario = {
  snapshot: (now) =>
    snapshotAt(now, {
      targets: [
        target(now, {
          state: 'down',
          lastError: { at: now, detail: `${MARKUP} \u001b[2J\n${'y'.repeat(500)}` },
          totals: { entries: 5, delivered: 0, pending: 0, parked: 5, skipped: 0 },
          parked: { REFUSED: 5 },
        }),
      ],
    }),
  records: (now) => HOSTILE.flatMap((table) => parked(table, 'REFUSED', { since: now - HOUR_MS, detail: MARKUP })),
  notifications: HOSTILE.map((table) => ({
    table,
    outcome: { kind: 'refused', reason: 'unrecognized', status: 400, message: MARKUP },
  })),
};

export const SCENARIOS = { healthy, lagging, parked: withParked, 'target-down': targetDown, hostile } as const;
