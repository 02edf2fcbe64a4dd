import type { TableIdentifier } from '../../src/core/types.ts';
import type { LoadedTable } from '../../src/polaris/load-table.ts';
import type { CachedPolicy } from '../../src/polaris/policy-cache.ts';
import type { Compaction } from './compaction-policy.ts';

/** A compaction that somebody should run. */
export type CompactionPlan = {
  readonly table: TableIdentifier;
  /** The state of the table that it was made for. */
  readonly metadataLocation: string;
  readonly policy: {
    /** Namespace and name of the policy, as it is defined. */
    readonly name: string;
    readonly version: number;
    readonly revision: string;
    readonly inherited: boolean;
  };
  readonly strategy: 'binpack' | 'sort';
  readonly sortOrder?: string | undefined;
  readonly options: Readonly<Record<string, string>>;
  readonly ignored: readonly string[];
  /** Of the table's current snapshot, where its summary tells. */
  readonly before: { readonly files: number; readonly bytes: number } | undefined;
  /** Data files of the target size that hold the same bytes: the least there can be, as partitions aren't looked into. */
  readonly leastFiles: number | undefined;
  /** The Spark procedure that does it. */
  readonly call: string;
};

/** What the current snapshot of a table tells of its data files. */
export type CurrentSnapshot = {
  /** Iceberg's word for what the commit did: `append`, `replace` (a rewrite that changes no rows), ... */
  readonly operation: string | undefined;
  readonly files: number | undefined;
  readonly bytes: number | undefined;
};

/** Iceberg's default for `write.target-file-size-bytes`. */
const DEFAULT_TARGET_BYTES = 512 * 1024 * 1024;

/** Undefined for a table without data. */
export function currentSnapshot({ metadata }: Pick<LoadedTable, 'metadata'>): CurrentSnapshot | undefined {
  const { snapshots, 'current-snapshot-id': id } = metadata;
  if (!Array.isArray(snapshots) || typeof id !== 'number') return undefined;
  // The latest: ids beyond 2^53 have lost their last digits, so that two may look the same.
  const current = (snapshots as readonly Record<string, unknown>[]).findLast((one) => one['snapshot-id'] === id);
  const summary = current?.['summary'];
  if (typeof summary !== 'object' || summary === null) return undefined;
  const { operation, ...totals } = summary as Readonly<Record<string, unknown>>;
  return {
    operation: typeof operation === 'string' ? operation : undefined,
    files: whole(totals['total-data-files']),
    bytes: whole(totals['total-files-size']),
  };
}

const whole = (value: unknown): number | undefined =>
  typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : undefined;

export type PlanFor = {
  readonly table: TableIdentifier;
  readonly loaded: Pick<LoadedTable, 'metadataLocation' | 'metadata'>;
  readonly policy: CachedPolicy;
  readonly compaction: Compaction;
  /** The catalog in Spark that commits go to: the source's, as an EXTERNAL catalog of Polaris takes none. */
  readonly sparkCatalog: string;
};

/** What is to be done to a table, as its policy has it. */
export function planCompaction({ table, loaded, policy, compaction, sparkCatalog }: PlanFor): CompactionPlan {
  const { strategy, sortOrder, options, ignored } = compaction;
  const { files, bytes } = currentSnapshot(loaded) ?? {};
  const before = files === undefined || bytes === undefined ? undefined : { files, bytes };
  const target = Number(options.get('target-file-size-bytes') ?? tableTarget(loaded.metadata) ?? DEFAULT_TARGET_BYTES);
  return {
    table,
    metadataLocation: loaded.metadataLocation,
    policy: {
      name: [...policy.namespace, policy.name].join('.'),
      version: policy.version,
      revision: policy.revision,
      inherited: policy.inherited,
    },
    strategy,
    sortOrder,
    options: Object.fromEntries(options),
    ignored,
    before,
    leastFiles:
      before === undefined ? undefined : Math.min(before.files, Math.max(1, Math.ceil(before.bytes / target))),
    call: procedureCall({ table, sparkCatalog, compaction }),
  };
}

/** The target that the table's own properties set. */
function tableTarget(metadata: LoadedTable['metadata']): string | undefined {
  const { properties } = metadata;
  if (typeof properties !== 'object' || properties === null) return undefined;
  const own = (properties as Readonly<Record<string, unknown>>)['write.target-file-size-bytes'];
  return typeof own === 'string' && /^[1-9][0-9]*$/.test(own) ? own : undefined;
}

/** `CALL catalog.system.rewrite_data_files(...)` in Spark's SQL. */
export function procedureCall({
  table,
  sparkCatalog,
  compaction,
}: Pick<PlanFor, 'table' | 'sparkCatalog' | 'compaction'>): string {
  const { strategy, sortOrder, options } = compaction;
  const name = [...table.namespace, table.name].map(identifier).join('.');
  const pairs = [...options].map(([key, value]) => `    ${literal(key)}, ${literal(value)}`);
  const parameters = [
    `table => ${literal(name)}`,
    `strategy => ${literal(strategy)}`,
    ...(sortOrder === undefined ? [] : [`sort_order => ${literal(sortOrder)}`]),
    ...(pairs.length === 0 ? [] : [`options => map(\n${pairs.join(',\n')}\n  )`]),
  ];
  return `CALL ${identifier(sparkCatalog)}.system.rewrite_data_files(\n  ${parameters.join(',\n  ')}\n)`;
}

/** Spark takes letters, digits and `_` as they are; a name of digits alone would be a number. */
const identifier = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;

/** A name of a table comes from whoever can create one, so nothing of it may end the literal. */
const literal = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
