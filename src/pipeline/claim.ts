import type { LedgerRecord } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../runtime/log.ts';

export type ClaimParts = {
  readonly ledger: Ledger;
  readonly log: Log;
  /** `Connector.source`. */
  readonly source: string;
  readonly targets: readonly { readonly name: string; readonly uri: string; readonly catalog: string }[];
};

const SOURCE = 'source of this ledger';
const catalogOf = (target: string): string => `catalog of target ${target}`;

/**
 * Makes the ledger that of this source and these catalogs, and refuses one that is another's: what it says of a table
 * would be taken for true of another table. `adopt`: they are the same under new addresses. Throws `LEDGER_OTHER_SOURCE`
 * and `LEDGER_OTHER_CATALOG`.
 */
export async function claim({ ledger, log, source, targets }: ClaimParts, adopt: boolean): Promise<void> {
  const records: LedgerRecord[] = [];
  const hold = (subject: string, address: string, refuse: (known: string) => PushError) => {
    const known = ledger.position(subject);
    if (known === address) return;
    if (known !== undefined && !adopt) throw refuse(known);
    records.push({ kind: 'position', source: subject, position: address });
  };
  hold(
    SOURCE,
    source,
    (known) => new PushError('LEDGER_OTHER_SOURCE', `It is of ${known}, the configuration names ${source}.`),
  );
  for (const { name, uri, catalog } of targets) {
    const address = `${catalog} at ${uri}`;
    hold(
      catalogOf(name),
      address,
      (known) =>
        new PushError('LEDGER_OTHER_CATALOG', `Target ${name} was ${known}, the configuration says ${address}.`),
    );
  }
  for (const target of ledger.targets()) {
    if (targets.some(({ name }) => name === target)) continue;
    log.warn('target-not-configured', { target, tables: ledger.totals(target).entries });
  }
  if (records.length > 0) await ledger.append(records);
}
