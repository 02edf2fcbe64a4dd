import type { Request } from '../driver.ts';

/** What is done between two comparisons. */
export type Operation = {
  readonly name: string;
  readonly requests: readonly Request[];
  /** The agent is stopped first and started again afterwards, so nothing of this reaches a running one. */
  readonly agentStopped?: boolean | undefined;
  /** Afterwards the catalog is killed, and started again once the agent has met nobody there for a while. */
  readonly catalogKilled?: boolean | undefined;
};

/** The name by which comparisons know a table. Two different paths here never have the same. */
const dotted = (path: readonly string[]): string => path.join('.');

const namespace = (...path: string[]): Request => ({ command: 'create_namespace', path });
const dropNamespace = (...path: string[]): Request => ({ command: 'drop_namespace', path });
const create = (...path: string[]): Request => ({ command: 'create', table: dotted(path), path });
const append = (path: readonly string[], times = 1): Request => ({
  command: 'append',
  table: dotted(path),
  path,
  times,
});
const rename = (path: readonly string[], to: readonly string[]): Request => ({
  command: 'rename',
  table: dotted(path),
  path,
  to,
});
const drop = (...path: string[]): Request => ({ command: 'drop', table: dotted(path), path });

const ORDERS = ['sales', 'orders'];
const SOLD = ['lake', 'eu', 'north', 'sold'];
const [PRICES, RATES] = [
  ['finance', 'prices'],
  ['finance', 'rates'],
];

/** What every REST catalog can do. */
export const OPERATIONS: readonly Operation[] = [
  { name: 'create a table', requests: [namespace('sales'), create(...ORDERS)] },
  { name: 'append to it', requests: [append(ORDERS)] },
  { name: '20 commits', requests: [append(ORDERS, 20)] },
  {
    name: 'create tables in nested namespaces, one of which has none',
    requests: [
      namespace('lake'),
      namespace('lake', 'eu'),
      namespace('lake', 'eu', 'north'),
      create('lake', 'all'),
      create('lake', 'eu', 'north', 'all'),
      append(['lake', 'eu', 'north', 'all']),
    ],
  },
  {
    name: 'create several tables at once',
    requests: [
      namespace('finance'),
      ...['prices', 'rates', 'limits', 'fees'].flatMap((name) => [create('finance', name), append(['finance', name])]),
    ],
  },
  {
    name: 'set a property',
    requests: [{ command: 'set_property', table: dotted(ORDERS), path: ORDERS, key: 'owner', value: 'ops' }],
  },
  { name: 'rename within a namespace', requests: [rename(ORDERS, ['sales', 'sold'])] },
  { name: 'rename into a nested namespace', requests: [rename(['sales', 'sold'], SOLD)] },
  {
    name: 'swap two names',
    requests: [rename(PRICES, ['finance', 'aside']), rename(RATES, PRICES), rename(['finance', 'aside'], RATES)],
  },
  { name: 'commit after the renames', requests: [append(SOLD, 3), append(PRICES)] },
  { name: 'drop a table', requests: [drop('finance', 'limits')] },
  { name: 'create it again', requests: [create('finance', 'limits'), append(['finance', 'limits'])] },
  { name: 'drop and create at once', requests: [drop('finance', 'fees'), create('finance', 'fees')] },
  {
    name: 'drop a namespace and create it again with a table of the same name',
    requests: [
      drop('lake', 'all'),
      drop('lake', 'eu', 'north', 'all'),
      rename(SOLD, ['sales', 'sold']),
      dropNamespace('lake', 'eu', 'north'),
      dropNamespace('lake', 'eu'),
      dropNamespace('lake'),
      namespace('lake'),
      create('lake', 'all'),
    ],
  },
  {
    name: 'names with dots, umlauts and signs',
    requests: [
      namespace('odd'),
      namespace('odd', 'łódź-♥'),
      ...['v1.2', 'Ångström', 'a+b&c=d', '表'].flatMap((name) => [
        create('odd', 'łódź-♥', name),
        append(['odd', 'łódź-♥', name]),
      ]),
    ],
  },
  {
    name: 'commit, rename, drop and create while the agent is stopped',
    requests: [
      append(PRICES, 5),
      rename(RATES, ['sales', 'rates']),
      create('sales', 'new'),
      drop('sales', 'sold'),
      drop('odd', 'łódź-♥', 'v1.2'),
    ],
    agentStopped: true,
  },
];

/** What Nessie 0.99 refuses: a column added by PyIceberg 0.12, and `#` in a name, which begins a time there. */
export const NOT_IN_NESSIE: readonly Operation[] = [
  { name: 'add a column', requests: [{ command: 'add_column', table: dotted(PRICES), path: PRICES, column: 'note' }] },
  { name: 'a name with a hash', requests: [create('odd', '#1')] },
  { name: 'drop it', requests: [drop('odd', '#1')] },
];

export const VIEWS: readonly Operation[] = [
  { name: 'a view beside the tables', requests: [{ command: 'create_view', path: ['finance', 'summary'] }] },
  {
    name: 'a view in the place of a table',
    requests: [drop('sales', 'new'), { command: 'create_view', path: ['sales', 'new'] }],
  },
];

/** Where the catalog says that it can drop views; PyIceberg doesn't try elsewhere. */
export const VIEW_DROPS: readonly Operation[] = [
  {
    name: 'a table in the place of a view',
    requests: [{ command: 'drop_view', path: ['sales', 'new'] }, create('sales', 'new')],
  },
];

/** Where a table's metadata file may be given another name in the catalog. */
export const REGISTRATIONS: readonly Operation[] = [
  {
    name: 'drop a table and register its metadata file again',
    requests: [
      { command: 'register', table: 'finance.again', path: ['finance', 'again'], like: ['finance', 'limits'] },
      drop('finance', 'limits'),
    ],
  },
];

/** Where the catalog keeps its tables over a restart. */
export const OUTAGES: readonly Operation[] = [
  { name: 'the catalog is killed after commits and comes back', requests: [append(PRICES, 3)], catalogKilled: true },
  { name: 'commit after it came back', requests: [append(PRICES), drop('finance', 'fees')] },
];

/**
 * What the reference server can't serve or Polaris can't keep in files: a dot in a namespace is taken for two levels, a slash
 * and a percent sign in a path are refused, and a `file:` location with a blank is no URI.
 */
export const ODD_NAMES: readonly Operation[] = [
  {
    name: 'names with blanks, slashes and percent signs, and a dot in a namespace',
    requests: [
      ['v1.0', 'events'],
      ['two words', 'my table'],
      ['50%/50', 'half/half 100%'],
      ['%2F', 'a%20b?c'],
    ].flatMap(([level = '', name = '']) => [namespace(level), create(level, name), append([level, name])]),
  },
  { name: 'drop some of them', requests: [drop('v1.0', 'events'), drop('50%/50', 'half/half 100%')] },
];

/** What Jetty, before the reference server, answers 400 to: listed, and nobody can load it or drop it. */
export const UNLOADABLE: readonly Operation[] = [
  {
    name: 'a table that is listed and can not be loaded, and commits beside it',
    requests: [create('odd', 'half/half'), append(PRICES), create('sales', 'last')],
  },
];

export const FAREWELL: readonly Operation[] = [
  { name: 'commit to everything that is left', requests: [append(PRICES), append(['sales', 'rates'])] },
  { name: 'drop tables', requests: [drop(...PRICES), drop('sales', 'rates'), drop('lake', 'all')] },
];
