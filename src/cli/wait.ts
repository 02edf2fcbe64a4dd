import { Command, Option } from 'commander';
import { openTargets } from '../app.ts';
import { showTable } from '../core/table.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { durationOption } from './duration-option.ts';
import type { Frame } from './frame.ts';
import { depsOf } from './mend.ts';
import { oneTarget, tableArgument } from './table-argument.ts';

type WaitOptions = {
  readonly table: string;
  readonly metadataLocation?: string | undefined;
  readonly target?: string | undefined;
  readonly timeout: string;
};

/** Asked for a table of which any state will do: no table has it, so the answer tells only whether there is one. */
const ANY_LOCATION = 'any:';
const POLL_MIN_MS = 100;
const POLL_MAX_MS = 2000;

/** `wait`: for pipelines whose next step reads the table through Polaris. */
export const waitCommand = (frame: Frame): Command =>
  frame.configured<WaitOptions>(
    new Command('wait')
      .description('Wait until a table is visible in Polaris, at a metadata location if one is given. Changes nothing.')
      .requiredOption('--table <table>', 'by its name in Polaris, e.g. sales.orders')
      .option('--metadata-location <location>', 'as Polaris serves it')
      .addOption(new Option('--target <name>', 'needed if there are several'))
      .option('--timeout <duration>', 'give up after this long', '60s')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push wait --config agent.yaml --table sales.orders --timeout 2m

Exits with 3 when the time is up.
`,
      ),
    run,
  );

async function run(context: CommandContext, options: WaitOptions): Promise<ExitCode> {
  const { clock, out, signal } = context;
  const table = tableArgument(options.table);
  const timeoutMs = durationOption('--timeout', options.timeout);
  await using opened = new AsyncDisposableStack();
  const targets = await openTargets(depsOf(context));
  for (const each of targets) opened.use(each);
  const target = oneTarget(targets, options.target);
  const wanted = options.metadataLocation === undefined ? 'other' : 'this';
  const startedMs = clock.monotonicMs();
  for (let pollMs = POLL_MIN_MS; ; pollMs = Math.min(POLL_MAX_MS, pollMs * 2)) {
    const served = await target.serves(table, options.metadataLocation ?? ANY_LOCATION, signal);
    const ms = Math.round(clock.monotonicMs() - startedMs);
    if (served === wanted) {
      out.line(`${showTable(table)} is visible in ${target.name} after ${(ms / 1000).toFixed(1)} s.`);
      out.event('visible', { target: target.name, table: showTable(table), ms });
      return 0;
    }
    if (ms >= timeoutMs) {
      const state = served === 'nothing' ? 'is not there' : 'is at another metadata location';
      out.line(`${showTable(table)} ${state} in ${target.name} after ${options.timeout}.`);
      out.event('timeout', { target: target.name, table: showTable(table), served, ms });
      return 3;
    }
    await clock.sleep(Math.min(pollMs, timeoutMs - ms), signal);
    signal.throwIfAborted();
  }
}
