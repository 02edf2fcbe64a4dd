import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { MAIN } from './agent.ts';
import { OPERATIONS } from './glue/operations.ts';
import { Session, type Compared, type Mode } from './glue/session.ts';
import { PYTHON } from './glue/writer.ts';
import { pythonWith, type ReadyPython } from './pyiceberg.ts';

// npm run test:real:glue [-- --only events,reconciliation --main dist/src/main.js]
// Exit codes: 0 all equal, 1 something was not, 2 not run because Python or pip is missing or the command line is wrong.

const MODES: readonly Mode[] = ['events', 'reconciliation'];
const TEMPLATE = fileURLToPath(new URL('../../examples/glue-consumer/template.yaml', import.meta.url));

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function refuse(line: string): never {
  process.stderr.write(`test:real:glue: ${line}\n`);
  process.exit(2);
}

type Result = {
  readonly mode: Mode;
  readonly compared: readonly Compared[];
  readonly notifications: number;
  readonly failure?: string | undefined;
};

async function runMode(mode: Mode, tools: { readonly python: ReadyPython; readonly main: string }): Promise<Result> {
  const compared: Compared[] = [];
  let notifications = 0;
  try {
    await using session = await Session.start(mode, tools);
    for (const [i, operation] of OPERATIONS.entries()) {
      const title = `${mode}  ${i + 1}/${OPERATIONS.length}  ${operation.name}`;
      try {
        const one = await session.perform(operation);
        compared.push(one);
        say(`${title}: equal (${one.tables} tables, ${Math.round(one.tookMs)} ms)`);
      } catch (error) {
        throw new Error(`${title}\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
    await session.finish();
    notifications = session.notifications;
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    say(`${mode}  FAILED: ${failure}`);
    return { mode, compared, notifications, failure };
  }
  return { mode, compared, notifications };
}

/** What is wrong with the example's template, in cfn-lint's words; undefined: nothing. */
async function lintTemplate({ program, env }: ReadyPython): Promise<string | undefined> {
  const args = ['-c', 'import sys; from cfnlint.runner import main; sys.exit(main())', TEMPLATE];
  try {
    await promisify(execFile)(program, args, { env: { ...process.env, ...env } });
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}`.trim();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, main: { type: 'string', default: MAIN } },
  });
  const modes = (values.only?.split(',') ?? MODES).map(
    (name) => MODES.find((mode) => mode === name) ?? refuse(`There is no mode ${name}, only ${MODES.join(', ')}.`),
  );
  const python = await pythonWith('moto', join(PYTHON, 'requirements.txt'));
  if (!python.ready) return refuse(`not run: ${python.reason}.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const lint = await lintTemplate(python);
  say(lint === undefined ? 'cfn-lint: the template is fine' : `cfn-lint: FAILED\n${lint}`);
  const results: Result[] = [];
  for (const mode of modes) results.push(await runMode(mode, { python, main: values.main }));
  say('');
  for (const { mode, compared, notifications, failure } of results) {
    const times = compared.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
    const [median = 0, slowest = 0] = [times[Math.floor(times.length / 2)], times.at(-1)];
    const figures = `${notifications} notifications, equal after ${Math.round(median)} ms (median), ${Math.round(slowest)} ms (slowest)`;
    say(
      `${mode}: ${compared.length} of ${OPERATIONS.length} operations compared${failure === undefined ? `, ${figures}` : ''}`,
    );
  }
  const failed = results.filter(({ failure }) => failure !== undefined).length + (lint === undefined ? 0 : 1);
  const passed = results.reduce((sum, { compared }) => sum + compared.length, 0);
  say(`\n${passed} operations equal, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
