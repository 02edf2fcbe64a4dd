/**
 * A process to be killed: appends the known sequence from where the ledger stands, several at a time, and says on stdout
 * which append has become durable. Arguments: the ledger's path, how many appends wait for a commit at once.
 */
import { writeSync } from 'node:fs';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { appendOf } from './sequence.ts';
import { deps } from './temporary-ledger.ts';

const [path = '', together = '4'] = process.argv.slice(2);
const ledger = await openLedger({ path }, deps);
writeSync(1, 'open\n');
let next = Number(ledger.position('sequence') ?? '-1') + 1;
for (;;) {
  const first = next;
  next += Number(together);
  await Promise.all(
    Array.from({ length: Number(together) }, async (_, k) => {
      await ledger.append(appendOf(first + k));
      // At once, past every buffer of the process: what was said was durable before.
      writeSync(1, `${first + k}\n`);
    }),
  );
}
