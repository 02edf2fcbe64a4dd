import { parseArgs } from 'node:util';
import { runLoss } from '../sim/glue-loss.ts';

/**
 * The full history of events lost, doubled and shuffled: `node test/faults/glue-loss.ts [--seed 1] [--tables 2000]
 * [--commits 50000]`. Prints one line of JSON; exits with 1 if source and Polaris don't become equal in time, or if a
 * living table was dropped.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    tables: { type: 'string', default: '2000' },
    commits: { type: 'string', default: '50000' },
    reconcile: { type: 'string', default: '30' },
  },
});

const result = await runLoss({
  seed: Number(values.seed),
  tables: Number(values.tables),
  databases: 20,
  commits: Number(values.commits),
  churn: 0.06,
  loss: 0.2,
  duplication: 0.2,
  shuffle: 500,
  reconcileEveryMs: Number(values.reconcile) * 1000,
  onProgress: (operations) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${operations} operations`);
  },
});
const { GetTable = 0, GetTables = 0 } = result.calls;
console.log(
  JSON.stringify({
    ...result,
    getTablePerOperation: round(GetTable / result.operations),
    getTablesPerOperation: round(GetTables / result.operations),
  }),
);
if (result.livingDropped.length > 0) process.exitCode = 1;

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
