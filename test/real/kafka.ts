import { Session } from './kafka/session.ts';
import { STEPS } from './kafka/steps.ts';
import { findToolchain } from './toolchain.ts';

// npm run test:real:kafka
// Exit codes: 0 all holds, 1 something did not, 2 not run because a JDK or Maven is missing.

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function tier(): Promise<number> {
  const found = findToolchain();
  if (!found.ready) {
    process.stderr.write(`test:real:kafka: not run, as it needs ${found.missing.join('; and ')}.\n`);
    return 2;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const before = performance.now();
  await using session = await Session.start(found);
  say(`started in ${((performance.now() - before) / 1000).toFixed(1)} s, logs in ${session.folder}`);
  let passed = 0;
  for (const [i, { name, run }] of STEPS.entries()) {
    const title = `${i + 1}/${STEPS.length}  ${name}`;
    try {
      say(`${title}: ${await run(session)}`);
      passed += 1;
    } catch (error) {
      say(`${title}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
      // What comes after it builds on it.
      break;
    }
  }
  if (passed === STEPS.length) session.succeeded();
  say(`\n${passed} passed, ${STEPS.length - passed} failed or not reached`);
  return passed === STEPS.length ? 0 : 1;
}

process.exitCode = await tier();
