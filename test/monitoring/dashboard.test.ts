import { describe, expect, test } from 'vitest';
import { METRICS } from '../../src/observe/definitions.ts';
import { metricsIn, unknownIn } from './expressions.ts';
import { dashboard, dashboardExpressions, type DashboardPanel } from './rules.ts';

const { panels, templating, schemaVersion } = dashboard();
const SHOWING = panels.filter(({ type }) => type !== 'row');

const overlap = ({ gridPos: a }: DashboardPanel, { gridPos: b }: DashboardPanel): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

describe('The dashboard', () => {
  test('shows every metric of the agent', () => {
    const shown = new Set(dashboardExpressions().flatMap(metricsIn));
    expect(Object.keys(METRICS).filter((name) => !shown.has(name))).toEqual([]);
  });

  test('names only metrics and labels that there are', () => {
    expect(dashboardExpressions().flatMap(unknownIn)).toEqual([]);
  });

  test('narrows every expression to the chosen agents', () => {
    const all = dashboardExpressions();
    expect(all.length).toBeGreaterThan(50);
    expect(all.filter((expr) => !expr.includes('{job=~"$job",instance=~"$instance"'))).toEqual([]);
  });

  test('asks the data source that is chosen, and names only variables that it has', () => {
    const variables = new Set(templating.list.map(({ name }) => name));
    expect(templating.list[0]).toMatchObject({ type: 'datasource', name: 'datasource' });
    for (const { datasource, targets = [] } of SHOWING) {
      expect(datasource?.uid).toBe('${datasource}');
      for (const target of targets) expect(target.datasource.uid).toBe('${datasource}');
    }
    const used = [...dashboardExpressions(), ...templating.list.map(({ definition = '' }) => definition)]
      .flatMap((expr) => [...expr.matchAll(/\$(\w+)/g)].map(([, name = '']) => name))
      .filter((name) => !name.startsWith('__'));
    expect(used.filter((name) => !variables.has(name))).toEqual([]);
  });

  test('gives each panel an id, a place of its own, a title and what to look for', () => {
    expect(schemaVersion).toBeGreaterThanOrEqual(36);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.filter(({ gridPos: { x, w } }) => x < 0 || x + w > 24)).toEqual([]);
    const clashes = panels.flatMap((panel, i) =>
      panels.slice(i + 1).flatMap((other) => (overlap(panel, other) ? [`${panel.title} and ${other.title}`] : [])),
    );
    expect(clashes).toEqual([]);
    expect(SHOWING.filter(({ title, description = '' }) => title === '' || !description.endsWith('.'))).toEqual([]);
    const titles = SHOWING.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });

  test('names the queries of a panel apart', () => {
    for (const { targets = [] } of SHOWING) {
      const names = targets.map(({ refId }) => refId);
      expect(names.every((name) => /^[A-Z]$/.test(name))).toBe(true);
      expect(new Set(names).size).toBe(names.length);
    }
  });
});
