import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { openReader, openSource, openTargets } from '../app.ts';
import { DRIFTS, type Drift } from '../core/audit.ts';
import { showTable } from '../core/table.ts';
import { diff, type Difference } from '../pipeline/diff.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { progress } from './progress.ts';
import { depsOf } from './mend.ts';
import { configuredTargets } from './requests.ts';
import { assertReady } from './target-ready.ts';
import { wrap } from './terminal.ts';
import { count } from './wording.ts';

/** Conditional GETs under way together; each costs Polaris about 2 ms. */
const CONCURRENCY = 8;
/** Tables named per kind of drift; all of them with --json. */
const EXAMPLES = 20;

type DiffOptions = { readonly target?: string | undefined };

/** `diff`: what differs between the source, the ledger and Polaris. */
export const diffCommand = (frame: Frame): Command =>
  frame.configured<DiffOptions>(
    new Command('diff')
      .description(
        'Compare the whole source with Polaris, table by table, by conditional requests that read no metadata. Changes nothing; the agent may be running.',
      )
      .addOption(new Option('--target <name>', 'only this target'))
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push diff --config agent.yaml
  $ polaris-push diff --config agent.yaml --json | jq -r 'select(.drift == "foreign").table'

Exits with 3 when something differs. A running agent may be about to mend it;
\`polaris-push reconcile\` makes sure of it.
`,
      ),
    run,
  );

async function run(context: CommandContext, options: DiffOptions): Promise<ExitCode> {
  const { out } = context;
  const found: Difference[] = [];
  const compared = await differences(context, options.target, (difference) => {
    found.push(difference);
    out.event('difference', fieldsOf(difference));
  });
  showDifferences(found, context);
  out.line(
    found.length === 0
      ? `Equal: ${count(compared, 'table')} compared.`
      : `${count(found.length, 'difference')} in ${count(compared, 'table')}.`,
  );
  out.event('summary', { compared, differences: found.length });
  return found.length === 0 ? 0 : 3;
}

/** Tells of every difference of the targets, and returns how many tables were compared. Throws `PushError`. */
export async function differences(
  context: CommandContext,
  only: string | undefined,
  tell: (difference: Difference) => void,
): Promise<number> {
  const { config, signal } = context;
  const deps = depsOf(context);
  const names = configuredTargets(config, only);
  await using opened = new AsyncDisposableStack();
  const targets = (await openTargets(deps))
    .map((target) => opened.use(target))
    .filter(({ name }) => names.includes(name));
  for (const target of targets) await assertReady(target, signal);
  const connector = opened.use(await openSource(deps));
  const ledger = existsSync(config.ledger.path) ? opened.use(openReader(config)) : undefined;
  using bar = progress(context, 'tables');
  let tables = 0;
  const compared = () => {
    tables++;
    bar.expect(1);
    bar.tick();
  };
  for (const target of targets) {
    for await (const difference of diff({ connector, ledger, target, concurrency: CONCURRENCY, compared }, signal)) {
      tell(difference);
    }
  }
  signal.throwIfAborted();
  return tables;
}

export const fieldsOf = ({ target, table, drift, metadataLocation }: Difference) => ({
  target,
  table: showTable(table),
  drift,
  metadata_location: metadataLocation ?? null,
});

/** Grouped by target and kind, since many tables usually differ for one reason. */
export function showDifferences(found: readonly Difference[], { out }: CommandContext): void {
  const groups = Map.groupBy(found, ({ target, drift }) => `${target}: ${drift}`);
  for (const [title, group] of groups) {
    const drift = group[0]?.drift ?? ('stale' satisfies Drift);
    out.line(`${out.paint.red('≠')} ${title} (${group.length})`);
    out.line(out.paint.dim(`  ${wrap(DRIFTS[drift], out.width, '  ')}`));
    for (const { table } of group.slice(0, EXAMPLES)) out.line(`    ${showTable(table)}`);
    if (group.length > EXAMPLES)
      out.line(out.paint.dim(`    … and ${group.length - EXAMPLES} more; --json names them all`));
    out.line();
  }
}
