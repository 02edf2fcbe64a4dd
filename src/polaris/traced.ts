import { showTable } from '../core/table.ts';
import type { Outcome, TableIdentifier } from '../core/types.ts';
import type { SpanOptions, Trail, Tracing } from '../runtime/tracing.ts';
import type { Target } from './target.ts';

/** A target whose notifications and probes are spans, each linked to the read that led to it. */
export function tracedTarget(
  target: Target,
  { tracing, trail }: { readonly tracing: Tracing; readonly trail: Trail },
): Target {
  const about = (table: TableIdentifier, more: SpanOptions['attributes'] = {}): SpanOptions => ({
    kind: 'client',
    attributes: { 'polaris_push.target': target.name, 'polaris_push.table': showTable(table), ...more },
    links: trail.of(table),
  });
  return {
    name: target.name,
    notify: (notification, signal) => {
      const { table, type, timestamp } = notification;
      const options = about(table, { 'polaris_push.type': type, 'polaris_push.timestamp': timestamp });
      return tracing.within('notify', options, async (span) => {
        const outcome = await target.notify(notification, signal);
        span.set({ 'polaris_push.outcome': outcome.kind });
        if (!ANSWERS.has(outcome.kind)) span.failed('message' in outcome ? outcome.message : outcome.kind);
        return outcome;
      });
    },
    serves: (table, metadataLocation, signal) =>
      tracing.within('probe', about(table), async (span) => {
        const served = await target.serves(table, metadataLocation, signal);
        span.set({ 'polaris_push.served': served });
        return served;
      }),
    tables: (signal) => target.tables(signal),
    check: (signal) => target.check(signal),
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  };
}

/** Outcomes with which all went as it does; the others are failures of the request or of the target. */
const ANSWERS: ReadonlySet<Outcome['kind']> = new Set(['admitted', 'stale', 'lost-race']);
