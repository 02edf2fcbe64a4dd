import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CommandFailed } from '../quickstart/child.ts';
import { Interrupted, Interruption } from '../quickstart/interruption.ts';
import { type Decided, NoDecision } from './decisions.ts';
import { Environment, type KafkaTopic } from './environment.ts';
import { hopTable } from './hop-statistics.ts';
import { describe } from './report.ts';
import { PolicyAdmin } from './policy-admin.ts';

// npm run demo:maintenance [-- --kafka --commits 1000]
// Exit codes: 0 every commit led to the decision that it should, 3 not, 2 a wrong command line or no Java for --kafka,
// else that of the part that failed.

const HELP = `npm run demo:maintenance [-- --kafka] [-- --commits 1000]

  --kafka       events go through Kafka's own broker instead of by webhook; needs a JDK 21 or newer and Maven
  --commits N   so many commits are timed (default 200)
`;

const MiB = 1024 * 1024;
/** The service notices a changed policy as late as this. */
const POLICY_MAX_AGE = '3s';
/** On a busy machine. */
const POLICY_CHANGE_MS = 30_000;
const TIMED_TABLES = 10;
const BURST = 30;
const KAFKA_PARTITIONS = 3;

const print = (line: string) => void process.stdout.write(`${line}\n`);

/** A step went otherwise than it should have. */
class Unexpected extends Error {
  override readonly name = 'Unexpected';
}

/** `plan by sales.orders@0`, or `skip: no-policy`. */
const gist = ({ plan, reason }: Decided) =>
  plan === undefined ? `skip: ${reason}` : `plan by ${plan.policy.name}@${plan.policy.version}`;

/** The service's decision on a commit; throws `Unexpected` for another one than `wanted`. */
async function decision(environment: Environment, table: string, commit: Promise<string>, wanted: string) {
  const decided = await environment.decisions.on(table, await commit);
  if (gist(decided) !== wanted) throw new Unexpected(`${table}: ${gist(decided)}, expected ${wanted}.`);
  return decided;
}

/** Commits until the decision is `wanted`: what Polaris was told of its policies the service knows a little later. */
async function decisionInTime({ decisions, writer, session }: Environment, table: string, wanted: string) {
  const deadline = performance.now() + POLICY_CHANGE_MS;
  for (;;) {
    const decided = await decisions.on(table, await writer.commit(table));
    if (gist(decided) === wanted) return decided;
    if (performance.now() > deadline) throw new Unexpected(`${table}: ${gist(decided)}, expected ${wanted}.`);
    session.check();
  }
}

const show = (decided: Decided) => {
  for (const line of describe(decided)) print(`  ${line}`);
};

const TABLES = ['sales.orders', 'sales.items', 'finance.invoices', 'staging.scratch'] as const;

async function createTables(environment: Environment): Promise<void> {
  const { writer } = environment;
  print('\n1. Tables appear. No policy applies to them yet');
  for (const namespace of ['sales', 'finance', 'staging', 'stream']) await writer.createNamespace(namespace);
  for (const table of TABLES) {
    show(await decision(environment, table, writer.createTable(table, { appendedFiles: 12 }), 'skip: no-policy'));
  }
}

async function attachPolicies(admin: PolicyAdmin): Promise<void> {
  print(`\n2. The catalog's administrator attaches policies`);
  const policies = [
    {
      namespace: 'sales',
      name: 'lake-default',
      content: { enable: true, config: { target_file_size_bytes: 128 * MiB, compaction_strategy: 'bin-pack' } },
      target: { type: 'catalog', path: [] },
    },
    {
      namespace: 'sales',
      name: 'orders',
      content: {
        enable: true,
        config: {
          target_file_size_bytes: 512 * MiB,
          compaction_strategy: 'sort',
          sort_order: 'id ASC NULLS LAST',
          'max-concurrent-file-group-rewrites': 10,
          'partial-progress.enabled': true,
        },
      },
      target: { type: 'table-like', path: ['sales', 'orders'] },
    },
    {
      namespace: 'staging',
      name: 'never',
      content: { enable: false },
      target: { type: 'namespace', path: ['staging'] },
    },
  ] as const;
  for (const { namespace, name, content, target } of policies) {
    await admin.create(namespace, name, content, target);
    const to = target.type === 'catalog' ? 'the catalog' : target.path.join('.');
    print(`  ${`${namespace}.${name}`.padEnd(20)} to ${to}: ${JSON.stringify(content)}`);
  }
}

async function commitToAll(environment: Environment): Promise<void> {
  print('\n3. Commits: by the policy of the table, one that it inherits from the catalog, one that says no');
  show(await decisionInTime(environment, 'sales.orders', 'plan by sales.orders@0'));
  show(await decisionInTime(environment, 'sales.items', 'plan by sales.lake-default@0'));
  show(await decisionInTime(environment, 'finance.invoices', 'plan by sales.lake-default@0'));
  show(await decisionInTime(environment, 'staging.scratch', 'skip: policy-disabled'));
}

async function burst({ writer, decisions, session }: Environment): Promise<void> {
  const before = decisions.all.length;
  let last = '';
  for (let commit = 0; commit < BURST; commit += 1) last = await writer.commit('sales.items');
  await decisions.on('sales.items', last);
  session.check();
  const made = decisions.all.slice(before);
  const plans = made.filter(({ kind }) => kind === 'plan').length;
  print(
    `\n4. A burst of ${BURST} commits to sales.items: ${made.length} events, ${plans} plans, the last for the last commit`,
  );
}

async function changePolicy(environment: Environment, admin: PolicyAdmin): Promise<void> {
  print(`\n5. A new version of the catalog's policy, noticed within ${POLICY_MAX_AGE}`);
  const content = { enable: true, config: { target_file_size_bytes: 256 * MiB, 'min-input-files': 2, owner: 'lake' } };
  await admin.update('sales', 'lake-default', content, 0);
  show(await decisionInTime(environment, 'sales.items', 'plan by sales.lake-default@1'));
}

async function dropTable({ writer, decisions }: Environment): Promise<void> {
  print('\n6. A table is dropped, and its own policy is taken off it');
  await writer.dropTable('sales.orders');
  show(
    await decisions.until('the DROP of sales.orders', ({ table, type }) => table === 'sales.orders' && type === 'DROP'),
  );
}

/** Commits one after the other, each until it is planned for. */
async function timed(environment: Environment, commits: number, signal: AbortSignal): Promise<string> {
  const { writer, decisions, session } = environment;
  const tables = Array.from({ length: TIMED_TABLES }, (_, i) => `stream.t${i}`);
  for (const table of tables)
    await writer.createTable(table, { appendedFiles: 1 }).then((at) => decisions.on(table, at));
  print(`\n7. ${commits} commits to ${TIMED_TABLES} tables, one after the other, each until it is planned for`);
  const from = decisions.all.length;
  const samples: Decided[] = [];
  for (let commit = 0; commit < commits; commit += 1) {
    signal.throwIfAborted();
    session.check();
    const table = tables[commit % TIMED_TABLES] ?? '';
    samples.push(await decision(environment, table, writer.commit(table), 'plan by sales.lake-default@1'));
  }
  const events = decisions.all.length - from;
  for (const line of hopTable(samples.map(({ ms }) => ms))) print(`  ${line}`);
  return `${commits} commits timed, ${events} events, ${samples.length} plans`;
}

async function demonstrate(folder: string, commits: number, kafka: KafkaTopic | undefined, signal: AbortSignal) {
  print(
    'The combined pattern: a commit is pushed to Polaris, an event follows, the policies of the table are pulled\n',
  );
  const onStarted = (part: string) => print(`  ${part}`);
  await using environment = await Environment.start({ folder, signal, kafka, policyMaxAge: POLICY_MAX_AGE, onStarted });
  const admin = new PolicyAdmin(environment.access);
  await createTables(environment);
  await attachPolicies(admin);
  await commitToAll(environment);
  await burst(environment);
  await changePolicy(environment, admin);
  await dropTable(environment);
  const figures = await timed(environment, commits, signal);
  const events = environment.decisions.all.length;
  const asked = await environment.stopService();
  const saved = Math.round((1 - asked.policies / events) * 100);
  print(
    `\n  ${events} events, ${asked.policies} requests for policies: the cache (${POLICY_MAX_AGE}) saved ${saved} %`,
  );
  print(`\nfine: ${figures}`);
}

/** Kafka's own broker, as the tests have it; loaded only when it is wanted, as it needs Java. */
async function startKafka(folder: string, parts: AsyncDisposableStack): Promise<KafkaTopic> {
  const { findToolchain } = await import('../../test/real/toolchain.ts');
  const { KafkaBroker } = await import('../../test/real/kafka-broker.ts');
  const found = findToolchain();
  if (!found.ready) throw new UsageError(`--kafka needs ${found.missing.join('; and ')}.`);
  print('Starting Kafka; the first time it is downloaded.');
  const broker = parts.use(await KafkaBroker.start(found, join(folder, 'kafka')));
  await broker.createTopic('polaris-push', KAFKA_PARTITIONS);
  return { address: broker.address, topic: 'polaris-push' };
}

class UsageError extends Error {
  override readonly name = 'UsageError';
}

function options(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { kafka: { type: 'boolean' }, commits: { type: 'string', default: '200' }, help: { type: 'boolean' } },
    });
    if (!/^[1-9][0-9]{0,5}$/.test(values.commits)) throw new Error('--commits is no number above 0.');
    return { ...values, commits: Number(values.commits) };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const { kafka, commits, help } = options(argv);
  if (help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  using interruption = new Interruption();
  const { signal } = interruption;
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'polaris-push-maintenance-')));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  await using parts = new AsyncDisposableStack();
  const topic = kafka === true ? await startKafka(folder, parts) : undefined;
  await demonstrate(folder, commits, topic, signal);
  return 0;
}

function failed(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  const [code, text] =
    error instanceof UsageError
      ? [2, `${error.message}\nSee npm run demo:maintenance -- --help.`]
      : error instanceof CommandFailed
        ? [error.exitCode, error.message]
        : error instanceof Unexpected || error instanceof NoDecision
          ? [3, error.message]
          : [1, error instanceof Error ? (error.stack ?? error.message) : String(error)];
  process.stderr.write(`${code === 3 ? 'NOT FINE' : 'demo:maintenance'}: ${text}\n`);
  return code;
}

// A reader that has seen enough, such as head, closes the pipe.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = failed(error);
}
