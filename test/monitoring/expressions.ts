import { METRICS, PREFIX, type MetricDefinition } from '../../src/observe/definitions.ts';

const DEFINITIONS: Readonly<Record<string, MetricDefinition>> = METRICS;
/** What Prometheus adds to every series; `le` is of histograms. */
const ADDED = new Set(['job', 'instance', 'le', '__name__']);
/** What others than the agent's own table make: Prometheus itself, and the client library for the process. */
const FOREIGN = new Set(['up', 'process_start_time_seconds']);

/** A metric of an expression: its name without prefix and suffix, and the labels that are matched. */
type Mention = { readonly written: string; readonly labels: readonly string[] };

/** Words of an expression that stand where only a metric can: outside of braces, texts and lists of labels. */
function mentionsOf(expr: string): readonly Mention[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\boffset\s+\w+/g, '');
  return [...bare.matchAll(/\b([a-z_]\w*)\b(?!\s*[\w(])(?:\{([^}]*)\})?/g)]
    .filter(([, word = '']) => !OPERATORS.has(word))
    .map(([, written = '', matchers = '']) => ({
      written,
      labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
    }));
}

const OPERATORS = new Set(['and', 'or', 'unless', 'bool', 'group_left', 'group_right']);

function definitionOf(written: string): MetricDefinition | undefined {
  if (!written.startsWith(PREFIX)) return undefined;
  const name = written.slice(PREFIX.length);
  const own = DEFINITIONS[name];
  if (own !== undefined) return own;
  const series = DEFINITIONS[name.replace(/_(?:bucket|sum|count)$/, '')];
  return series?.kind === 'histogram' ? series : undefined;
}

/** The names of the agent's metrics in an expression, as definitions.ts has them. */
export const metricsIn = (expr: string): readonly string[] =>
  mentionsOf(expr).flatMap(({ written }) => {
    const definition = definitionOf(written);
    return Object.keys(DEFINITIONS).filter((name) => DEFINITIONS[name] === definition);
  });

/** What an expression names that no agent has: a metric, a label of it. */
export const unknownIn = (expr: string): readonly string[] =>
  mentionsOf(expr).flatMap(({ written, labels }) => {
    if (FOREIGN.has(written)) return [];
    const definition = definitionOf(written);
    if (definition === undefined) return [written];
    const known: readonly string[] = definition.labels;
    return labels.filter((label) => !known.includes(label) && !ADDED.has(label)).map((label) => `${written}{${label}}`);
  });
