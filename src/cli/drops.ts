import { Command } from 'commander';
import { standingOf, type ParkedTable } from './standing.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { configuredTargets, selectTables, submit, type SelectOptions } from './requests.ts';
import { ago, count } from './wording.ts';

/** `drops list` and `drops release`: the DROPs that wait for a human. */
export function dropsCommand(frame: Frame): Command {
  const list = frame.configured<SelectOptions>(
    new Command('list')
      .description('List the held DROPs: tables that are gone from the source and still in Polaris.')
      .option('--target <name>', 'on this target only'),
    listDrops,
  );
  const release = frame.configured<SelectOptions>(
    new Command('release')
      .description(
        'Let held DROPs go; all of them, or the named ones. Each is sent only if the source says once more that the table is gone.',
      )
      .argument('[tables...]', 'tables as `drops list` names them')
      .option('--target <name>', 'on this target only'),
    releaseDrops,
  );
  return new Command('drops')
    .description('List and release DROPs that are held for a human, because too many tables vanished at once.')
    .addCommand(list)
    .addCommand(release)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris-push drops list --config agent.yaml
  $ polaris-push drops release --config agent.yaml sales.orders
`,
    );
}

type Held = ParkedTable & { readonly target: string };

async function heldDrops({ config }: CommandContext, target: string | undefined): Promise<readonly Held[]> {
  const { openReader } = await import('../app.ts');
  using ledger = openReader(config);
  return configuredTargets(config, target).flatMap((name) =>
    standingOf(ledger, name)
      .parked.filter(({ state }) => state === 'held')
      .map((table) => ({ ...table, target: name })),
  );
}

async function listDrops(context: CommandContext, { target }: SelectOptions): Promise<ExitCode> {
  const { out, clock } = context;
  const held = await heldDrops(context, target);
  for (const { table, target: on, since, detail } of held) {
    out.line(`${on}  ${table}  since ${ago(since, clock.now())}  ${out.paint.dim(detail)}`);
    out.event('held', { target: on, table, since: new Date(since).toISOString(), detail });
  }
  out.line(
    held.length === 0
      ? 'No DROP is held.'
      : `${count(held.length, 'DROP')} held; let them go: polaris-push drops release`,
  );
  return held.length === 0 ? 0 : 3;
}

async function releaseDrops(
  context: CommandContext,
  { target }: SelectOptions,
  names: readonly string[],
): Promise<ExitCode> {
  const tables = selectTables(await heldDrops(context, target), names, 'held');
  return submit(context, { kind: 'release', what: 'held DROP', target, tables });
}
