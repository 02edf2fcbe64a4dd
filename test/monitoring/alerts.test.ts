import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { METRICS } from '../../src/observe/definitions.ts';
import { ROOT } from '../docs/root.ts';
import { metricsIn, unknownIn } from './expressions.ts';
import { alertRules, alertTests } from './rules.ts';

const RULES = alertRules();
const NAMES = RULES.map(({ alert }) => alert);
const RUNBOOK = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');

/** The runbook's sections of alerts, by title. */
function sections(): ReadonlyMap<string, string> {
  const [, all = ''] = /\n## Alerts\n([^]*?)\n## /.exec(RUNBOOK) ?? [];
  return new Map(
    all
      .split(/^### /m)
      .slice(1)
      .map((section) => {
        const [title = ''] = section.split('\n', 1);
        return [title, section.slice(title.length)] as const;
      }),
  );
}

describe('The alert rules', () => {
  test('have each a name of its own', () => {
    expect(NAMES.length).toBeGreaterThan(20);
    expect(new Set(NAMES).size).toBe(NAMES.length);
    expect(NAMES.filter((name) => !/^PolarisPush[A-Z]\w+$/.test(name))).toEqual([]);
  });

  test.for(RULES)('$alert names only metrics and labels that there are', ({ expr }) => {
    expect(unknownIn(expr)).toEqual([]);
  });

  test.for(RULES)(
    '$alert says how bad it is, what is wrong, and where to read on',
    ({ alert, labels, annotations }) => {
      expect(['critical', 'warning']).toContain(labels['severity']);
      expect(annotations).toEqual({
        summary: expect.stringMatching(/\S/) as string,
        description: expect.stringMatching(/\.$/) as string,
        runbook: `docs/operations.md#${alert.toLowerCase()}`,
      });
    },
  );

  test('tell of every gauge that says whether something works', () => {
    const watched = new Set(RULES.flatMap(({ expr }) => metricsIn(expr)));
    const verdicts = Object.keys(METRICS).filter((name) => name.endsWith('_up') || name.endsWith('_caught_up'));
    expect(verdicts).toContain('target_up');
    expect(verdicts.filter((name) => !watched.has(name))).toEqual([]);
  });
});

describe('The runbook', () => {
  test('has a section for each alert, in the order of the rules, and for no other', () => {
    expect([...sections().keys()]).toEqual(NAMES);
  });

  test.for(NAMES)('says of %s what it means, why it comes, and what to do', (name) => {
    const section = sections().get(name) ?? '';
    for (const part of ['Means', 'Causes', 'Do'])
      expect(section).toMatch(new RegExp(`^- \\*\\*${part}\\*\\*: .{20,}`, 'm'));
  });
});

const isGood = (name: string): boolean => name === 'all is well';

describe('The tests of the alert rules', () => {
  const cases = alertTests().flatMap(({ name, alert_rule_test }) => alert_rule_test.map((one) => ({ name, ...one })));

  test.for(NAMES)('let %s fire, be silent before, and be silent while all is well', (name) => {
    const own = cases.filter(({ alertname }) => alertname === name);
    expect(own.some(({ name: of, exp_alerts }) => !isGood(of) && exp_alerts.length > 0)).toBe(true);
    expect(own.some(({ name: of, exp_alerts }) => !isGood(of) && exp_alerts.length === 0)).toBe(true);
    expect(own.filter(({ name: of, exp_alerts }) => isGood(of) && exp_alerts.length === 0).length).toBeGreaterThan(1);
  });

  test('know no alert that there isn’t', () => {
    expect(cases.map(({ alertname }) => alertname).filter((name) => !NAMES.includes(name))).toEqual([]);
  });
});
