import { showTable, tableOf } from '../../src/core/table.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { SimPolaris } from './polaris.ts';
import type { SimSource } from './source.ts';

export type Compared = {
  readonly source: SimSource;
  readonly target: SimPolaris;
  readonly ledger: Pick<Ledger, 'entry'>;
  /** `drops: never`: what the source lost stays. */
  readonly keeps: boolean;
};

/** Where Polaris doesn't hold what the source has, in words; none at a quiet moment. Also where the ledger says less. */
export function differences({ source, target, ledger, keeps }: Compared): string[] {
  const names = new Set([...source.rows.keys(), ...target.tables.keys()]);
  return [...names].flatMap((of) => {
    const table = tableOf(of);
    const row = source.rows.get(of);
    const held = target.tables.get(of);
    const entry = ledger.entry(target.name, table);
    if (keeps && row === undefined) return [];
    if (row?.unsupported !== undefined) {
      if (entry?.skipped === undefined) return [`${showTable(table)}: nobody can see why it is not mirrored`];
      // What became something else is a table that the source still has, so it stays; also where that isn't certain.
      if (keeps || held === undefined || row.incarnation === held.incarnation || entry.doubt) return [];
      return [`${showTable(table)}: the source has ${row.unsupported}, ${target.name} ${held.location}`];
    }
    if (row?.location === held?.location) return [];
    return [
      `${showTable(table)}: the source has ${row?.location ?? 'nothing'}, ${target.name} ${held?.location ?? 'nothing'}`,
    ];
  });
}
