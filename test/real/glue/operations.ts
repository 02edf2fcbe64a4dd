import type { Request } from '../driver.ts';

/** What is done between two comparisons. */
export type Operation = {
  readonly name: string;
  readonly requests: readonly Request[];
  /** The agent is stopped first and started again afterwards, so no event of this reaches a running one. */
  readonly whileStopped?: boolean | undefined;
};

const create = (table: string): Request => ({ command: 'create', table });
const append = (table: string, times = 1): Request => ({ command: 'append', table, times });
const rename = (table: string, to: string): Request => ({ command: 'rename', table, to });
const drop = (table: string): Request => ({ command: 'drop', table });

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'create a table',
    requests: [{ command: 'create_namespace', namespace: 'sales' }, create('sales.orders')],
  },
  { name: 'append to it', requests: [append('sales.orders')] },
  { name: '50 commits', requests: [append('sales.orders', 50)] },
  {
    name: 'create tables in another database',
    requests: [
      { command: 'create_namespace', namespace: 'finance' },
      ...['prices', 'rates', 'limits', 'fees'].flatMap((name) => [
        create(`finance.${name}`),
        append(`finance.${name}`),
      ]),
    ],
  },
  { name: 'add a column', requests: [{ command: 'add_column', table: 'sales.orders', column: 'note' }] },
  {
    name: 'set a property',
    requests: [{ command: 'set_property', table: 'sales.orders', key: 'owner', value: 'ops' }],
  },
  { name: 'rename within a database', requests: [rename('sales.orders', 'sales.sold')] },
  { name: 'rename into another database', requests: [rename('sales.sold', 'finance.sold')] },
  {
    name: 'swap two names',
    requests: [
      rename('finance.prices', 'finance.aside'),
      rename('finance.rates', 'finance.prices'),
      rename('finance.aside', 'finance.rates'),
    ],
  },
  { name: 'commit after the renames', requests: [append('finance.sold', 3), append('finance.prices')] },
  { name: 'drop a table', requests: [drop('finance.limits')] },
  { name: 'create it again', requests: [create('finance.limits'), append('finance.limits')] },
  { name: 'drop and create at once', requests: [drop('finance.fees'), create('finance.fees')] },
  { name: 'a table of plain Hive', requests: [{ command: 'create_hive', table: 'sales.raw' }] },
  {
    name: 'drop several by one call, one of which is not there',
    requests: [{ command: 'drop_many', namespace: 'finance', names: ['limits', 'fees', 'not_there'] }],
  },
  {
    name: 'commit, rename, drop and create while the agent is stopped',
    requests: [
      append('finance.prices', 5),
      rename('finance.rates', 'sales.rates'),
      create('sales.new'),
      drop('finance.sold'),
    ],
    whileStopped: true,
  },
  { name: 'delete a database with its tables', requests: [{ command: 'drop_database', namespace: 'sales' }] },
  { name: 'drop the last table', requests: [drop('finance.prices')] },
];
