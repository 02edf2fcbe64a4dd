import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MAIN } from './agent.ts';
import { tryJudges } from './judges.ts';
import { pythonWith } from './pyiceberg.ts';
import { PYTHON, type Tools } from './rest/servers.ts';
import { type Compared, Session } from './rest/session.ts';
import { SOURCES, type SourceKind } from './rest/sources.ts';
import { findToolchain } from './toolchain.ts';

// npm run test:real:rest [-- --only iceberg,webhook,nessie,polaris --main dist/src/main.js --without-contract]
// Exit codes: 0 all equal, 1 something was not, 2 not run because a tool is missing or the command line is wrong.

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function refuse(line: string): never {
  process.stderr.write(`test:real:rest: ${line}\n`);
  process.exit(2);
}

type Result = {
  readonly source: SourceKind;
  readonly compared: readonly Compared[];
  readonly notifications: number;
  readonly failure?: string | undefined;
};

/** Every operation against one catalog; the first that doesn't end in equality ends it, as the rest builds on it. */
async function runSource(source: SourceKind, tools: Tools, main: string): Promise<Result> {
  const compared: Compared[] = [];
  let notifications = 0;
  let failure: string | undefined;
  try {
    const before = performance.now();
    await using session = await Session.start(source, tools, main);
    say(`${source.name}  started in ${((performance.now() - before) / 1000).toFixed(1)} s, logs in ${session.folder}`);
    await session.command('check');
    say(`${source.name}  check has nothing to object to`);
    session.run();
    for (const [i, operation] of source.operations.entries()) {
      const title = `${source.name}  ${i + 1}/${source.operations.length}  ${operation.name}`;
      try {
        const one = await session.perform(operation);
        compared.push(one);
        say(`${title}: equal (${one.tables} tables, ${Math.round(one.tookMs)} ms)`);
      } catch (error) {
        throw new Error(`${title}\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
    await session.finish();
    await session.command('diff');
    say(`${source.name}  diff finds nothing`);
    notifications = session.notifications;
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    say(`${source.name}  FAILED: ${failure}`);
  }
  return { source, compared, notifications, failure };
}

/** Whether the connector keeps to the contract of all connectors on these servers, too. */
async function contract(): Promise<boolean> {
  say('\nThe connector contract');
  const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
  const child = spawn(process.execPath, [vitest, 'run', '--project', 'real'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, POLARIS_PUSH_REAL: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

async function tier(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      main: { type: 'string', default: MAIN },
      'without-contract': { type: 'boolean', default: false },
    },
  });
  const known = SOURCES.map(({ name }) => name);
  const sources = (values.only?.split(',') ?? known).map(
    (name) =>
      SOURCES.find((source) => source.name === name) ?? refuse(`There is no source ${name}, only ${known.join(', ')}.`),
  );
  const found = findToolchain();
  if (!found.ready) return refuse(`not run, as it needs ${found.missing.join('; and ')}.`);
  const python = await pythonWith('rest', join(PYTHON, 'requirements.txt'));
  if (!python.ready) return refuse(`not run: ${python.reason}.`);
  tryJudges();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const results: Result[] = [];
  for (const source of sources) results.push(await runSource(source, { ...found, python }, values.main));
  say('');
  for (const { source, compared, notifications, failure } of results) {
    const times = compared.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
    const [median = 0, slowest = 0] = [times[Math.floor(times.length / 2)], times.at(-1)];
    const figures = `${notifications} notifications, equal after ${Math.round(median)} ms (median), ${Math.round(slowest)} ms (slowest)`;
    const done = `${compared.length} of ${source.operations.length} operations compared`;
    say(`${source.title}: ${done}${failure === undefined ? `, ${figures}` : ''}`);
  }
  const kept = values['without-contract'] || (await contract());
  const failed = results.filter(({ failure }) => failure !== undefined).length + (kept ? 0 : 1);
  const passed = results.reduce((sum, { compared }) => sum + compared.length, 0);
  say(`\n${passed} operations equal, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await tier();
