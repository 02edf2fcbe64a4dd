import { z } from 'zod';
import type { CachedPolicy } from '../../src/polaris/policy-cache.ts';
import { rewriteOption } from './rewrite-options.ts';

/** The type of the policies that this service acts on. */
export const DATA_COMPACTION = 'system.data-compaction';

/** The version of the schema that Polaris 1.7 knows; a content may leave it out. */
const SCHEMA_VERSION = '2025-02-03';

/** As Polaris publishes it (site/static/schemas/policies/system/data-compaction). */
const content = z.object({
  version: z.literal(SCHEMA_VERSION).optional(),
  enable: z.boolean(),
  config: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

/** How a policy wants a table's data files rewritten. */
export type Compaction = {
  readonly strategy: 'binpack' | 'sort';
  /** As the procedure takes it, such as `id DESC NULLS LAST` or `zorder(a,b)`; absent: the table's own order. */
  readonly sortOrder?: string | undefined;
  /** Options of the procedure: name → value. */
  readonly options: ReadonlyMap<string, string>;
  /** Keys of the policy's config that mean nothing to the procedure. */
  readonly ignored: readonly string[];
};

export type CompactionPolicy =
  | { readonly kind: 'compaction'; readonly compaction: Compaction }
  | { readonly kind: 'disabled' }
  | { readonly kind: 'unreadable'; readonly problem: string };

const STRATEGIES: Readonly<Record<string, 'binpack' | 'sort' | 'zorder'>> = {
  'bin-pack': 'binpack',
  binpack: 'binpack',
  sort: 'sort',
  'z-order': 'zorder',
  zorder: 'zorder',
};

/** What a policy of type `system.data-compaction` says. */
export function readCompactionPolicy({ parsed }: Pick<CachedPolicy, 'parsed'>): CompactionPolicy {
  if (parsed.kind === 'none') return unreadable('it has no content');
  if (parsed.kind === 'invalid') return unreadable(parsed.error.message);
  const read = content.safeParse(parsed.value);
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? 'the content' : issue.path.join('.');
    return unreadable(`${where}: ${issue?.message ?? 'not readable'}`);
  }
  const { enable, config = {} } = read.data;
  return enable ? readConfig(config) : { kind: 'disabled' };
}

const unreadable = (problem: string): CompactionPolicy => ({ kind: 'unreadable', problem });

function readConfig(config: Readonly<Record<string, string | number | boolean>>): CompactionPolicy {
  const options = new Map<string, string>();
  const ignored: string[] = [];
  let strategy: 'binpack' | 'sort' | 'zorder' = 'binpack';
  let sortOrder: string | undefined;
  for (const [key, value] of Object.entries(config)) {
    if (key === 'compaction_strategy' || key === 'strategy') {
      const known = STRATEGIES[String(value).toLowerCase()];
      if (known === undefined)
        return unreadable(`config.${key} is ${JSON.stringify(value)}, expected bin-pack, sort or z-order`);
      strategy = known;
    } else if (key === 'sort_order' || key === 'sort-order') {
      sortOrder = String(value);
    } else {
      const option = rewriteOption(key, value);
      if (option.kind === 'invalid') return unreadable(option.problem);
      if (option.kind === 'unknown') ignored.push(key);
      else options.set(option.name, option.value);
    }
  }
  if (strategy === 'zorder' && !/^zorder\s*\(/i.test(sortOrder ?? ''))
    return unreadable('z-order needs its columns: set config.sort_order to zorder(column,...)');
  if (strategy === 'binpack' && sortOrder !== undefined)
    return unreadable('config.sort_order goes with compaction_strategy sort or z-order');
  // To the procedure a Z-order is an order to sort by.
  return {
    kind: 'compaction',
    compaction: { strategy: strategy === 'binpack' ? 'binpack' : 'sort', sortOrder, options, ignored },
  };
}
