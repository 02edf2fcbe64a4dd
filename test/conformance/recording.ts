import { readFileSync } from 'node:fs';

/** One distinct answer of the recorded server; see test/fixtures/polaris/README.md. */
export type RecordedAnswer = {
  readonly status: number;
  readonly type?: string | undefined;
  readonly message?: string | null | undefined;
  readonly shape?: unknown;
  readonly contentType?: string | undefined;
  readonly etag?: boolean | undefined;
  readonly challenge?: string | undefined;
  readonly on: Readonly<Partial<Record<Persistence, number>>>;
};

export type Persistence = 'in-memory' | 'relational-jdbc';

export type RecordedScenario = {
  readonly scenario: string;
  readonly method: string;
  readonly answers: readonly RecordedAnswer[];
};

const FILE = new URL('../fixtures/polaris/answers.ndjson', import.meta.url);

/** Every recorded scenario by its name. */
export function readRecording(): ReadonlyMap<string, RecordedScenario> {
  const lines = readFileSync(FILE, 'utf8').trimEnd().split('\n');
  const scenarios = lines.map((line) => JSON.parse(line) as RecordedScenario);
  return new Map(scenarios.map((scenario) => [scenario.scenario, scenario]));
}

/**
 * A message without what differs between two runs: random ids, positions in a path, and the order of Java's sets. What
 * names a run's own folder or catalog is replaced by the caller first.
 */
export function patternOf(message: string): string {
  const pattern = message
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/at index \d+/g, 'at index <n>')
    .replaceAll(/'\[(.*?)\]'/g, (_, items: string) => `'[${items.split(', ').toSorted().join(', ')}]'`);
  // Of several locations outside, the server names the first of a set.
  return /^Invalid locations '\[[^\]]*, /.test(pattern)
    ? pattern.replace(/: \S+ is not in/, ': <one of them> is not in')
    : pattern;
}

/** The keys and types of a JSON body, as the recording keeps them. */
export function shapeOf(value: unknown): unknown {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== 'object') return typeof value;
  const entries = Object.entries(value as Record<string, unknown>).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, key === 'metadata' ? '…' : shapeOf(item)]));
}

/** Whether two shapes agree; an empty array says nothing about its items. */
export function sameShape(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === 0 || b.length === 0 || sameShape(a[0], b[0]);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => sameShape(left[key], right[key]));
}
