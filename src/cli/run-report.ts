import type { Out } from './terminal.ts';
import { showTable } from '../core/table.ts';
import type { Served } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';
import type { Emit, PipelineEvent } from '../pipeline/events.ts';
import type { Log } from '../runtime/log.ts';

export type RunReportOptions = { readonly out: Out; readonly log: Log; readonly source: string };

/** Tells of what the pipeline does: NDJSON on standard output with --json, and log lines. */
export const runReport =
  ({ out, log, source }: RunReportOptions): Emit =>
  (event) => {
    switch (event.kind) {
      case 'notified':
        return notified(event, out, log);
      case 'adopted': {
        const { target, table } = event;
        log.debug('adopted', { target, table: showTable(table) });
        return out.event('adopted', { target, table: showTable(table) });
      }
      case 'settled': {
        const { target, table, skipped } = event;
        if (skipped === undefined) return undefined;
        log.debug('skipped', { target, table: showTable(table), reason: skipped });
        return out.event('skipped', { target, table: showTable(table), reason: skipped });
      }
      case 'foreign-sender': {
        const { target, table, timestamp, served } = event;
        const fields = { target, table: showTable(table), timestamp, served, detail: FOREIGN[served] };
        log.warn('foreign-sender', fields);
        return out.event('foreign-sender', fields);
      }
      case 'parked': {
        const { target, table, parked } = event;
        const { code, detail } = parked;
        const fields = { target, table: showTable(table), code, detail, fix: PARKED[code].fix };
        log.warn('parked', fields);
        return out.event('parked', fields);
      }
      case 'target-down':
        log.error('target-down', { target: event.target, detail: event.detail });
        return out.event('target-down', { target: event.target, detail: event.detail });
      case 'target-up':
        log.info('target-up', { target: event.target });
        return out.event('target-up', { target: event.target });
      case 'forwarded':
      case 'event-refused':
      case 'sink-down':
      case 'sink-up':
        return ofSink(event, out, log);
      case 'source-up':
        return out.event('source-up', { source });
      case 'source-down':
        // The supervisor logs it, with when it tries again.
        return out.event('source-down', { source, detail: event.detail });
      case 'hinted':
      case 'resolved':
        return undefined;
      case 'reconciled': {
        const { tables, hints, tookMs } = event;
        log.info('reconciled', { source, tables, hints, ms: Math.round(tookMs) });
        return out.event('reconciled', { tables, hints, ms: Math.round(tookMs) });
      }
      case 'audited': {
        const { target, tables, drift, tookMs } = event;
        const fields = { target, tables, ...drift, ms: Math.round(tookMs) };
        log[Object.keys(drift).length === 0 ? 'info' : 'warn']('audited', fields);
        return out.event('audited', fields);
      }
      case 'caught-up': {
        const { tables, tookMs } = event;
        out.line(
          `Caught up after ${(tookMs / 1000).toFixed(1)} s: ${tables} tables of ${source} listed, all work done; watching.`,
        );
        log.info('caught-up', { source, tables, ms: Math.round(tookMs) });
        return out.event('caught-up', { tables, ms: Math.round(tookMs) });
      }
    }
  };

const REFUSED_FIX = 'Look at it with `polaris-push events list`; then let it be sent again or discard it.';

type SinkEvent = PipelineEvent & { readonly kind: 'forwarded' | 'event-refused' | 'sink-down' | 'sink-up' };

/** What becomes of events of admitted notifications. */
function ofSink(event: SinkEvent, out: Out, log: Log): void {
  const { sink } = event;
  switch (event.kind) {
    case 'forwarded': {
      const fields = { sink, events: event.events, ms: rounded(event.tookMs) };
      log.debug('forwarded', fields);
      return out.event('forwarded', fields);
    }
    case 'event-refused': {
      const { target, table, detail } = event;
      const fields = { sink, target, table: showTable(table), detail, fix: REFUSED_FIX };
      log.warn('event-refused', fields);
      return out.event('event-refused', fields);
    }
    case 'sink-down':
      log.error('sink-down', { sink, detail: event.detail });
      return out.event('sink-down', { sink, detail: event.detail });
    case 'sink-up':
      log.info('sink-up', { sink });
      return out.event('sink-up', { sink });
  }
}

/** By what Polaris serves under the name, compared with what was to be sent. */
const FOREIGN: Readonly<Record<Served, string>> = {
  this: 'Polaris admitted a newer timestamp from another sender, and already serves what was to be sent.',
  other: 'Polaris admitted a newer timestamp from another sender, and serves another metadata location.',
  nothing: 'Polaris admitted a newer timestamp from another sender, and serves nothing under this name any more.',
};

function notified(event: PipelineEvent & { kind: 'notified' }, out: Out, log: Log): void {
  const { target, notification, outcome, tookMs, commitToVisibleMs } = event;
  const { type, table, timestamp, metadataLocation } = notification;
  const fields = {
    target,
    table: showTable(table),
    type,
    outcome: outcome.kind,
    ...('reason' in outcome ? { reason: outcome.reason } : {}),
    ...('message' in outcome ? { detail: outcome.message } : {}),
    timestamp,
    metadata_location: metadataLocation ?? null,
    ms: rounded(tookMs),
    commit_to_visible_ms: commitToVisibleMs === undefined ? null : rounded(commitToVisibleMs),
  };
  if (outcome.kind === 'admitted') log.debug('notified', fields);
  // A refusal of the table alone is told once, when it is parked.
  else if (outcome.kind === 'refused' || outcome.kind === 'name-taken') log.debug('not-admitted', fields);
  else log.info('not-admitted', fields);
  if (type !== 'VALIDATE' || outcome.kind !== 'admitted') out.event('notification', fields);
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
