import type { Request } from './driver.ts';

/** What one user does to the metastore; Polaris is compared with it afterwards. */
export type Operation = {
  readonly name: string;
  /** Carried out one after the other, without waiting for Polaris in between. */
  readonly requests: readonly Request[];
  /** The metastore must refuse it, in words that match; nothing may change. */
  readonly refused?: RegExp | undefined;
  /** Tables that Polaris keeps although Iceberg no longer lists them: the source still has them, as plain Hive tables. */
  readonly kept?: readonly string[] | undefined;
  /** Stop the agent before, and start it again after the requests: what it missed it finds by listing. */
  readonly whileStopped?: 'SIGTERM' | 'SIGKILL' | undefined;
  /** Restart the database under the metastore and the agent before the requests. */
  readonly restartPostgres?: boolean | undefined;
};

const request = (command: string, fields: Readonly<Record<string, unknown>> = {}): Request => ({ command, ...fields });
const on =
  (command: string) =>
  (table: string, fields: Readonly<Record<string, unknown>> = {}): Request =>
    request(command, { table, ...fields });
const moving =
  (command: string, subject = 'table') =>
  (from: string, to: string): Request =>
    request(command, { [subject]: from, to });

const createNamespace = (namespace: string) => request('create_namespace', { namespace });
const create = on('create');
const append = on('append');
const drop = on('drop');
const rename = moving('rename');
const setProperties = (table: string, properties: Readonly<Record<string, string>>) =>
  request('set_properties', { table, properties });
const parallel = (...writers: readonly (readonly Request[])[]) => request('parallel', { writers });
const times = <T>(count: number, make: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Concurrent writers on one table collide often, and must win in the end. */
const PATIENT = { 'commit.retry.num-retries': '30', 'commit.retry.min-wait-ms': '20' };
/** Commits by compare-and-set in the metastore, without Hive's table locks. */
const LOCKLESS = { 'engine.hive.lock-enabled': 'false' };

const namespaces: readonly Operation[] = [
  { name: 'create a namespace', requests: [createNamespace('sales')] },
  { name: 'create a second namespace', requests: [createNamespace('archive')] },
  {
    name: 'set a namespace property',
    requests: [request('set_namespace_properties', { namespace: 'sales', properties: { team: 'blue' } })],
  },
];

const commits: readonly Operation[] = [
  { name: 'create a table', requests: [create('sales.orders')] },
  {
    name: 'create a table at a location of its own',
    requests: [create('sales.placed', { folder: 'elsewhere/placed' })],
  },
  { name: 'commit a property', requests: [setProperties('sales.orders', { color: 'blue' })] },
  { name: 'append', requests: [append('sales.orders')] },
  { name: 'add a column', requests: [on('add_columns')('sales.orders', { count: 1 })] },
  { name: 'commit a transaction of three changes', requests: [on('transaction')('sales.orders')] },
  { name: 'append again', requests: [append('sales.orders')] },
  { name: 'roll back to the snapshot before', requests: [on('roll_back')('sales.orders')] },
  { name: 'create a branch', requests: [on('branch')('sales.orders', { branch: 'audit' })] },
  { name: 'upgrade to format version 3', requests: [setProperties('sales.orders', { 'format-version': '3' })] },
  { name: 'set a property of 10 kB', requests: [on('set_long_property')('sales.orders', { length: 10_000 })] },
  { name: 'append to a table with a property of 10 kB', requests: [append('sales.orders')] },
  { name: 'add 300 columns', requests: [on('add_columns')('sales.orders', { count: 300 })] },
  { name: 'append to a table with 300 columns', requests: [append('sales.orders')] },
  { name: 'twenty commits in a row', requests: times(20, () => append('sales.orders')) },
  { name: 'create a table as select', requests: [on('create_as_select')('sales.customers')] },
  { name: 'replace a table', requests: [on('replace')('sales.orders')] },
  { name: 'append to a replaced table', requests: [append('sales.orders')] },
  { name: 'create a table without Hive locks', requests: [create('sales.lockless', { properties: LOCKLESS })] },
  { name: 'commit without Hive locks', requests: times(3, () => append('sales.lockless')) },
];

const refusals: readonly Operation[] = [
  {
    name: 'refused: create a table that exists',
    requests: [create('sales.orders')],
    refused: /AlreadyExistsException/,
  },
  {
    name: 'refused: rename onto a table that exists',
    requests: [rename('sales.customers', 'sales.orders')],
    refused: /AlreadyExistsException|already exists/,
  },
  {
    name: 'refused: drop a namespace that holds tables',
    requests: [request('drop_namespace', { namespace: 'sales' })],
    refused: /NamespaceNotEmptyException/,
  },
  {
    name: 'refused: a commit on top of a state that was replaced',
    requests: [on('commit_stale')('sales.customers')],
    refused: /CommitFailedException/,
  },
];

const renames: readonly Operation[] = [
  { name: 'rename', requests: [rename('sales.orders', 'sales.orders_2')] },
  { name: 'commit after a rename', requests: [append('sales.orders_2')] },
  { name: 'rename into another namespace', requests: [rename('sales.orders_2', 'archive.orders')] },
  { name: 'commit after a rename into another namespace', requests: [append('archive.orders')] },
  { name: 'rename back', requests: [rename('archive.orders', 'sales.orders')] },
  {
    name: 'a chain of renames',
    requests: [
      rename('sales.orders', 'sales.step_1'),
      rename('sales.step_1', 'archive.step_2'),
      rename('archive.step_2', 'sales.step_3'),
    ],
  },
  {
    name: 'a chain of renames that ends where it began',
    requests: [
      rename('sales.step_3', 'sales.orders'),
      rename('sales.orders', 'sales.away'),
      rename('sales.away', 'sales.orders'),
    ],
  },
  {
    name: 'swap two tables',
    requests: [
      rename('sales.orders', 'sales.swap'),
      rename('sales.customers', 'sales.orders'),
      rename('sales.swap', 'sales.customers'),
    ],
  },
  {
    name: 'move on to the next name, three tables at once',
    requests: [
      create('sales.daily'),
      create('sales.daily_old'),
      drop('sales.daily_old'),
      rename('sales.daily', 'sales.daily_old'),
      create('sales.daily'),
    ],
  },
  {
    name: 'rename and commit at once',
    requests: [rename('sales.daily', 'sales.daily_new'), append('sales.daily_new')],
  },
  {
    name: 'create, rename and drop at once',
    requests: [create('sales.brief'), rename('sales.brief', 'sales.briefer'), drop('sales.briefer')],
  },
];

const registrations: readonly Operation[] = [
  {
    name: 'register the metadata of another table',
    requests: [on('register')('sales.registered', { from: 'sales.orders' })],
  },
  { name: 'commit to a registered table', requests: [append('sales.registered')] },
];

const views: readonly Operation[] = [
  {
    name: 'create a view',
    requests: [request('create_view', { view: 'sales.recent', query: 'select * from orders' })],
  },
  {
    name: 'replace a view',
    requests: [request('replace_view', { view: 'sales.recent', query: 'select id from orders' })],
  },
  { name: 'rename a view', requests: [moving('rename_view', 'view')('sales.recent', 'sales.latest')] },
  { name: 'drop a view', requests: [request('drop_view', { view: 'sales.latest' })] },
  {
    name: 'a view takes the name of a dropped table',
    requests: [
      drop('sales.daily_new'),
      request('create_view', { view: 'sales.daily_new', query: 'select * from daily_old' }),
    ],
  },
  {
    name: 'a table takes the name of a dropped view',
    requests: [request('drop_view', { view: 'sales.daily_new' }), create('sales.daily_new')],
  },
];

const hiveTables: readonly Operation[] = [
  { name: 'create a plain Hive table', requests: [on('create_hive_table')('sales.plain')] },
  {
    name: 'alter a plain Hive table',
    requests: [on('alter_parameters')('sales.plain', { properties: { note: '1' } })],
  },
  { name: 'rename a plain Hive table', requests: [moving('rename_by_hive')('sales.plain', 'sales.plainer')] },
  {
    name: 'migrate a plain Hive table to Iceberg',
    requests: [on('alter_parameters')('sales.plainer', { likeTable: 'sales.orders' })],
  },
  {
    name: 'strip a table of its Iceberg parameters',
    requests: [on('alter_parameters')('sales.plainer', { unset: ['table_type'] })],
    kept: ['sales.plainer'],
  },
  {
    name: 'give a table its Iceberg parameters back',
    requests: [on('alter_parameters')('sales.plainer', { likeTable: 'sales.customers' })],
  },
  { name: 'drop a migrated table', requests: [on('drop_by_hive')('sales.plainer')] },
  {
    name: 'create and drop a plain Hive table',
    requests: [on('create_hive_table')('sales.plain'), on('drop_by_hive')('sales.plain')],
  },
];

const alterations: readonly Operation[] = [
  {
    name: 'ALTER TABLE SET TBLPROPERTIES by Hive',
    requests: [on('alter_parameters')('sales.customers', { properties: { note: '1' } })],
  },
  {
    name: 'ALTER TABLE UNSET TBLPROPERTIES by Hive',
    requests: [on('alter_parameters')('sales.customers', { unset: ['note'] })],
  },
  { name: 'ALTER TABLE RENAME by Hive', requests: [moving('rename_by_hive')('sales.customers', 'archive.customers')] },
  { name: 'commit after ALTER TABLE RENAME by Hive', requests: [append('archive.customers')] },
];

const otherCatalogs: readonly Operation[] = [
  {
    name: 'a table of the same name in another catalog of the metastore',
    requests: [on('copy_to_catalog')('archive.customers', { catalog: 'lab' })],
  },
  { name: 'commit beside a table of another catalog', requests: [append('archive.customers')] },
  {
    name: 'drop a table of the same name in another catalog',
    requests: [on('drop_from_catalog')('archive.customers', { catalog: 'lab' })],
  },
];

const drops: readonly Operation[] = [
  { name: 'drop a table', requests: [drop('archive.customers')] },
  { name: 'drop a table and purge its files', requests: [drop('sales.placed', { purge: true })] },
  { name: 'drop a table whose metadata another table shares', requests: [drop('sales.registered')] },
  { name: 'create a table again under a dropped name', requests: [create('sales.registered')] },
  { name: 'drop and create at once', requests: [drop('sales.registered'), create('sales.registered')] },
  {
    name: 'drop, create, commit and rename at once',
    requests: [
      drop('sales.registered'),
      create('sales.registered'),
      append('sales.registered'),
      rename('sales.registered', 'sales.settled'),
    ],
  },
  { name: 'create and drop at once', requests: [create('sales.gone'), append('sales.gone'), drop('sales.gone')] },
];

const concurrency: readonly Operation[] = [
  {
    name: 'create tables for concurrent writers',
    requests: times(4, (n) => create(`sales.busy_${n}`, { properties: PATIENT })),
  },
  {
    name: 'two writers on one table',
    requests: [
      parallel(...times(2, (n) => times(5, (i) => setProperties('sales.busy_0', { [`writer-${n}`]: `${i}` })))),
    ],
  },
  {
    name: 'one writer on each of four tables',
    requests: [parallel(...times(4, (n) => times(5, () => append(`sales.busy_${n}`))))],
  },
  {
    name: 'four writers on two tables without Hive locks',
    requests: [
      setProperties('sales.busy_0', LOCKLESS),
      setProperties('sales.busy_1', LOCKLESS),
      parallel(...times(4, (n) => times(4, (i) => setProperties(`sales.busy_${n % 2}`, { [`writer-${n}`]: `${i}` })))),
    ],
  },
  {
    name: 'create, commit, rename and drop side by side',
    requests: [
      parallel(
        [create('sales.side_1'), append('sales.side_1'), rename('sales.side_1', 'archive.side_1')],
        [create('sales.side_2'), append('sales.side_2'), drop('sales.side_2')],
        [create('archive.side_3'), drop('archive.side_3'), create('archive.side_3'), append('archive.side_3')],
        times(6, () => append('sales.busy_2')),
      ),
    ],
  },
  {
    name: 'drop side by side',
    requests: [
      parallel(
        [drop('archive.side_1')],
        [drop('archive.side_3')],
        times(3, () => append('sales.busy_3')),
      ),
    ],
  },
];

const cascades: readonly Operation[] = [
  {
    name: 'create a namespace of five tables, a view and a plain Hive table',
    requests: [
      createNamespace('mixed'),
      ...times(5, (n) => create(`mixed.t${n}`)),
      request('create_view', { view: 'mixed.v', query: 'select * from t0' }),
      on('create_hive_table')('mixed.plain'),
    ],
  },
  {
    name: 'drop the database in one transaction of the server',
    requests: [request('cascade_by_server', { namespace: 'mixed' })],
  },
  {
    name: 'drop the database and create it again at once',
    requests: [
      createNamespace('mixed'),
      create('mixed.t0'),
      create('mixed.t1'),
      request('cascade_by_server', { namespace: 'mixed' }),
      createNamespace('mixed'),
      create('mixed.t1'),
    ],
  },
  {
    name: 'drop the database table by table, by the client',
    requests: [request('cascade_by_client', { namespace: 'mixed' })],
  },
];

const restarts: readonly Operation[] = [
  {
    name: 'all kinds of changes while the agent is stopped',
    whileStopped: 'SIGTERM',
    requests: [
      append('sales.orders'),
      create('sales.missed'),
      drop('sales.busy_0'),
      rename('sales.busy_1', 'archive.busy_1'),
      drop('sales.busy_2'),
      create('sales.busy_2'),
    ],
  },
  {
    name: 'all kinds of changes after the agent was killed',
    whileStopped: 'SIGKILL',
    requests: [
      append('sales.orders'),
      drop('sales.missed'),
      rename('archive.busy_1', 'sales.busy_1'),
      rename('sales.busy_2', 'sales.busy_0'),
      create('sales.busy_2'),
    ],
  },
  {
    name: 'a restart of PostgreSQL',
    restartPostgres: true,
    requests: [append('sales.orders'), create('sales.late'), rename('sales.busy_1', 'sales.busy_4')],
  },
  { name: 'commit after the restarts', requests: [append('sales.orders')] },
];

/** The last ones: they leave nothing. Hive deletes the folder of the database, so all that lies in it must go at once. */
export const FAREWELL: readonly Operation[] = [
  { name: 'drop a namespace with all its tables', requests: [request('cascade_by_server', { namespace: 'sales' })] },
  { name: 'drop an empty namespace', requests: [request('drop_namespace', { namespace: 'archive' })] },
];

/** Every operation, in order: each builds on what the ones before it left. */
export const OPERATIONS: readonly Operation[] = [
  ...namespaces,
  ...commits,
  ...refusals,
  ...renames,
  ...registrations,
  ...views,
  ...hiveTables,
  ...alterations,
  ...otherCatalogs,
  ...drops,
  ...concurrency,
  ...cascades,
  ...restarts,
];
