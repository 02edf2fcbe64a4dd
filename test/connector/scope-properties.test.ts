import fc from 'fast-check';
import { expect, test } from 'vitest';
import { likelySource, toPolaris } from '../../src/connector/mapping.ts';
import { scopeConfig, type NamespaceMapping } from '../../src/connector/scope-config.ts';
import { rewriteLocation, scoped } from '../../src/connector/scope.ts';
import { keyOf, showTable } from '../../src/core/table.ts';
import type { TableIdentifier, TableState } from '../../src/core/types.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { collect, FakeSource } from './fake-source.ts';

const { signal } = new AbortController();

// Few letters, so that names collide often; some whose case mapping changes their length or does not round-trip.
const level = fc.oneof(
  fc.constantFrom('a', 'A', 'b', 'B', 'a_b', 'A_B', '_', 'ß', 'İ'),
  fc.string({ minLength: 1, maxLength: 3 }),
);
const table: fc.Arbitrary<TableIdentifier> = fc.record({
  namespace: fc.array(level, { minLength: 1, maxLength: 3 }),
  name: fc.constantFrom('t', 'T'),
});
const mapping: fc.Arbitrary<NamespaceMapping> = fc.record({
  case: fc.constantFrom('preserve', 'lower', 'upper'),
  flatten: fc.option(fc.constantFrom('_', '__', '.'), { nil: undefined }),
  prefix: fc.array(fc.constantFrom('a', 'lake'), { maxLength: 2 }),
});

function sourceWith(tables: readonly TableIdentifier[]): FakeSource {
  const source = new FakeSource();
  for (const one of tables)
    source.putState({ kind: 'present', table: one, metadataLocation: 'x', incarnation: keyOf(one), asOf: 1 });
  return source;
}

/** What must be said of a Polaris name behind which these source tables stand. */
function due(behind: readonly TableIdentifier[]): unknown {
  const [one] = behind;
  if (one === undefined) return { kind: 'absent' };
  if (behind.length === 1) return { kind: 'present', incarnation: keyOf(one) };
  return { kind: 'unsupported', incarnation: undefined, names: behind.map(showTable) };
}

function said(state: TableState | undefined, behind: readonly TableIdentifier[]): unknown {
  if (state?.kind === 'absent') return { kind: state.kind };
  if (state?.kind === 'present') return { kind: state.kind, incarnation: state.incarnation };
  const names = behind.map(showTable).filter((name) => state?.reason.includes(name));
  return { kind: state?.kind, incarnation: state?.incarnation, names };
}

test('after a list, a Polaris name has one source table, or is unsupported and names all, and is absent only if there is none', async () => {
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(table, { selector: keyOf, maxLength: 12 }),
      table,
      mapping,
      async (tables, other, namespace) => {
        const connector = scoped(sourceWith(tables), { ...scopeConfig.parse({}), namespace }, { clock: systemClock });
        await collect(connector.list(signal));
        const names = [...tables, other].map((one) => toPolaris(namespace, one));
        const states = await connector.resolve(names, signal);
        const behind = names.map((name) => tables.filter((one) => keyOf(toPolaris(namespace, one)) === keyOf(name)));
        expect(states.map((state) => state.table)).toEqual(names);
        expect(states.map((state, index) => said(state, behind[index] ?? []))).toEqual(behind.map(due));
      },
    ),
    { numRuns: 500 },
  );
});

test('every list says of each Polaris name, by its last state, what a read says', async () => {
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(table, { selector: keyOf, maxLength: 12 }), mapping, async (tables, namespace) => {
      const connector = scoped(sourceWith(tables), { ...scopeConfig.parse({}), namespace }, { clock: systemClock });
      const last = new Map((await collect(connector.list(signal))).flat().map((state) => [keyOf(state.table), state]));
      const states = await connector.resolve(
        [...last.values()].map((state) => state.table),
        signal,
      );
      expect(states.map(({ kind }) => kind)).toEqual([...last.values()].map(({ kind }) => kind));
    }),
    { numRuns: 300 },
  );
});

test('the likely source of a Polaris name is mapped to that name', () => {
  expect.hasAssertions();
  fc.assert(
    fc.property(table, mapping, (one, namespace) => {
      const source = likelySource(namespace, one);
      fc.pre(source !== undefined);
      expect(source && toPolaris(namespace, source)).toEqual(one);
    }),
  );
});

test('without case and flattening no two tables meet and nothing needs to be remembered', () => {
  expect.hasAssertions();
  fc.assert(
    fc.property(table, fc.array(level, { maxLength: 2 }), (one, prefix) => {
      const namespace = { case: 'preserve', prefix } as const;
      expect(likelySource(namespace, toPolaris(namespace, one))).toEqual(one);
    }),
  );
});

test('a rewritten location ends as it did, and its beginning was replaced by the longest rule', () => {
  expect.hasAssertions();
  const rule = fc.record({
    from: fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom('a', 'b') }),
    to: fc.string(),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(rule, { selector: ({ from }) => from }),
      fc.string({ unit: fc.constantFrom('a', 'b') }),
      (rules, location) => {
        const longest = rules
          .filter(({ from }) => location.startsWith(from))
          .toSorted((x, y) => y.from.length - x.from.length)[0];
        expect(rewriteLocation(rules, location)).toBe(
          longest === undefined ? location : longest.to + location.slice(longest.from.length),
        );
      },
    ),
  );
});
