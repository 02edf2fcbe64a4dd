import { HiveError, type HiveWriter } from './writer.ts';

/** Writers of one metastore: an engine whose commits take locks, as Iceberg's default is, and one whose commits don't. */
export type Writers = { readonly locking: HiveWriter; readonly lockFree: HiveWriter };

/** Counts what was done, by its name. */
export class Operations {
  readonly counts = new Map<string, number>();

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  async do(name: string, work: Promise<unknown>): Promise<void> {
    await work;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

type Part = (work: Work) => Promise<void>;
type Work = Writers & {
  readonly did: (name: string, work: Promise<unknown>) => Promise<void>;
  /** Several at once. */
  readonly commits: (writer: HiveWriter, table: string, count: number) => Promise<unknown>;
};

/**
 * Everything that happens to tables in a metastore, each at least once: what must show in Polaris, what must not, several
 * things at a time, and bursts. `operations` counts; `onPart` is told what comes next.
 */
export async function fixedWorkload(
  writers: Writers,
  operations: Operations,
  onPart: (text: string) => void = () => {},
): Promise<void> {
  const did = (name: string, work: Promise<unknown>) => operations.do(name, work);
  const commits = (writer: HiveWriter, table: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => did('commit', writer.commit(table))));
  for (const [text, part] of PARTS) {
    onPart(text);
    await part({ ...writers, did, commits });
  }
}

const TABLES = ['sales.orders', 'sales.items', 'sales.customers', 'finance.invoices', 'finance.payments'];

const createNamespacesAndTables: Part = async ({ locking, lockFree, did }) => {
  for (const name of ['sales', 'finance', 'staging', 'archive', 'empty']) {
    await did('create namespace', locking.createNamespace(name, { owner_team: name }));
  }
  await Promise.all(TABLES.map((table) => did('create table', locking.createTable(table))));
  await did('create table as select', lockFree.createTable('sales.daily_totals', { appendedFiles: 3 }));
};

const commitInTurnAndAtOnce: Part = async ({ locking, lockFree, did, commits }) => {
  for (const table of TABLES) await commits(locking, table, 2);
  await did('set property', locking.commit('sales.items', { set: { 'write.format.default': 'orc' } }));
  await did('add column', locking.commit('sales.items', { addColumns: [{ name: 'discount', type: 'long' }] }));
  await did('transaction', locking.commit('sales.items', { set: { note: 'two at once' }, appendedFiles: 2 }));
  await commits(lockFree, 'sales.daily_totals', 40);
  await Promise.all(TABLES.map((table) => commits(locking, table, 8)));
  await did('failed commit', locking.failCommit('sales.orders'));
  await did('replace table', locking.replaceTable('finance.invoices'));
};

const renameAndRecreate: Part = async ({ locking, lockFree, did }) => {
  await did('rename table', locking.renameTable('sales.customers', 'sales.clients'));
  await did('rename to another namespace', locking.renameTable('finance.payments', 'archive.payments'));
  await did('commit', locking.commit('archive.payments'));
  const ring = [
    ['sales.orders', 'sales.swap'],
    ['sales.items', 'sales.orders'],
    ['sales.swap', 'sales.items'],
  ] as const;
  for (const [from, to] of ring) await did('rename table', locking.renameTable(from, to));
  for (let round = 0; round < 3; round += 1) {
    await did('create table', lockFree.createTable('staging.nightly', { appendedFiles: 1 }));
    if (round < 2) await did('drop table', lockFree.dropTable('staging.nightly'));
  }
  const commit = locking.commit('sales.clients');
  await did('commit', commit);
  await did('register table', locking.registerTable('archive.clients_copy', await commit));
};

const writeOtherKinds: Part = async ({ locking, did }) => {
  await did('create view', locking.createView('sales.big_orders', 'select * from orders'));
  await did('replace view', locking.replaceView('sales.big_orders', 'select * from orders where id > 9'));
  await did('rename view', locking.renameTable('sales.big_orders', 'sales.large_orders'));
  await did('create view', locking.createView('sales.gone', 'select 1'));
  await did('drop view', locking.dropTable('sales.gone'));
  await did('create Hive table', locking.createHiveTable('finance.legacy', { x: '1' }));
  await did('alter Hive table', locking.alterTable('finance.legacy', 'x', '2'));
  await did('rename Hive table', locking.renameTable('finance.legacy', 'finance.older'));
  await did('create Hive table', locking.createHiveTable('finance.scratch'));
  await did('drop Hive table', locking.dropTable('finance.scratch'));
  await did('Hive ALTER TABLE', locking.alterTable('finance.invoices', 'note', 'hello'));
  await did('Hive ALTER TABLE', locking.alterTable('finance.invoices', 'note', undefined));
};

const dropOneByOneAndByCascade: Part = async ({ locking, did }) => {
  for (let index = 0; index < 4; index += 1) {
    await did('create table', locking.createTable(`staging.part_${index}`));
    await did('create table', locking.createTable(`empty.part_${index}`));
  }
  await did('drop table', locking.dropTable('staging.part_0'));
  await did('drop table and files', locking.dropTable('staging.part_1', { purge: true }));
  await did('CASCADE by the client', locking.dropNamespaceCascade('staging', 'client'));
  await did('CASCADE by the server', locking.dropNamespaceCascade('empty', 'server'));
  await did('create namespace', locking.createNamespace('empty'));
  await did('drop namespace', locking.dropNamespace('empty'));
};

const burstOfManyTables: Part = async ({ locking, lockFree, did }) => {
  await did('create namespace', locking.createNamespace('events'));
  const streams = Array.from({ length: 20 }, (_, index) => `events.stream_${String(index).padStart(2, '0')}`);
  await Promise.all(
    streams.map(async (table) => {
      await did('create table', lockFree.createTable(table));
      for (let commit = 0; commit < 10; commit += 1) await did('commit', lockFree.commit(table));
    }),
  );
};

const PARTS: readonly (readonly [text: string, part: Part])[] = [
  ['namespaces and tables', createNamespacesAndTables],
  ['commits, one after the other and many at once', commitInTurnAndAtOnce],
  ['renames, also in a ring, and tables of the same name again', renameAndRecreate],
  ['views, tables of plain Hive, and what Hive itself does to Iceberg tables', writeOtherKinds],
  ['drops, one by one and by CASCADE', dropOneByOneAndByCascade],
  ['a burst: 20 tables, 10 commits each', burstOfManyTables],
];

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NAMESPACES = ['sales', 'finance', 'events'] as const;
const WORDS = ['orders', 'items', 'clients', 'invoices', 'payments', 'clicks', 'visits', 'stock', 'prices', 'returns'];

export type RandomWorkloadOptions = {
  readonly writers: Writers;
  readonly operations: Operations;
  readonly signal: AbortSignal;
  /** Starts the next operation. */
  readonly pause: () => Promise<unknown>;
  readonly random: () => number;
};

/**
 * One engine at work until `signal` aborts: mostly commits, now and then anything else that happens in a metastore. Several
 * of them may run side by side on the same names: what another one made impossible is left out.
 */
export async function randomWorkload({
  writers,
  operations,
  signal,
  pause,
  random,
}: RandomWorkloadOptions): Promise<void> {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const table = () => `${pick(NAMESPACES)}.${pick(WORDS)}`;
  const steps: readonly (readonly [weight: number, name: string, work: () => Promise<unknown>])[] = [
    [60, 'commit', () => pick([writers.locking, writers.lockFree]).commit(table())],
    [12, 'create table', () => writers.locking.createTable(table(), { appendedFiles: 1 })],
    [6, 'rename table', () => writers.locking.renameTable(table(), table())],
    [6, 'drop table', () => writers.locking.dropTable(table())],
    [4, 'burst of commits', () => burst(writers.lockFree, table())],
    [3, 'drop and create', () => recreate(writers.locking, table())],
    [2, 'replace table', () => writers.lockFree.replaceTable(table())],
    [2, 'failed commit', () => writers.locking.failCommit(table())],
    [2, 'Hive ALTER TABLE', () => writers.locking.alterTable(table(), 'note', String(random()))],
    [2, 'create and drop view', () => temporaryView(writers.locking, `${pick(NAMESPACES)}.view_of_${pick(WORDS)}`)],
    [1, 'create and drop Hive table', () => temporaryTable(writers.locking, `${pick(NAMESPACES)}.text_${pick(WORDS)}`)],
  ];
  const weight = steps.reduce((sum, [share]) => sum + share, 0);
  while (!signal.aborted) {
    let left = random() * weight;
    const step = steps.find(([share]) => (left -= share) < 0);
    try {
      if (step !== undefined) await operations.do(step[1], step[2]());
    } catch (error) {
      if (!(error instanceof HiveError)) throw error;
    }
    await pause();
  }
}

/** What `randomWorkload` finds when it begins: its namespaces, and a third of its tables. */
export async function createTables(writer: HiveWriter, operations: Operations): Promise<void> {
  for (const namespace of NAMESPACES) {
    await operations.do('create namespace', writer.createNamespace(namespace));
    for (const word of WORDS.slice(0, 3)) {
      await operations.do('create table', writer.createTable(`${namespace}.${word}`));
    }
  }
}

async function burst(writer: HiveWriter, table: string): Promise<void> {
  await Promise.all(Array.from({ length: 12 }, () => writer.commit(table)));
}

async function recreate(writer: HiveWriter, table: string): Promise<void> {
  await writer.dropTable(table);
  await writer.createTable(table);
}

async function temporaryView(writer: HiveWriter, view: string): Promise<void> {
  await writer.createView(view, 'select 1');
  await writer.replaceView(view, 'select 2');
  await writer.dropTable(view);
}

async function temporaryTable(writer: HiveWriter, table: string): Promise<void> {
  await writer.createHiveTable(table);
  await writer.dropTable(table);
}
