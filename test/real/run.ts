import { parseArgs } from 'node:util';
import { MAIN } from './agent.ts';
import { tryJudges } from './judges.ts';
import { FAREWELL, OPERATIONS } from './operations.ts';
import { pyIcebergSteps, type Step } from './pyiceberg-steps.ts';
import { findPython, type Python } from './pyiceberg.ts';
import { type Compared, Session, type Tools } from './session.ts';
import { findToolchain } from './toolchain.ts';
import { VERSIONS, type Version } from './versions.ts';

// npm run test:real [-- --only 4.2.0,3.1.3 --without-pyiceberg --main dist/src/main.js]
// Exit codes: 0 all equal, 1 something was not, 2 not run because a tool is missing or the command line is wrong.

type Result = {
  readonly version: string;
  readonly setting: string;
  readonly planned: number;
  readonly compared: readonly Compared[];
  readonly notifications: number;
  readonly seconds: number;
  readonly failure?: string | undefined;
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function refuse(line: string): never {
  process.stderr.write(`test:real: ${line}\n`);
  process.exit(2);
}

type Choice = { readonly versions: readonly Version[]; readonly withPyIceberg: boolean; readonly main: string };

function chosen(): Choice {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      'without-pyiceberg': { type: 'boolean', default: false },
      main: { type: 'string', default: MAIN },
    },
  });
  const names = values.only?.split(',') ?? VERSIONS.map(({ version }) => version);
  const versions = names.map((name) => {
    const known = VERSIONS.map(({ version }) => version).join(', ');
    return VERSIONS.find(({ version }) => version === name) ?? refuse(`There is no version ${name}, only ${known}.`);
  });
  return { versions, withPyIceberg: !values['without-pyiceberg'], main: values.main };
}

/** Runs every operation against one version; the first that doesn't end in equality ends it, as the rest builds on it. */
async function runVersion(version: Version, tools: Tools, python: Python): Promise<Result> {
  const before = performance.now();
  const compared: Compared[] = [];
  let planned = OPERATIONS.length + FAREWELL.length;
  let notifications = 0;
  let failure: string | undefined;
  try {
    await using session = await Session.start(version, tools);
    say(`${version.version}  started in ${inSeconds(performance.now() - before)} s, logs in ${session.folder}`);
    const perform = (operations: typeof OPERATIONS): readonly Step[] =>
      operations.map((operation) => ({ name: operation.name, run: () => session.perform(operation) }));
    const steps = [
      ...perform(OPERATIONS),
      ...(python.ready ? pyIcebergSteps(session, python, version.takesPyIceberg) : []),
      ...perform(FAREWELL),
    ];
    planned = steps.length;
    for (const { name, run } of steps) {
      say(await described(`${version.version}  ${compared.length + 1}/${planned}  ${name}`, run, compared));
    }
    await session.finish();
    notifications = session.notifications;
    session.succeeded();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    say(`${version.version}  FAILED: ${failure}`);
  }
  const setting = `PostgreSQL ${version.postgres}, ${version.role}`;
  const seconds = (performance.now() - before) / 1000;
  return { version: version.version, setting, planned, compared, notifications, seconds, failure };
}

async function described(title: string, run: () => Promise<Compared>, compared: Compared[]): Promise<string> {
  try {
    const result = await run();
    compared.push(result);
    return `${title}: equal (${result.tables} tables, ${Math.round(result.tookMs)} ms)`;
  } catch (error) {
    throw new Error(`${title}\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

const inSeconds = (ms: number): string => (ms / 1000).toFixed(1);

function table(results: readonly Result[]): string {
  const head = ['version', 'setting', 'operations', 'equal', 'notifications', 'median ms', 'slowest ms', 'seconds'];
  const rows = results.map(({ version, setting, planned, compared, notifications, seconds }) => {
    const times = compared.map(({ tookMs }) => Math.round(tookMs)).toSorted((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)] ?? 0;
    const numbers = [planned, compared.length, notifications, median, times.at(-1) ?? 0, seconds.toFixed(1)];
    return [version, setting, ...numbers.map(String)];
  });
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
  return [head, ...rows].map((cells) => line(cells).join('  ').trimEnd()).join('\n');
}

async function main(): Promise<number> {
  const { versions, withPyIceberg, main: agent } = chosen();
  const found = findToolchain();
  if (!found.ready) return refuse(`not run, as it needs ${found.missing.join('; and ')}.`);
  const tools = { jdk: found.jdk, maven: found.maven, main: agent };
  tryJudges();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  say(`JDK ${tools.jdk.feature} in ${tools.jdk.home}`);
  const python: Python = withPyIceberg ? await findPython() : { ready: false, reason: '--without-pyiceberg' };
  const results: Result[] = [];
  for (const version of versions) results.push(await runVersion(version, tools, python));
  say(`\n${table(results)}`);
  if (!python.ready) say(`PyIceberg: not run: ${python.reason}`);
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  const passed = results.reduce((sum, { compared }) => sum + compared.length, 0);
  say(`\n${passed} passed, ${failed} failed`);
  if (failed > 0) return 1;
  return withPyIceberg && !python.ready ? 2 : 0;
}

process.exitCode = await main();
