import type { TableIdentifier } from '../core/types.ts';
import type { RequestInbox, RequestOrder } from '../ledger/inbox.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { OutboxRecord } from '../ledger/outbox.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Driver, Hint } from './driver.ts';
import { hintOf } from './reconcile.ts';

const REQUESTS_EVERY_MS = 1000;

export type RequestParts = {
  readonly ledger: Ledger & RequestInbox;
  readonly drivers: readonly Driver[];
  readonly clock: Clock;
  readonly log: Log;
  /** How often the ledger is asked for what operators want, ms; default 1 s. */
  readonly requestsEveryMs?: number | undefined;
};

/** Carries out what `retry`, `drops release`, `reconcile` and `events` asked for, until `signal` aborts. */
export async function followRequests(parts: RequestParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await carryOut(parts);
    await parts.clock.sleep(parts.requestsEveryMs ?? REQUESTS_EVERY_MS, signal);
  }
}

async function carryOut({ ledger, drivers, log }: RequestParts): Promise<void> {
  // Taken and acted upon in one turn of the event loop: a crash in between finds the request again.
  const work = ledger.takeRequests().flatMap((request) => {
    if (request.kind === 'resend' || request.kind === 'discard') return ledger.append(onEvents(request, ledger, log));
    return drivers
      .filter((driver) => request.target === undefined || request.target === driver.name)
      .map((driver) => {
        const tables = request.tables ?? applicable(request, driver, ledger);
        log.info('request', { kind: request.kind, target: driver.name, tables: tables.length });
        if (request.kind === 'release') return driver.release(tables);
        const hints = again(tables, driver, ledger);
        return driver.changed(request.kind === 'mend' ? hints.map((hint) => ({ ...hint, doubt: true })) : hints);
      });
  });
  await Promise.all(work);
}

/** What is asked of events, of all sinks that have some unless one is named. */
function onEvents({ kind, sink, tables, waiting }: RequestOrder, { outbox }: Ledger, log: Log): OutboxRecord[] {
  const sinks = sink === undefined ? outbox.sinks() : [sink];
  log.info('request', { kind, sinks, ...(tables === undefined ? {} : { tables: tables.length }) });
  return sinks.map((name) =>
    kind === 'resend'
      ? { kind: 'revived', sink: name, tables }
      : { kind: 'discarded', sink: name, tables, ...(waiting === true ? { waiting } : {}) },
  );
}

const again = (tables: readonly TableIdentifier[], driver: Driver, ledger: Ledger): Hint[] =>
  tables.map((table) => hintOf(table, ledger.entry(driver.name, table)));

/** All that a request without names applies to: held DROPs to release, or everything that is parked to try again. */
function applicable({ kind }: RequestOrder, driver: Driver, ledger: Ledger): readonly TableIdentifier[] {
  const tables: TableIdentifier[] = [];
  if (kind === 'mend') return tables;
  for (const { table, parked } of ledger.entries(driver.name)) {
    if (parked !== undefined && (kind === 'retry' || parked.code === 'DROP_HELD')) tables.push(table);
  }
  return tables;
}
