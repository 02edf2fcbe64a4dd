import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** The suffix of a test file says what it needs: nothing, `.pg` a real PostgreSQL, `.polaris` a Polaris given by POLARIS_URI, `.promtool` a PostgreSQL and Prometheus's promtool, `.page` a Chromium, `.real` the tools of the real tier. */
export default defineConfig({
  test: {
    // One less than there are cores, as usual, would be one of two: and most of what tests do is wait.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          // Tests wait for conditions, not for time; on a busy machine even a short one may take long.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          include: ['test/**/*.test.ts'],
          exclude: [
            'test/**/*.pg.test.ts',
            'test/**/*.polaris.test.ts',
            'test/**/*.sqs.test.ts',
            'test/**/*.promtool.test.ts',
            'test/**/*.page.test.ts',
            'test/real/**',
          ],
        },
      },
      { test: { name: 'sqs', include: ['test/**/*.sqs.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'pg', include: ['test/**/*.pg.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
      ...(process.env['POLARIS_URI'] === undefined
        ? []
        : [{ test: { name: 'polaris', include: ['test/**/*.polaris.test.ts'], testTimeout: 120_000 } }]),
      ...(process.env['POLARIS_PUSH_MONITORING'] === undefined
        ? []
        : [{ test: { name: 'monitoring', include: ['test/monitoring/*.promtool.test.ts'], testTimeout: 120_000 } }]),
      ...(process.env['POLARIS_PUSH_PAGE'] === undefined
        ? []
        : [{ test: { name: 'page', include: ['test/page/*.page.test.ts'], testTimeout: 60_000 } }]),
      ...(process.env['POLARIS_PUSH_REAL'] === undefined
        ? []
        : [{ test: { name: 'real', include: ['test/real/**/*.real.test.ts'], testTimeout: 120_000 } }]),
    ],
  },
});
