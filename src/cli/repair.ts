import { Command, Option } from 'commander';
import { openSource, openTargets } from '../app.ts';
import { nextTimestamp } from '../core/timestamp.ts';
import { showTable } from '../core/table.ts';
import { PushError } from '../errors/errors.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { depsOf, mend } from './mend.ts';
import { oneTarget, tableArgument } from './table-argument.ts';

type RepairOptions = { readonly target?: string | undefined; readonly yes?: boolean | undefined };

/** `repair`: for a table whose timestamp in Polaris lies ahead of everything that we could send. */
export const repairCommand = (frame: Frame): Command =>
  frame.configured<RepairOptions>(
    new Command('repair')
      .description(
        'Free a table whose timestamp in Polaris is ahead: drop it there and create it anew. Says what that costs, and does it only with --yes.',
      )
      .argument('<table>', 'by its name in Polaris, e.g. sales.orders')
      .addOption(new Option('--target <name>', 'needed if there are several'))
      .option('--yes', 'do it')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push repair --config agent.yaml sales.orders
  $ polaris-push repair --config agent.yaml sales.orders --yes
`,
      ),
    run,
  );

async function run(context: CommandContext, options: RepairOptions, [name = '']: readonly string[]): Promise<ExitCode> {
  const { out, signal } = context;
  const table = tableArgument(name);
  await using opened = new AsyncDisposableStack();
  const targets = await openTargets(depsOf(context));
  for (const each of targets) opened.use(each);
  const target = oneTarget(targets, options.target);
  const connector = opened.use(await openSource(depsOf(context)));
  const [state] = await connector.resolve([table], signal);
  if (state?.kind !== 'present') {
    throw new PushError('USAGE', `The source has no table ${showTable(table)} to create anew.`, {
      fix: 'Name a table that `status` lists as parked with TIMESTAMP_AHEAD.',
    });
  }
  out.line(
    `Polaris remembers the greatest timestamp of a table until the table is dropped. This drops ${showTable(table)}`,
  );
  out.line(
    `in ${target.name} and creates it anew from the source. For a moment readers do not find it, and for good it`,
  );
  out.line(
    'loses its grants and policy mappings in Polaris (those of its namespace and catalog stay). Files are not touched.',
  );
  if (options.yes !== true) {
    out.line('Nothing was done; add --yes to do it.');
    out.event('repair', { target: target.name, table: showTable(table), done: false });
    return 0;
  }
  const outcome = await target.notify({ type: 'DROP', table, timestamp: nextTimestamp(undefined, state.asOf) }, signal);
  if (outcome.kind !== 'admitted') {
    throw new PushError('POLARIS_REFUSED', `The DROP was not admitted: ${outcome.message}`);
  }
  const mended = await mend(context, [{ target: target.name, tables: [table] }]);
  if (mended === 'done') out.line(`${showTable(table)} is created anew.`);
  out.event('repair', { target: target.name, table: showTable(table), done: true });
  return 0;
}
