import { Command, InvalidArgumentError } from 'commander';
import type { EpochMillis } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';
import type { OutboxReader } from '../ledger/outbox.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { refusedEvents, type RefusedEvent } from './events.ts';
import type { Frame } from './frame.ts';
import { standingOf, type ParkedTable, type PendingTable, type SkippedTable, type Standing } from './standing.ts';
import { wrap, type Out } from './terminal.ts';
import { ago, count, number, short } from './wording.ts';

type StatusOptions = { readonly limit: number };

/** `status`: what the ledger knows, also while the agent runs. */
export const statusCommand = (frame: Frame): Command =>
  frame.configured<StatusOptions>(
    new Command('status')
      .description(
        'Tell how each target stands: what is delivered, pending, parked, held or skipped, why, and what to do; and which events wait for sinks. Reads the ledger only, also while the agent runs.',
      )
      .option('--limit <tables>', 'tables to name per group; --json names all', wholeNumber, 10)
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push status --config agent.yaml
  $ polaris-push status --config agent.yaml --json | jq 'select(.state == "parked")'

Exits with 3 when tables are parked, DROPs are held or events were refused.
`,
      ),
    status,
  );

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

async function status({ config, clock, out }: CommandContext, { limit }: StatusOptions): Promise<ExitCode> {
  const { openReader } = await import('../app.ts');
  using ledger = openReader(config);
  const configured = config.targets.map(({ name }) => name);
  let parked = 0;
  for (const name of configured) {
    const standing = standingOf(ledger, name);
    parked += standing.parked.length;
    tellStanding(standing, out);
    showStanding(standing, { out, nowMs: clock.now(), limit });
  }
  for (const name of ledger.targets().filter((one) => !configured.includes(one))) {
    const { entries } = ledger.totals(name);
    out.line(`target ${name}: not in the configuration; the ledger knows ${count(entries, 'table')} of it`);
    out.event('former-target', { target: name, entries });
  }
  const refused = forwarding(ledger.outbox, config, { out, nowMs: clock.now(), limit });
  return parked + refused > 0 ? 3 : 0;
}

/** Tells how each sink stands; how many events were refused. */
function forwarding(outbox: OutboxReader, config: CommandContext['config'], showing: Showing): number {
  const { out, nowMs } = showing;
  const configured = new Map(config.forward.map(({ name, kind }) => [name, kind]));
  let total = 0;
  for (const sink of new Set([...configured.keys(), ...outbox.sinks()])) {
    const { waiting, buried, oldest } = outbox.totals(sink);
    const kind = configured.get(sink);
    total += buried;
    out.event('sink', {
      sink,
      kind: kind ?? null,
      waiting,
      oldest: oldest === undefined ? null : new Date(oldest).toISOString(),
      refused: buried,
    });
    const since = oldest === undefined ? '' : `, the oldest recorded ${ago(oldest, nowMs)}`;
    out.line(out.paint.bold(`sink ${sink} (${kind ?? 'not in the configuration'})`));
    out.line(`  ${wrap(`${count(waiting, 'event')} waiting${since}; ${number(buried)} refused`, out.width, '  ')}`);
    if (kind === undefined)
      out.line(`  forget them: polaris-push events discard --sink ${sink} --all --waiting --config …`);
    if (buried > 0) showRefused(refusedEvents(outbox, sink), showing);
    out.line();
  }
  return total;
}

function showRefused(events: readonly RefusedEvent[], { out, nowMs, limit }: Showing): void {
  for (const { since, identifier: _, ...event } of events)
    out.event('refused', { ...event, since: new Date(since).toISOString() });
  out.line(`    fix: mend what the sink answers, then polaris-push events retry; or polaris-push events discard`);
  for (const { table, since, reason } of events.slice(0, limit))
    out.line(`    - ${wrap(`${table}: refused ${ago(since, nowMs)}: ${reason}`, out.width, '      ')}`);
  showRest(events.length - limit, out);
}

function tellStanding({ target, totals, newestDelivery, parked, pending, skipped }: Standing, out: Out): void {
  if (!out.json) return;
  const held = parked.filter(({ state }) => state === 'held').length;
  const newest = newestDelivery === undefined ? null : new Date(newestDelivery).toISOString();
  out.event('target', { target, ...totals, parked: parked.length - held, held, newest_delivery: newest });
  for (const { since, identifier: _, ...table } of parked)
    out.event('table', { target, ...table, since: new Date(since).toISOString() });
  for (const table of [...pending, ...skipped]) out.event('table', { target, ...table });
}

/** Everything for people about one target. */
export function showStanding(standing: Standing, { out, nowMs, limit }: Showing): void {
  const { target, totals, newestDelivery, parked, pending, skipped } = standing;
  const { paint } = out;
  const newest =
    newestDelivery === undefined ? 'nothing delivered yet' : `newest delivery ${ago(newestDelivery, nowMs)}`;
  out.line(paint.bold(wrap(`target ${target}: ${count(totals.entries, 'table')}, ${newest}`, out.width, '  ')));
  const held = parked.filter(({ state }) => state === 'held').length;
  const columns = [
    ['delivered', totals.delivered, paint.green],
    ['pending', totals.pending, paint.yellow],
    ['parked', parked.length - held, paint.red],
    ['held', held, paint.red],
    ['skipped', totals.skipped, paint.dim],
  ] as const;
  const cells = columns.map(([name, amount, colour]) => {
    const cell = `${number(amount)} ${name}`;
    return (amount === 0 ? cell : colour(cell)) + ' '.repeat(Math.max(2, 15 - cell.length));
  });
  // Each is 15 wide.
  const perLine = Math.max(1, Math.floor((out.width - 2) / 15));
  for (let i = 0; i < cells.length; i += perLine)
    out.line(
      `  ${cells
        .slice(i, i + perLine)
        .join('')
        .trimEnd()}`,
    );
  showParked(parked, { out, nowMs, limit });
  showPending(pending, { out, limit });
  showSkipped(skipped, { out, limit });
  out.line();
}

type Showing = {
  readonly out: Out;
  readonly nowMs: EpochMillis;
  /** Tables to name per group. */
  readonly limit: number;
};

/** By cause, so that its fix is told once; first the cause whose oldest table waits longest. */
function showParked(parked: readonly ParkedTable[], { out, nowMs, limit }: Showing): void {
  for (const [code, tables] of Map.groupBy(parked, (table) => table.code)) {
    const { summary, fix } = PARKED[code];
    const [first] = tables;
    // One cause often has many tables, of which Polaris says the same.
    const isShared = tables.length > 1 && tables.every(({ detail }) => detail === first?.detail);
    out.line();
    out.line(`  ${out.paint.red(`${code} (${number(tables.length)})`)}`);
    out.line(`    ${wrap(summary, out.width, '    ')}`);
    if (isShared) out.line(`    ${wrap(first?.detail ?? '', out.width, '    ')}`);
    out.line(`    ${wrap(`fix: ${fix}`, out.width, '    ')}`);
    for (const { table, type, since, detail } of tables.slice(0, limit)) {
      const what = `${short(table)}: ${type}, since ${ago(since, nowMs)}${isShared ? '' : `: ${detail}`}`;
      out.line(`    - ${wrap(what, out.width, '      ')}`);
    }
    showRest(tables.length - limit, out);
  }
}

function showPending(pending: readonly PendingTable[], { out, limit }: Omit<Showing, 'nowMs'>): void {
  if (pending.length === 0) return;
  out.line();
  out.line(`  ${out.paint.yellow(`pending (${number(pending.length)})`)}`);
  for (const { table, hints, open } of pending.slice(0, limit)) {
    const work = [
      ...(hints > 0 ? [`${count(hints, 'change')} to look at`] : []),
      ...(open === undefined ? [] : [`${open} sent, its answer not known`]),
    ];
    out.line(`    - ${wrap(`${short(table)}: ${work.join(', ')}`, out.width, '      ')}`);
  }
  showRest(pending.length - limit, out);
}

function showSkipped(skipped: readonly SkippedTable[], { out, limit }: Omit<Showing, 'nowMs'>): void {
  for (const [reason, tables] of Map.groupBy(skipped, (table) => table.reason)) {
    out.line();
    out.line(`  ${out.paint.dim(`skipped (${number(tables.length)})`)}`);
    out.line(`    ${wrap(reason, out.width, '    ')}`);
    for (const { table } of tables.slice(0, limit)) out.line(`    - ${short(table)}`);
    showRest(tables.length - limit, out);
  }
}

const showRest = (rest: number, out: Out) => {
  if (rest > 0) out.line(out.paint.dim(`    … and ${number(rest)} more`));
};
