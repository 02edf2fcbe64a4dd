import { Command, Option } from 'commander';
import type { Drift } from '../core/audit.ts';
import type { Difference } from '../pipeline/diff.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { differences, fieldsOf, showDifferences } from './diff.ts';
import type { Frame } from './frame.ts';
import { mend } from './mend.ts';
import { count } from './wording.ts';

type ReconcileOptions = {
  readonly target?: string | undefined;
  readonly dropOrphans?: boolean | undefined;
  readonly dropForeign?: boolean | undefined;
};

/** `reconcile`: diff, and heal. */
export const reconcileCommand = (frame: Frame): Command =>
  frame.configured<ReconcileOptions>(
    new Command('reconcile')
      .description(
        'Compare the whole source with Polaris like `diff`, and deliver what is missing or stale. The agent does the work if one runs on this ledger, else this command does it.',
      )
      .addOption(new Option('--target <name>', 'only this target'))
      .option('--drop-orphans', 'also drop tables that this agent brought and the source does not have any more')
      .option('--drop-foreign', 'also drop tables in Polaris that the source lacks and this agent never brought')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push reconcile --config agent.yaml
  $ polaris-push reconcile --config agent.yaml --drop-foreign

A DROP is sent only if the source says once more that the table is gone, and
within the drop budget. Exits with 3 when something is left to do.
`,
      ),
    run,
  );

async function run(context: CommandContext, options: ReconcileOptions): Promise<ExitCode> {
  const { out } = context;
  const healed = new Set<Drift>(['missing', 'stale']);
  if (options.dropOrphans === true) healed.add('orphan');
  if (options.dropForeign === true) healed.add('foreign');
  const found = await collect(context, options.target);
  showDifferences(found, context);
  const [ours, left] = [
    found.filter(({ drift }) => healed.has(drift)),
    found.filter(({ drift }) => !healed.has(drift)),
  ];
  if (found.length === 0) out.line('Equal: nothing to do.');
  if (ours.length > 0) {
    const orders = [...Map.groupBy(ours, ({ target }) => target)].map(([target, group]) => ({
      target,
      tables: group.map(({ table }) => table),
    }));
    if ((await mend(context, orders)) === 'done') return conclude(await collect(context, options.target), context);
  }
  return conclude(left, context);
}

async function collect(context: CommandContext, target: string | undefined): Promise<Difference[]> {
  const found: Difference[] = [];
  await differences(context, target, (difference) => {
    found.push(difference);
    context.out.event('difference', fieldsOf(difference));
  });
  return found;
}

const ADVICE: Readonly<Partial<Record<Drift, string>>> = {
  orphan: 'orphans stay: --drop-orphans drops them',
  foreign: 'foreign tables stay: --drop-foreign drops them',
  ahead: 'timestamps are ahead: `polaris-push repair TABLE` says what it costs',
};

function conclude(left: readonly Difference[], { out }: CommandContext): ExitCode {
  for (const drift of new Set(left.map((difference) => difference.drift))) {
    const advice = ADVICE[drift];
    if (advice !== undefined) out.line(advice);
  }
  out.line(left.length === 0 ? 'Nothing is left to do.' : `${count(left.length, 'difference')} left.`);
  out.event('summary', { left: left.length });
  return left.length === 0 ? 0 : 3;
}
