import { PREFIX } from '../../src/observe/definitions.ts';
import { of, ROWS, type Panel, type Query } from './dashboard-panels.ts';

const COLUMNS = 24;
/** What Grafana names queries by. */
const LETTERS = 'ABCDEFGHIJ';
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/** The dashboard as Grafana 10 and newer imports it: `Dashboards > New > Import`. */
export function dashboardJson(): string {
  const dashboard = {
    __inputs: [],
    __requires: [
      { type: 'grafana', id: 'grafana', name: 'Grafana', version: '10.0.0' },
      { type: 'datasource', id: 'prometheus', name: 'Prometheus', version: '1.0.0' },
      ...['stat', 'timeseries'].map((id) => ({ type: 'panel', id, name: id, version: '' })),
    ],
    uid: 'polaris-push',
    title: 'polaris-push',
    description: 'Catalogs that are kept equal in Apache Polaris: source, notifications, targets, sinks, ledger.',
    tags: ['polaris-push', 'iceberg'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    annotations: {
      list: [
        {
          name: 'Alerts',
          datasource: DATASOURCE,
          enable: true,
          iconColor: 'red',
          expr: 'ALERTS{alertname=~"PolarisPush.*",alertstate="firing"}',
          titleFormat: '{{alertname}}',
          textFormat: '{{target}}{{sink}}{{source}}',
        },
      ],
    },
    templating: { list: variables() },
    panels: panels(),
  };
  return `${JSON.stringify(dashboard, undefined, 2)}\n`;
}

function variables(): readonly object[] {
  const build = `${PREFIX}build_info`;
  return [
    { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus', current: {} },
    variable('job', 'Job', `label_values(${build}, job)`),
    variable('instance', 'Instance', `label_values(${build}{job=~"$job"}, instance)`),
    variable('target', 'Target', `label_values(${of('target_up')}, target)`),
  ];
}

const variable = (name: string, label: string, query: string) => ({
  type: 'query',
  name,
  label,
  datasource: DATASOURCE,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
});

/** From the left to the right, and into the next line where a panel doesn't fit any more. */
function panels(): readonly object[] {
  const all: object[] = [];
  let [x, y, below] = [0, 0, 0];
  for (const { title, panels: row } of ROWS) {
    all.push({
      type: 'row',
      id: all.length + 1,
      title,
      collapsed: false,
      gridPos: { x: 0, y: below, w: COLUMNS, h: 1 },
      panels: [],
    });
    [x, y, below] = [0, below + 1, below + 1];
    for (const panel of row) {
      const { width: w = 8, height: h = 8 } = panel;
      if (x + w > COLUMNS) [x, y] = [0, below];
      all.push({ id: all.length + 1, gridPos: { x, y, w, h }, ...grafanaPanel(panel) });
      x += w;
      below = Math.max(below, y + h);
    }
  }
  return all;
}

function grafanaPanel({ kind = 'timeseries', title, about, unit, queries, colours }: Panel): object {
  const steps = colours ?? [[undefined, 'green']];
  const defaults = {
    unit,
    color: { mode: kind === 'stat' ? 'thresholds' : 'palette-classic' },
    thresholds: { mode: 'absolute', steps: steps.map(([value, color]) => ({ value: value ?? null, color })) },
    ...(kind === 'stat' ? {} : { min: 0, custom: { lineWidth: 1, fillOpacity: 10, showPoints: 'never' } }),
  };
  const options =
    kind === 'stat'
      ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'background', graphMode: 'none', textMode: 'auto' }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } };
  return {
    type: kind,
    title,
    description: about,
    datasource: DATASOURCE,
    fieldConfig: { defaults, overrides: [] },
    options,
    targets: queries.map(grafanaTarget),
  };
}

const grafanaTarget = ({ expr, legend }: Query, index: number) => ({
  refId: LETTERS.charAt(index),
  datasource: DATASOURCE,
  expr,
  legendFormat: legend,
  range: true,
  instant: false,
});
