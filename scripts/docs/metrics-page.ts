import { LABELS, METRICS, PREFIX, type MetricDefinition } from '../../src/observe/definitions.ts';
import { code, heading, table } from './markdown.ts';

/** Every metric, and every label with its values. */
export function metricsPage(): string {
  const metrics: readonly (readonly [string, MetricDefinition])[] = Object.entries(METRICS);
  const labels: readonly (readonly [string, { readonly of: string; readonly values?: readonly string[] }])[] =
    Object.entries(LABELS);
  return [
    heading('Metrics'),
    '`GET /metrics` answers in the text format of Prometheus, version 0.0.4. How to scrape it, and what to watch:',
    '[monitoring](../monitoring.md). The number of series depends on targets and sinks alone, never on tables: no label',
    'ever holds the name of a table.\n',
    table(
      ['metric', 'kind', 'unit', 'labels', 'means'],
      metrics.map(([name, { kind, unit, labels: own, help, partial }]) => [
        code(`${PREFIX}${name}`),
        kind,
        unit,
        own.map(code).join(', '),
        `${help}${partial === true ? ' (1)' : ''}`,
      ]),
    ),
    '\n(1) May have no series: not every source has a slot, a queue or polls, not everybody has sinks, and not everything',
    'has happened yet. A figure that could not be measured for a minute is absent, too. All other series are there from the',
    'start, counters with 0.\n',
    'The process itself has the metrics that `prom-client` gives every program of Node.js: `process_*` (CPU, memory, open',
    'files, start time) and `nodejs_*` (event loop, garbage collection, heap).\n',
    '## Labels\n',
    table(
      ['label', 'is', 'values'],
      labels.map(([name, { of, values }]) => [code(name), of, (values ?? []).map(code).join(', ')]),
    ),
    '\n## Buckets\n',
    table(
      ['histogram', 'upper bounds'],
      metrics.flatMap(([name, { buckets }]) =>
        buckets === undefined ? [] : [[code(`${PREFIX}${name}`), buckets.join(', ')]],
      ),
    ),
    '',
  ].join('\n');
}
