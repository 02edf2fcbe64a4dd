import { defineConfig } from 'vitest/config';

/** What judges StrykerJS's mutants of the core: the core's own tests. The simulator would take hours for a thousand. */
export default defineConfig({ test: { include: ['test/core/**/*.test.ts'] } });
