import { expect, test } from 'vitest';
import { metricsIn, unknownIn } from './expressions.ts';

test('finds the metrics of an expression, also those of a histogram', () => {
  const expr =
    'histogram_quantile(0.99, sum by (le, target) (rate(polaris_push_commit_to_visible_seconds_bucket{target=~"$target"}[5m]))) > 60 and on (job) polaris_push_target_up == 1';
  expect(metricsIn(expr)).toEqual(['commit_to_visible_seconds', 'target_up']);
  expect(unknownIn(expr)).toEqual([]);
});

test.for([
  ['polaris_push_target_upp == 0', 'polaris_push_target_upp'],
  ['up == 0 or some_other_metric > 1', 'some_other_metric'],
  ['increase(polaris_push_hints_totals[5m]) > 0', 'polaris_push_hints_totals'],
  ['polaris_push_target_up{table="a"} == 0', 'polaris_push_target_up{table}'],
  ['polaris_push_ledger_up_bucket > 0', 'polaris_push_ledger_up_bucket'],
] as const)('notices what no agent has: %s', ([expr, unknown]) => {
  expect(unknownIn(expr)).toEqual([unknown]);
});
