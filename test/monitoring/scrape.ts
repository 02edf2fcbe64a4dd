import { alertRules, ALERTS } from './rules.ts';
import { promtoolOn } from './promtool.ts';

/** Values by series, as `polaris_push_target_up{target="main"}` without the labels that Prometheus adds. */
export type Scrape = ReadonlyMap<string, number>;

const ADDED = 'job="polaris-push",instance="127.0.0.1:9184"';
/** How long each state lasts in Prometheus's time, minutes: longer than any rule waits. */
const LASTING = 100;

/** What an agent answers at /metrics; undefined: nothing. */
export async function scrape(port: number): Promise<Scrape | undefined> {
  let text: string;
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    if (!response.ok) throw new Error(`/metrics answered ${response.status}.`);
    text = await response.text();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
  return parseScrape(text);
}

/** The agent's own series, and the process's start. */
export function parseScrape(text: string): Scrape {
  const lines = [...text.matchAll(/^((?:polaris_push_|process_start_time_seconds)\w*(?:\{.*\})?) (\S+)$/gm)];
  return new Map(lines.map(([, series = '', value]) => [series, Number(value)]));
}

/**
 * The alerts that fire when an agent looks like `before` for long, and then like `during` for long, each with those of its
 * labels that Prometheus didn't add, by Prometheus's own engine on the rules that are shipped.
 */
export function alertsOf(before: Scrape, during: Scrape | undefined): readonly string[] {
  const names = new Set([...before.keys(), ...(during?.keys() ?? [])]);
  const input_series = [
    { series: `up{${ADDED}}`, values: `1x${LASTING - 1} ${during === undefined ? 0 : 1}x${LASTING}` },
    ...[...names].map((name) => ({
      series: withAdded(name),
      values: `${lasting(before.get(name), LASTING - 1)} ${lasting(during?.get(name), LASTING)}`,
    })),
  ];
  // It says what it got where nothing is expected. Rules wait for different times, and some end by themselves.
  const asked = [LASTING - 1, LASTING + 3, LASTING + 8, LASTING + 20, LASTING + 90];
  const alert_rule_test = asked.flatMap((minute) =>
    alertRules().map(({ alert }) => ({ eval_time: `${minute}m`, alertname: alert, exp_alerts: [] })),
  );
  const tests = [{ interval: '1m', input_series, alert_rule_test }];
  const { ok, said } = promtoolOn(
    JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '1m', tests }),
    'test',
    'rules',
  );
  const fired = [...said.matchAll(/Labels:\{alertname="(\w+)"([^}]*)\}/g)].map(([, name, labels = '']) => {
    const shown = [...labels.matchAll(/(code|drift|sink|slot|source|target)="([^"]*)"/g)].map(([, , value]) => value);
    return [name, ...shown].join(' ');
  });
  if (!ok && fired.length === 0) throw new Error(said);
  return [...new Set(fired)].toSorted((a, b) => a.localeCompare(b));
}

const lasting = (value: number | undefined, minutes: number): string =>
  value === undefined ? `_x${minutes + 1}` : `${value}x${minutes}`;

const withAdded = (series: string): string =>
  series.endsWith('}') ? series.replace('{', `{${ADDED},`) : `${series}{${ADDED}}`;
