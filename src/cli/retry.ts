import { Command } from 'commander';
import { standingOf } from './standing.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { configuredTargets, selectTables, submit, type SelectOptions } from './requests.ts';

/** `retry`: puts parked tables back to work. */
export const retryCommand = (frame: Frame): Command =>
  frame.configured<SelectOptions>(
    new Command('retry')
      .description(
        'Put parked tables back to work after what they wait for was mended; all of them, or the named ones. The running agent is told within seconds, a stopped one at its next start.',
      )
      .argument('[tables...]', 'tables as `status` names them, e.g. sales.orders')
      .option('--target <name>', 'on this target only')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push retry --config agent.yaml
  $ polaris-push retry --config agent.yaml sales.orders --target main
`,
      ),
    retry,
  );

async function retry(context: CommandContext, { target }: SelectOptions, names: readonly string[]): Promise<ExitCode> {
  const { openReader } = await import('../app.ts');
  using ledger = openReader(context.config);
  const parked = configuredTargets(context.config, target).flatMap((name) =>
    standingOf(ledger, name).parked.filter(({ state }) => state === 'parked'),
  );
  const tables = selectTables(parked, names, 'parked');
  return submit(context, { kind: 'retry', what: 'parked table', target, tables });
}
