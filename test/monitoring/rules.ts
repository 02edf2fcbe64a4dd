import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../docs/root.ts';

export const ALERTS = join(ROOT, 'monitoring/alerts.yaml');
export const ALERT_TESTS = join(ROOT, 'monitoring/alerts.test.yaml');
export const DASHBOARD = join(ROOT, 'monitoring/dashboard.json');

export type AlertRule = {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

type RuleFile = { readonly groups: readonly { readonly rules: readonly AlertRule[] }[] };

export type AlertTest = {
  readonly name: string;
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
};

export const alertRules = (): readonly AlertRule[] =>
  (parse(readFileSync(ALERTS, 'utf8')) as RuleFile).groups.flatMap(({ rules }) => rules);

export const alertTests = (): readonly AlertTest[] =>
  (parse(readFileSync(ALERT_TESTS, 'utf8')) as { readonly tests: readonly AlertTest[] }).tests;

export type DashboardPanel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly datasource: { uid: string } }[];
};

export type Dashboard = {
  readonly panels: readonly DashboardPanel[];
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
};

export const dashboard = (): Dashboard => JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;

/** The expressions of the dashboard. */
export const dashboardExpressions = (): readonly string[] =>
  dashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
