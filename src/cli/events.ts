import { Command } from 'commander';
import { showTable, tableOf } from '../core/table.ts';
import type { EpochMillis, TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { OutboxReader } from '../ledger/outbox.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { submit } from './requests.ts';
import { wrap } from './terminal.ts';
import { ago, count } from './wording.ts';

type SinkOptions = { readonly sink?: string | undefined };
type WhichOptions = SinkOptions & {
  readonly all?: boolean | undefined;
  readonly table?: readonly string[] | undefined;
  readonly waiting?: boolean | undefined;
};

const which = (command: Command) =>
  command
    .option('--all', 'all of them')
    .option('--table <name...>', 'those of these tables, as `events list` names them')
    .option('--sink <name>', 'of this sink only');

/** `events list`, `events retry` and `events discard`: events that their sink refused. */
export function eventsCommand(frame: Frame): Command {
  const list = frame.configured<SinkOptions>(
    new Command('list')
      .description('List the events that their sink refused, each with its answer. Exits with 3 when there are any.')
      .option('--sink <name>', 'of this sink only'),
    listEvents,
  );
  const retry = frame.configured<WhichOptions>(
    which(
      new Command('retry').description(
        'Let refused events be sent again, after what their sink complained of was mended. They may come after newer ones of their tables: receivers go by the timestamp.',
      ),
    ),
    retryEvents,
  );
  const discard = frame.configured<WhichOptions>(
    which(new Command('discard').description('Forget refused events.')).option(
      '--waiting',
      'also those that were not refused: for a sink that is gone for good',
    ),
    discardEvents,
  );
  return new Command('events')
    .description('List, resend or discard events of admitted notifications that a sink of `forward` refused.')
    .addCommand(list)
    .addCommand(retry)
    .addCommand(discard)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris-push events list --config agent.yaml
  $ polaris-push events retry --config agent.yaml --all
  $ polaris-push events discard --config agent.yaml --table sales.orders --sink maintenance
`,
    );
}

/** An event that its sink refused. */
export type RefusedEvent = {
  readonly sink: string;
  readonly target: string;
  readonly table: string;
  readonly identifier: TableIdentifier;
  readonly timestamp: number;
  readonly since: EpochMillis;
  readonly reason: string;
};

export const refusedEvents = (outbox: OutboxReader, sink: string): readonly RefusedEvent[] =>
  [...outbox.buried(sink)].map(({ target, table, timestamp, since, reason }) => {
    const identifier = tableOf(table);
    return { sink, target, table: showTable(identifier), identifier, timestamp, since, reason };
  });

/** The sinks that are meant: all that are configured or that events are there for. Throws `USAGE` for any other one. */
function sinksOf({ config }: CommandContext, outbox: OutboxReader, named: string | undefined): readonly string[] {
  const known = [...new Set([...config.forward.map(({ name }) => name), ...outbox.sinks()])];
  if (named === undefined) return known;
  if (known.includes(named)) return [named];
  const names = known.length === 0 ? 'none is configured' : `known: ${known.join(', ')}`;
  throw new PushError('USAGE', `No sink is called ${named}; ${names}.`);
}

async function refused(context: CommandContext, sink: string | undefined): Promise<readonly RefusedEvent[]> {
  const { openReader } = await import('../app.ts');
  using ledger = openReader(context.config);
  return sinksOf(context, ledger.outbox, sink).flatMap((name) => refusedEvents(ledger.outbox, name));
}

async function listEvents(context: CommandContext, { sink }: SinkOptions): Promise<ExitCode> {
  const { out, clock } = context;
  const events = await refused(context, sink);
  for (const { identifier: _, since, ...event } of events) {
    const what = `${event.sink}  ${event.table} (${event.target})  ${ago(since, clock.now())}: ${event.reason}`;
    out.line(wrap(what, out.width, '  '));
    out.event('refused', { ...event, since: new Date(since).toISOString() });
  }
  out.line(
    events.length === 0
      ? 'No event was refused.'
      : `${count(events.length, 'event')} refused; send again: polaris-push events retry, or forget: polaris-push events discard`,
  );
  return events.length === 0 ? 0 : 3;
}

async function retryEvents(context: CommandContext, options: WhichOptions): Promise<ExitCode> {
  const { sink, all } = options;
  const chosen = choose(await refused(context, sink), options);
  const tables = all === true ? undefined : chosen.map(({ identifier }) => identifier);
  return submit(context, { kind: 'resend', what: 'refused event', amount: chosen.length, sink, tables });
}

async function discardEvents(context: CommandContext, options: WhichOptions): Promise<ExitCode> {
  const { sink, all, waiting } = options;
  if (waiting === true && (all !== true || sink === undefined))
    throw new PushError('USAGE', '--waiting goes with --all and --sink: it forgets what a sink has not got yet.');
  const events = await refused(context, sink);
  const chosen = choose(events, options);
  const amount = chosen.length + (waiting === true ? await waitingOf(context, sink) : 0);
  const tables = all === true ? undefined : chosen.map(({ identifier }) => identifier);
  const what = waiting === true ? 'event' : 'refused event';
  return submit(context, { kind: 'discard', what, amount, sink, tables, waiting });
}

async function waitingOf({ config }: CommandContext, sink: string | undefined): Promise<number> {
  const { openReader } = await import('../app.ts');
  using ledger = openReader(config);
  return sink === undefined ? 0 : ledger.outbox.totals(sink).waiting;
}

/** Throws `USAGE` unless it was said which, or for a table without refused events. */
function choose(events: readonly RefusedEvent[], { all, table: names }: WhichOptions): readonly RefusedEvent[] {
  if ((all === true) === (names !== undefined)) throw new PushError('USAGE', 'Say which: either --all or --table.');
  if (names === undefined) return events;
  const unknown = names.filter((name) => !events.some(({ table }) => table === name));
  if (unknown.length > 0) throw new PushError('USAGE', `No refused event of ${unknown.join(', ')}.`);
  return events.filter(({ table }) => names.includes(table));
}
