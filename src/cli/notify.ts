import { Command, Option } from 'commander';
import { openSource, openTargets } from '../app.ts';
import { nextTimestamp } from '../core/timestamp.ts';
import { showTable } from '../core/table.ts';
import type { Notification, NotificationType, TableState } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { depsOf } from './mend.ts';
import { oneTarget, tableArgument } from './table-argument.ts';

type NotifyOptions = {
  readonly table: string;
  readonly type: NotificationType;
  readonly metadataLocation?: string | undefined;
  readonly timestamp?: string | undefined;
  readonly target?: string | undefined;
  readonly force?: boolean | undefined;
};

/** `notify`: one notification by hand. */
export const notifyCommand = (frame: Frame): Command =>
  frame.configured<NotifyOptions>(
    new Command('notify')
      .description(
        "Send one notification by hand, with the source's present state unless told otherwise. It is not recorded: an agent notices at its next audit, or by a 409.",
      )
      .requiredOption('--table <table>', 'by its name in Polaris, e.g. sales.orders')
      .addOption(
        new Option('--type <type>', 'what to send')
          .choices(['CREATE', 'UPDATE', 'DROP', 'VALIDATE'])
          .makeOptionMandatory(),
      )
      .option('--metadata-location <location>', 'instead of what the source has')
      .option('--timestamp <ms>', "epoch milliseconds, instead of the source's clock")
      .addOption(new Option('--target <name>', 'needed if there are several'))
      .option('--force', 'DROP a table that the source still has, too')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push notify --config agent.yaml --table sales.orders --type VALIDATE
  $ polaris-push notify --config agent.yaml --table sales.orders --type UPDATE

Exits with 3 when Polaris does not admit it.
`,
      ),
    run,
  );

async function run(context: CommandContext, options: NotifyOptions): Promise<ExitCode> {
  const { out, signal } = context;
  const table = tableArgument(options.table);
  await using opened = new AsyncDisposableStack();
  const targets = await openTargets(depsOf(context));
  for (const each of targets) opened.use(each);
  const target = oneTarget(targets, options.target);
  const connector = opened.use(await openSource(depsOf(context)));
  const [state] = await connector.resolve([table], signal);
  if (state === undefined) throw new PushError('UNEXPECTED', 'The source gave no answer.');
  const notification = notificationOf(state, options);
  const outcome = await target.notify(notification, signal);
  const detail = 'message' in outcome ? outcome.message : '';
  out.line(
    `${notification.type} ${showTable(table)} on ${target.name}: ${outcome.kind}${detail === '' ? '' : `: ${detail}`}`,
  );
  out.event('notification', {
    target: target.name,
    table: showTable(table),
    type: notification.type,
    outcome: outcome.kind,
    detail,
    timestamp: notification.timestamp,
    metadata_location: notification.metadataLocation ?? null,
  });
  return outcome.kind === 'admitted' ? 0 : 3;
}

function notificationOf(state: TableState, options: NotifyOptions): Notification {
  const { type, metadataLocation, force } = options;
  const { table } = state;
  const timestamp = timestampOf(state, options);
  if (type === 'DROP') {
    if (state.kind === 'absent' || force === true) return { type, table, timestamp };
    throw new PushError('USAGE', `The source has ${showTable(table)}, so it must not be dropped.`, {
      fix: 'Drop it in the source; or, to take it out of Polaris all the same, add --force.',
    });
  }
  const fromSource = state.kind === 'present' ? state : undefined;
  const location = metadataLocation ?? fromSource?.metadataLocation;
  if (location === undefined) {
    const why = state.kind === 'unsupported' ? `is ${state.reason}` : 'is not there';
    throw new PushError('USAGE', `${showTable(table)} ${why} in the source.`, { fix: 'Give a --metadata-location.' });
  }
  return { type, table, timestamp, metadataLocation: location, tableUuid: fromSource?.tableUuid };
}

function timestampOf({ asOf }: TableState, { timestamp }: NotifyOptions) {
  if (timestamp === undefined) return nextTimestamp(undefined, asOf);
  const ms = Number(timestamp);
  if (/^\d+$/.test(timestamp) && Number.isSafeInteger(ms)) return nextTimestamp(undefined, ms);
  throw new PushError('USAGE', `--timestamp ${timestamp} is no number of epoch milliseconds.`);
}
