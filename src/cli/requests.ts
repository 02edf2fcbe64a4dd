import type { Config } from '../config/schema.ts';
import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { ParkedTable } from './standing.ts';
import { count } from './wording.ts';

export type SelectOptions = { readonly target?: string | undefined };

/** The names of the targets that are meant. Throws `USAGE` for one that isn't configured. */
export function configuredTargets(config: Config, target: string | undefined): readonly string[] {
  const names = config.targets.map(({ name }) => name);
  if (target === undefined) return names;
  if (names.includes(target)) return [target];
  throw new PushError('USAGE', `No target is called ${target}; configured: ${names.join(', ')}.`);
}

/** The tables that are meant, by the names that `status` shows; all if none is named. Throws `USAGE` for any other name. */
export function selectTables(
  tables: readonly ParkedTable[],
  names: readonly string[],
  state: 'parked' | 'held',
): readonly TableIdentifier[] {
  const unknown = names.filter((name) => !tables.some(({ table }) => table === name));
  if (unknown.length > 0) throw new PushError('USAGE', `Not ${state}: ${unknown.join(', ')}.`);
  return tables.filter(({ table }) => names.length === 0 || names.includes(table)).map(({ identifier }) => identifier);
}

type Order = {
  readonly kind: 'retry' | 'release' | 'mend' | 'resend' | 'discard';
  readonly what: string;
  /** How many of these there are; as many as tables unless told. */
  readonly amount?: number | undefined;
  readonly target?: string | undefined;
  readonly sink?: string | undefined;
  readonly waiting?: boolean | undefined;
  /** Undefined: all. */
  readonly tables: readonly TableIdentifier[] | undefined;
};

/** How long to wait for a running agent to take the request. It looks each second. */
const ANSWER_MS = 5000;
const POLL_MS = 100;

/** Leaves a request in the ledger and waits a moment for the agent to take it. */
export async function submit(context: CommandContext, { what, amount, ...order }: Order): Promise<ExitCode> {
  const { config, clock, signal, out } = context;
  const { kind, tables, sink } = order;
  const event = `${kind}-requested`;
  const total = amount ?? tables?.length ?? 0;
  // Events are counted as such: a table may have many.
  const fields = amount === undefined ? { tables: total } : { sink: sink ?? null, events: total };
  if (total === 0) {
    out.line(`There is no ${what}.`);
    out.event(event, { ...fields, taken: true });
    return 0;
  }
  const { openOutbox, openReader } = await import('../app.ts');
  using outbox = openOutbox(config, clock);
  const id = outbox.submit(order);
  using reader = openReader(config);
  const isRunning = reader.owner()?.alive === true;
  // Nobody takes it before the next start of an agent that isn't running.
  const untilMs = clock.monotonicMs() + (isRunning ? ANSWER_MS : 0);
  while (outbox.isWaiting(id) && clock.monotonicMs() < untilMs && !signal.aborted) await clock.sleep(POLL_MS, signal);
  const taken = !outbox.isWaiting(id);
  const outcome = taken
    ? 'the agent is at it'
    : isRunning
      ? 'the agent is busy and will take the request soon'
      : 'the agent is not running and will take the request when it starts';
  out.line(`${count(total, what)}: ${outcome}.`);
  out.event(event, { ...fields, taken });
  return 0;
}
