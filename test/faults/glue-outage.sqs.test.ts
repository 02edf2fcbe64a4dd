import { expect, test } from 'vitest';
import { glueOutage } from './glue-outage.ts';

test('an outage of Polaris for five visibility timeouts burns no receives and loses nothing', async () => {
  const result = await glueOutage({ outageMs: 10_000, visibilityTimeout: 2, tables: 20, pauseMs: 10 });
  expect(result.commits).toBeGreaterThan(100);
  expect(result.deleted).toBe(result.commits);
  expect(result.receivesPerMessage).toBe(1);
  // A commit waits in the queue for a moment, not for Polaris.
  expect(result.mostInQueue).toBeLessThan(result.commits / 2);
  // What was committed many times is told once, or a few times where reads were under way.
  expect(result.notificationsAfter).toBeLessThan(result.commits / 2);
});
