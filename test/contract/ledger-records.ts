import fc from 'fast-check';
import { blank, fold } from '../../src/core/fold.ts';
import { keyOf, type TableKey } from '../../src/core/table.ts';
import type {
  Entry,
  EntryRecord,
  LedgerRecord,
  Notification,
  OutcomeKind,
  ParkCode,
  TableIdentifier,
  Timestamp,
} from '../../src/core/types.ts';
import type { Ledger, Totals } from '../../src/ledger/ledger.ts';

/** Names that break what escapes, splits, truncates or compares them carelessly. */
export const HOSTILE_NAMES: readonly string[] = [
  '"; DROP TABLE entries; --',
  "it's",
  'a.b',
  'a\u001fb',
  'a\0b',
  '\0',
  '😀🏳️‍🌈',
  'Grüße',
  'ORDERS',
  'orders',
  'e\u0301',
  '\u00e9',
  '["a","b"]',
  '\\',
  '%_',
  ' ',
  '\n',
  '\ud800',
  '\udc00',
  'x'.repeat(3000),
];

/** Few names, so that the records of a run meet in the same entries. */
const TABLES: readonly TableIdentifier[] = [
  { namespace: ['sales'], name: 'orders' },
  { namespace: ['sales', 'eu'], name: 'orders' },
  { namespace: ['sales.eu'], name: 'orders' },
  ...HOSTILE_NAMES.slice(0, 6).map((name) => ({ namespace: [name], name })),
];
export const TARGETS: readonly string[] = ['main', 'zweites "Ziel"'];

const table = fc.constantFrom(...TABLES);
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('s3://b/w/t/metadata/1.metadata.json', 'a\0b'));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const timestamp = fc.maxSafeNat() as fc.Arbitrary<Timestamp>;
const type = fc.constantFrom('CREATE', 'UPDATE', 'DROP', 'VALIDATE') satisfies fc.Arbitrary<Notification['type']>;
const outcome: fc.Arbitrary<OutcomeKind> = fc.constantFrom(
  'admitted',
  'served',
  'stale',
  'lost-race',
  'name-taken',
  'refused',
  'unavailable',
  'unauthorized',
  'unknown',
  'withdrawn',
);
const code: fc.Arbitrary<ParkCode> = fc.constantFrom('METADATA_MISSING', 'DROP_HELD', 'TIMESTAMP_AHEAD');

const body = fc.oneof(
  fc.record({ kind: fc.constant('seen' as const), count: fc.integer({ min: 1, max: 5 }), after: maybe(table) }),
  fc.record({
    kind: fc.constant('intent' as const),
    notification: fc.record({
      type,
      table,
      timestamp,
      metadataLocation: maybe(text),
      tableUuid: maybe(fc.uuid()),
      incarnation: maybe(text),
    }),
  }),
  fc.record({ kind: fc.constant('outcome' as const), outcome }),
  fc.record({ kind: fc.constant('settled' as const), seen: fc.nat({ max: 20 }), skipped: maybe(text) }),
  fc.record({
    kind: fc.constant('parked' as const),
    seen: fc.nat({ max: 20 }),
    parked: fc.record({ code, detail: text, since: fc.maxSafeNat(), type }),
  }),
);

const entryRecord: fc.Arbitrary<EntryRecord> = fc
  .tuple(fc.constantFrom(...TARGETS), table, body)
  .map(([target, of, fields]) => ({ target, table: of, ...fields }));

const positionRecord: fc.Arbitrary<LedgerRecord> = fc.record({
  kind: fc.constant('position' as const),
  source: fc.constantFrom('a', 'b'),
  position: fc.string({ unit: 'grapheme', minLength: 1 }),
});

/** What one call of `append` takes. */
export const records: fc.Arbitrary<LedgerRecord[]> = fc.array(
  fc.oneof({ weight: 9, arbitrary: entryRecord }, { weight: 1, arbitrary: positionRecord }),
  { maxLength: 8 },
);

/** What a ledger must hold: the core's fold of everything appended. */
export class LedgerModel {
  readonly entries = new Map<string, Map<TableKey, Entry>>(TARGETS.map((target) => [target, new Map()]));
  readonly positions = new Map<string, string>();

  append(appended: readonly LedgerRecord[]): void {
    for (const record of appended) {
      if (record.kind === 'position') this.positions.set(record.source, record.position);
      else this.#fold(record);
    }
  }

  parkedByCode(target: string): Partial<Record<ParkCode, number>> {
    const counts: Partial<Record<ParkCode, number>> = {};
    for (const { parked } of this.entries.get(target)?.values() ?? [])
      if (parked !== undefined) counts[parked.code] = (counts[parked.code] ?? 0) + 1;
    return counts;
  }

  totals(target: string): Totals {
    const entries = [...(this.entries.get(target)?.values() ?? [])];
    return {
      entries: entries.length,
      delivered: entries.filter(({ delivered }) => delivered?.type === 'CREATE' || delivered?.type === 'UPDATE').length,
      pending: entries.filter(isPending).length,
      parked: entries.filter(({ parked }) => parked !== undefined).length,
      skipped: entries.filter(({ skipped }) => skipped !== undefined).length,
    };
  }

  #fold(record: EntryRecord): void {
    const entries = this.entries.get(record.target) ?? new Map<TableKey, Entry>();
    this.entries.set(record.target, entries);
    const key = keyOf(record.table);
    entries.set(key, fold(entries.get(key) ?? blank(record.target, record.table), record));
  }
}

export const isPending = ({ settled, seen, open }: Entry): boolean => settled < seen || open !== undefined;

type Contents = {
  readonly entries: readonly Entry[];
  readonly unfinished: readonly Entry[];
  readonly totals: Totals;
  readonly looked: readonly (Entry | undefined)[];
};

const byKey = (a: Entry, b: Entry): number => (keyOf(a.table) < keyOf(b.table) ? -1 : 1);

/** Everything that the read methods of a ledger say, in an order that can be compared. */
export function contentsOf(
  ledger: Pick<Ledger, 'entries' | 'unfinished' | 'totals' | 'lookup'>,
  target: string,
): Contents {
  return {
    entries: [...ledger.entries(target)].toSorted(byKey),
    unfinished: [...ledger.unfinished(target)].toSorted(byKey),
    totals: ledger.totals(target),
    looked: ledger.lookup(target, TABLES),
  };
}

export function contentsOfModel(model: LedgerModel, target: string): Contents {
  const entries = [...(model.entries.get(target)?.values() ?? [])].toSorted(byKey);
  return {
    entries,
    unfinished: entries.filter(isPending),
    totals: model.totals(target),
    looked: TABLES.map((of) => model.entries.get(target)?.get(keyOf(of))),
  };
}
