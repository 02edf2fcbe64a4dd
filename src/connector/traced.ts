import { showTable } from '../core/table.ts';
import type { Trail, Tracing } from '../runtime/tracing.ts';
import type { Connector } from './connector.ts';

/** A source whose reads are spans. `trail` learns which read was the last of a table. */
export function tracedReads(
  source: Pick<Connector, 'resolve'>,
  { tracing, trail, name }: { readonly tracing: Tracing; readonly trail: Trail; readonly name: string },
): Pick<Connector, 'resolve'> {
  return {
    resolve: (tables, signal) => {
      const [table] = tables;
      const attributes = {
        'polaris_push.source': name,
        'polaris_push.tables': tables.length,
        // Of many the number must do.
        'polaris_push.table': tables.length === 1 && table !== undefined ? showTable(table) : undefined,
      };
      return tracing.within('resolve', { attributes }, (span) => {
        trail.read(tables, span.reference);
        return source.resolve(tables, signal);
      });
    },
  };
}
