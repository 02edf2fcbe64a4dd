import { describe, expect, test } from 'vitest';
import { promtool, promtoolOn } from './promtool.ts';
import { ALERTS, ALERT_TESTS, alertRules, dashboard, dashboardExpressions } from './rules.ts';

/** As Grafana fills its variables in. */
const filled = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance|target)\b/g, '.*');

const recording = (expressions: readonly string[]): string =>
  JSON.stringify({
    groups: [
      { name: 'dashboard', rules: expressions.map((expr, i) => ({ record: `panel:${i}`, expr: filled(expr) })) },
    ],
  });

describe('Prometheus', () => {
  test('takes the alert rules', () => {
    const { ok, said } = promtool('check', 'rules', ALERTS);
    expect(said).toContain(`${alertRules().length} rules found`);
    expect(ok).toBe(true);
  });

  test('finds that each alert fires when it should, and none when all is well', () => {
    expect(promtool('test', 'rules', ALERT_TESTS)).toMatchObject({ ok: true });
  });

  test('takes every expression of the dashboard', () => {
    const expressions = [...dashboardExpressions(), ...dashboard().annotations.list.map(({ expr }) => expr)];
    const { ok, said } = promtoolOn(recording(expressions), 'check', 'rules');
    expect(said).toContain(`${expressions.length} rules found`);
    expect(ok).toBe(true);
  });

  test('notices an expression that is none', () => {
    expect(promtoolOn(recording(['sum by (job) rate(up[$__rate_interval]']), 'check', 'rules').ok).toBe(false);
  });
});
