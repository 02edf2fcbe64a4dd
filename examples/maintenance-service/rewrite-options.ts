/** What a value of an option must be, for people. */
const KINDS = {
  'whole number': (text: string) => /^[0-9]{1,18}$/.test(text),
  'whole number above 0': (text: string) => /^0*[1-9][0-9]{0,17}$/.test(text),
  'number from 0 to 1': (text: string) => /^(0(\.[0-9]+)?|1(\.0+)?)$/.test(text),
  'true or false': (text: string) => text === 'true' || text === 'false',
  'none, bytes-asc, bytes-desc, files-asc or files-desc': (text: string) =>
    ['none', 'bytes-asc', 'bytes-desc', 'files-asc', 'files-desc'].includes(text),
} as const;

type Kind = keyof typeof KINDS;

/** The options of Iceberg's Spark procedure `rewrite_data_files`, as of Iceberg 1.11. */
const OPTIONS: Readonly<Record<string, Kind>> = {
  'target-file-size-bytes': 'whole number above 0',
  'min-file-size-bytes': 'whole number',
  'max-file-size-bytes': 'whole number above 0',
  'min-input-files': 'whole number above 0',
  'max-file-group-size-bytes': 'whole number above 0',
  'max-concurrent-file-group-rewrites': 'whole number above 0',
  'max-files-to-rewrite': 'whole number above 0',
  'rewrite-job-order': 'none, bytes-asc, bytes-desc, files-asc or files-desc',
  'rewrite-all': 'true or false',
  'partial-progress.enabled': 'true or false',
  'partial-progress.max-commits': 'whole number above 0',
  'partial-progress.max-failed-commits': 'whole number above 0',
  'use-starting-sequence-number': 'true or false',
  'delete-file-threshold': 'whole number above 0',
  'delete-ratio-threshold': 'number from 0 to 1',
  'remove-dangling-deletes': 'true or false',
  'output-spec-id': 'whole number',
};

/** Polaris's schema writes some names with `_`, Iceberg writes them with `-` and `.`: they are the same option. */
const canonical = (name: string): string => name.toLowerCase().replaceAll(/[._]/g, '-');

const BY_CANONICAL = new Map(Object.keys(OPTIONS).map((name) => [canonical(name), name]));

export type RewriteOption =
  | { readonly kind: 'option'; readonly name: string; readonly value: string }
  | { readonly kind: 'invalid'; readonly problem: string }
  /** Not one of Iceberg's: policies may hold settings that are for other engines. */
  | { readonly kind: 'unknown' };

/** One setting of a policy as an option of the procedure, whose names and values are texts. */
export function rewriteOption(key: string, value: string | number | boolean): RewriteOption {
  const name = BY_CANONICAL.get(canonical(key));
  if (name === undefined) return { kind: 'unknown' };
  const kind = OPTIONS[name] as Kind;
  const text = String(value);
  if (KINDS[kind](text)) return { kind: 'option', name, value: text };
  return { kind: 'invalid', problem: `config.${key} is ${JSON.stringify(value)}, expected ${kind}` };
}
