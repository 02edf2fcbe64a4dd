import { defineConfig } from 'vitest/config';

/** What judges StrykerJS's mutants of the core: the core's own tests, and long histories of lanes. */
export default defineConfig({ test: { include: ['test/core/**/*.test.ts', 'test/sim/long-lanes.test.ts'] } });
