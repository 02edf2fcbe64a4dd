import { parseArgs } from 'node:util';
import { chartSteps } from './chart-steps.ts';
import { composeSteps } from './compose-steps.ts';
import { imageSteps } from './image-steps.ts';
import { serviceSteps } from './service-steps.ts';
import type { Step } from './step.ts';
import { Missing } from './tools.ts';

// npm run test:packaging [-- --only chart,image]
// Exit codes: 0 all passed, 1 something failed, 2 nothing failed, but something was not run as a tool is missing.

const AREAS: Readonly<Record<string, readonly Step[]>> = {
  chart: chartSteps,
  image: imageSteps,
  service: serviceSteps,
  compose: composeSteps,
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function chosen(): readonly (readonly [string, Step])[] {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  const names = values.only?.split(',') ?? Object.keys(AREAS);
  return names.flatMap((name) => {
    const steps = AREAS[name];
    if (steps !== undefined) return steps.map((step) => [name, step] as const);
    process.stderr.write(`test:packaging: There is no ${name}, only ${Object.keys(AREAS).join(', ')}.\n`);
    process.exit(2);
  });
}

async function main(): Promise<number> {
  const counts = { passed: 0, failed: 0, missing: 0 };
  for (const [area, { name, run }] of chosen()) {
    const before = performance.now();
    try {
      const seen = await run();
      counts.passed += 1;
      say(`✓ ${area}: ${name}: ${seen} (${((performance.now() - before) / 1000).toFixed(1)} s)`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      counts[error instanceof Missing ? 'missing' : 'failed'] += 1;
      say(error instanceof Missing ? `– ${area}: ${name}: NOT RUN: ${reason}` : `✗ ${area}: ${name}\n${reason}`);
    }
  }
  say(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.missing} not run`);
  if (counts.failed > 0) return 1;
  return counts.missing > 0 ? 2 : 0;
}

process.exitCode = await main();
