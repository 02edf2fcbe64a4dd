import { describe, expect, test } from 'vitest';
import type { Connector, Delivery } from '../../src/connector/connector.ts';
import type { Finding } from '../../src/core/finding.ts';
import { sameTable, showTable } from '../../src/core/table.ts';
import type { Change, Position, TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';

/** One source that is the test's own, with what a test does to it from outside. Tables are named as the source names them. */
export interface ConnectorFixture extends AsyncDisposable {
  /** A new connector on the source, as after a restart of the process. The fixture closes it. */
  open(): Promise<Connector>;
  check(): AsyncIterable<Finding>;
  /** Names of the source's kind, all different from each other. */
  table(name: string): TableIdentifier;
  create(table: TableIdentifier): Promise<void>;
  commit(table: TableIdentifier): Promise<void>;
  drop(table: TableIdentifier): Promise<void>;
  /** Absent where the source can't rename. */
  rename?(table: TableIdentifier, to: TableIdentifier): Promise<void>;
  /** The source has no cursor: what was not acknowledged before a restart is found by the list that every start begins with. */
  readonly keepsNoCursor?: true | undefined;
  /** Something that isn't an Iceberg table. */
  createUnsupported(table: TableIdentifier): Promise<void>;
  /** From here on every read fails or is denied. */
  breakReads(): Promise<void>;
  /** A text that differs if anything in the source was changed by the connector. */
  contents(): Promise<string>;
  /** Values of the configuration that must never be shown. */
  readonly secrets: readonly string[];
  /** All that was logged, as text. */
  logged(): string;
}

/** An abort has to end anything within this time. */
const DEADLINE_MS = 2_000;

/** What every connector keeps to. */
export function connectorContract(name: string, openFixture: () => Promise<ConnectorFixture>): void {
  describe(`${name}: a connector`, () => {
    reading(openFixture);
    watching(openFixture);
    failing(openFixture);
  });
}

function reading(openFixture: () => Promise<ConnectorFixture>): void {
  test('lists what it resolves, each table once, and nothing absent', async () => {
    await using fixture = await openFixture();
    const tables = ['a', 'b', 'c'].map((name) => fixture.table(name));
    for (const table of tables) await fixture.create(table);
    await fixture.createUnsupported(fixture.table('view'));
    const connector = await fixture.open();
    await connector.prepare(never);
    const listed = await listAll(connector);
    expect(listed.map(({ table }) => showTable(table)).toSorted()).toEqual(
      [...tables, fixture.table('view')].map(showTable).toSorted(),
    );
    expect(listed.map(({ kind }) => kind)).not.toContain('absent');
    const resolved = await connector.resolve(
      listed.map(({ table }) => table),
      never,
    );
    expect(resolved.map(withoutTime)).toEqual(listed.map(withoutTime));
  });

  test('resolves one state a name, in the order of the question, also for what it doesn’t have', async () => {
    await using fixture = await openFixture();
    await fixture.create(fixture.table('a'));
    const connector = await fixture.open();
    const asked = [fixture.table('nobody'), fixture.table('a'), fixture.table('nobody'), fixture.table('a')];
    const states = await connector.resolve(asked, never);
    expect(states.map(({ table }) => table)).toEqual(asked);
    expect(states.map(({ kind }) => kind)).toEqual(['absent', 'present', 'absent', 'present']);
    expect(await connector.resolve([], never)).toEqual([]);
  });

  test('keeps a table’s incarnation over commits and gives a re-created one another', async () => {
    await using fixture = await openFixture();
    const table = fixture.table('a');
    const connector = await fixture.open();
    const incarnation = async () => {
      const [state] = await connector.resolve([table], never);
      return state?.kind === 'present' ? state.incarnation : undefined;
    };
    await fixture.create(table);
    const first = await incarnation();
    await fixture.commit(table);
    expect(await incarnation()).toBe(first);
    await fixture.drop(table);
    expect(await incarnation()).toBeUndefined();
    await fixture.create(table);
    expect([undefined, first]).not.toContain(await incarnation());
  });

  test('reads what is committed, at a time that doesn’t go back', async () => {
    await using fixture = await openFixture();
    const table = fixture.table('a');
    await fixture.create(table);
    const connector = await fixture.open();
    const states: TableState[] = [];
    for (let version = 0; version < 5; version++) {
      states.push(...(await connector.resolve([table], never)));
      await fixture.commit(table);
    }
    const times = states.map(({ asOf }) => asOf);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
    expect(new Set(states.map((state) => (state.kind === 'present' ? state.metadataLocation : ''))).size).toBe(5);
  });

  test('is called the same after a restart', async () => {
    await using fixture = await openFixture();
    expect((await fixture.open()).source).toBe((await fixture.open()).source);
  });
}

function watching(openFixture: () => Promise<ConnectorFixture>): void {
  test('delivers what was changed after prepare, although nobody watched yet', async () => {
    await using fixture = await openFixture();
    const connector = await fixture.open();
    await connector.prepare(never);
    await fixture.create(fixture.table('a'));
    await using watch = new Watch(connector);
    expect(await watch.untilHinted(fixture.table('a'))).toMatchObject([{ kind: 'upserted' }]);
  });

  test('hints at a table that was created, committed and dropped, before a read could miss it', async () => {
    await using fixture = await openFixture();
    const table = fixture.table('a');
    const connector = await fixture.open();
    await connector.prepare(never);
    await listAll(connector);
    await using watch = new Watch(connector);
    for (const [change, kind] of [
      [() => fixture.create(table), 'present'],
      [() => fixture.commit(table), 'present'],
      [() => fixture.drop(table), 'absent'],
    ] as const) {
      const [before] = await connector.resolve([table], never);
      await change();
      await watch.untilHinted(table);
      const [after] = await connector.resolve([table], never);
      expect(after?.kind).toBe(kind);
      expect(after).not.toEqual(before);
    }
  });

  test('hints at both names of a renamed table', async () => {
    await using fixture = await openFixture();
    const [from, to] = [fixture.table('a'), fixture.table('b')];
    await fixture.create(from);
    const connector = await fixture.open();
    await connector.prepare(never);
    await listAll(connector);
    await using watch = new Watch(connector);
    if (fixture.rename === undefined) {
      await fixture.create(to);
      await fixture.drop(from);
    } else await fixture.rename(from, to);
    const changes = [...(await watch.untilHinted(to)), ...(watch.hinted(from) ? [] : await watch.untilHinted(from))];
    expect(changes.length).toBeGreaterThan(0);
    expect((await connector.resolve([from, to], never)).map(({ kind }) => kind)).toEqual(['absent', 'present']);
  });

  test('delivers again what was not acknowledged, and nothing that was', async () => {
    await using fixture = await openFixture();
    const [a, b, c] = [fixture.table('a'), fixture.table('b'), fixture.table('c')];
    const first = await fixture.open();
    await first.prepare(never);
    {
      await using watch = new Watch(first);
      await fixture.create(a);
      await watch.untilHinted(a);
      await fixture.create(b);
      await watch.untilHinted(b, 'unacknowledged');
    }
    const restarted = await fixture.open();
    await restarted.prepare(never);
    // Without a cursor, the list that every start begins with finds everything.
    const cursor = fixture.keepsNoCursor !== true;
    if (!cursor) await fixture.create(c);
    const found = cursor ? await hintedUntil(restarted, c, () => fixture.create(c)) : await listedBy(restarted);
    expect([a, b, c].map((table) => found(table))).toEqual([!cursor, true, true]);
  });

  test('resumes after a position, if it has positions, and its positions grow', async () => {
    await using fixture = await openFixture();
    const connector = await fixture.open();
    await connector.prepare(never);
    const positions: (Position | undefined)[] = [];
    {
      await using watch = new Watch(connector);
      for (const name of ['a', 'b', 'c']) {
        await fixture.create(fixture.table(name));
        await watch.untilHinted(fixture.table(name), 'unacknowledged');
        positions.push(watch.position);
      }
    }
    if (positions.every((position) => position === undefined)) return;
    expect(positions.toSorted((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1))).toEqual(positions);
    expect(new Set(positions).size).toBe(3);
    await using resumed = new Watch(connector, positions[1]);
    await resumed.untilHinted(fixture.table('c'));
    expect(['a', 'b'].map((name) => resumed.hinted(fixture.table(name)))).toEqual([false, false]);
  });

  test('ends a watch at once whose signal has been aborted before, without an error', async () => {
    await using fixture = await openFixture();
    const connector = await fixture.open();
    await connector.prepare(never);
    const watch = connector.watch(undefined, AbortSignal.abort())[Symbol.asyncIterator]();
    expect(await watch.next()).toMatchObject({ done: true });
  });

  test('ends a watch that waits for changes soon after an abort, and another one goes on', async () => {
    await using fixture = await openFixture();
    const connector = await fixture.open();
    await connector.prepare(never);
    const stop = new AbortController();
    const deliveries = connector.watch(undefined, stop.signal)[Symbol.asyncIterator]();
    await fixture.create(fixture.table('a'));
    const first = await deliveries.next();
    if (first.done !== true) await first.value.ack();
    const next = deliveries.next();
    const before = performance.now();
    stop.abort();
    expect(await next).toMatchObject({ done: true });
    expect(performance.now() - before).toBeLessThan(DEADLINE_MS);
    await using again = new Watch(connector);
    await fixture.create(fixture.table('b'));
    await again.untilHinted(fixture.table('b'));
    expect(again.hinted(fixture.table('a'))).toBe(false);
  });
}

function failing(openFixture: () => Promise<ConnectorFixture>): void {
  test('throws when a read fails and never says absent, nor lists less', async () => {
    await using fixture = await openFixture();
    await fixture.create(fixture.table('a'));
    const connector = await fixture.open();
    await connector.prepare(never);
    await fixture.breakReads();
    await expect(connector.resolve([fixture.table('a'), fixture.table('nobody')], never)).rejects.toBeInstanceOf(
      PushError,
    );
    await expect(listAll(connector)).rejects.toBeInstanceOf(PushError);
  });

  test('throws the reason of an abort from prepare, list and resolve', async () => {
    await using fixture = await openFixture();
    await fixture.create(fixture.table('a'));
    const connector = await fixture.open();
    const signal = AbortSignal.abort(new Error('stopped by the test'));
    await expect(connector.prepare(signal)).rejects.toThrow('stopped by the test');
    await expect(connector.resolve([fixture.table('a')], signal)).rejects.toThrow('stopped by the test');
    await expect(listAll(connector, signal)).rejects.toThrow('stopped by the test');
  });

  test('checks without changing anything, and reports instead of throwing', async () => {
    await using fixture = await openFixture();
    await fixture.create(fixture.table('a'));
    const before = await fixture.contents();
    const findings = await collect(fixture.check());
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
    expect(findings.length).toBeGreaterThan(0);
    expect(await fixture.contents()).toBe(before);
    await fixture.breakReads();
    const errors = (await collect(fixture.check())).filter(({ level }) => level === 'error');
    expect(errors.length).toBeGreaterThan(0);
    for (const { fix, code } of errors) expect([typeof fix, typeof code]).toEqual(['string', 'string']);
  });

  test('shows no secret in its name, findings, errors and log', async () => {
    await using fixture = await openFixture();
    await fixture.create(fixture.table('a'));
    const connector = await fixture.open();
    await connector.prepare(never);
    const texts = [connector.source, ...(await collect(fixture.check())).map((finding) => JSON.stringify(finding))];
    await fixture.breakReads();
    for (const attempt of [() => connector.resolve([fixture.table('a')], never), () => listAll(connector)]) {
      const error: unknown = await attempt().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(PushError);
      const { message, fix, stack, cause } = error as PushError;
      texts.push(message, fix, stack ?? '', JSON.stringify(error), String(cause), JSON.stringify(cause) ?? '');
    }
    texts.push(...(await collect(fixture.check())).map((finding) => JSON.stringify(finding)), fixture.logged());
    expect(fixture.secrets.length).toBeGreaterThan(0);
    for (const secret of fixture.secrets) for (const text of texts) expect(text).not.toContain(secret);
  });
}

const never = new AbortController().signal;

async function listAll(connector: Connector, signal = never): Promise<TableState[]> {
  return (await collect(connector.list(signal))).flat();
}

async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const collected: Value[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}

type Found = (table: TableIdentifier) => boolean;

async function listedBy(connector: Connector): Promise<Found> {
  const states = await listAll(connector);
  return (table) => states.some((state) => sameTable(state.table, table));
}

/** What a new watch hints at until it hints at `last`, which `change` changes. */
async function hintedUntil(connector: Connector, last: TableIdentifier, change: () => Promise<void>): Promise<Found> {
  await using watch = new Watch(connector);
  await change();
  await watch.untilHinted(last);
  return (table) => watch.hinted(table);
}

/** All that a state says except when. */
function withoutTime(state: TableState): object {
  return { ...state, asOf: undefined };
}

/** A watch under way that remembers what it was hinted at. */
class Watch implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #deliveries: AsyncIterator<Delivery>;
  readonly #changes: Change[] = [];
  position: Position | undefined;

  constructor(connector: Connector, after?: Position) {
    this.#deliveries = connector.watch(after, this.#stop.signal)[Symbol.asyncIterator]();
  }

  hinted(table: TableIdentifier): boolean {
    return this.#changes.some((change) => speaksOf(change, table));
  }

  /** Takes deliveries until one hints at the table; returns the changes that do. */
  async untilHinted(
    table: TableIdentifier,
    ack: 'acknowledged' | 'unacknowledged' = 'acknowledged',
  ): Promise<Change[]> {
    for (;;) {
      const result = await this.#deliveries.next();
      if (result.done === true) throw new Error(`The watch ended before it hinted at ${showTable(table)}.`);
      const delivery = result.value;
      const { changes } = delivery;
      this.#changes.push(...changes);
      this.position = delivery.position ?? this.position;
      if (ack === 'acknowledged') await delivery.ack();
      const found = changes.filter((change) => speaksOf(change, table));
      if (found.length > 0) return found;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#deliveries.return?.();
  }
}

function speaksOf(change: Change, table: TableIdentifier): boolean {
  return sameTable(change.table, table) || (change.kind === 'renamed' && sameTable(change.to, table));
}
