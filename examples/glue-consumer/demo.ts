import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SQSClient } from '@aws-sdk/client-sqs';
import { startFauxqs } from 'fauxqs';
import { parse, stringify } from 'yaml';
import { toQueue } from '../../test/fixtures/glue-events.ts';
import { startGlueStub, type GlueStub } from '../../test/fixtures/glue-stub.ts';
import { GlueWriter } from '../../test/fixtures/glue-writer.ts';
import { Command, CommandFailed, type CommandEvent } from '../quickstart/child.ts';
import { compare, isEqual, verdict } from '../quickstart/comparison.ts';
import { PolarisReader, type PolarisAccess } from '../quickstart/polaris-reader.ts';
import { counted } from '../quickstart/screen.ts';
import { Statistics } from '../quickstart/statistics.ts';
import { GlueWorkload } from './workload.ts';

// npm run demo:glue
// A Glue Data Catalog that emits its events, a queue, the agent (`polaris-push run` with this folder's configuration), and
// an emulated Polaris. Exit codes: 0 equal, 3 not equal, else that of the part that failed.

const REGION = 'eu-west-1';
const CREDENTIALS = { accessKeyId: 'AKIDDEMO', secretAccessKey: 'demo' };
/** Glue and EventBridge promise none of it, so nothing may depend on it. */
const FAULTS = { loss: 0.1, duplication: 0.1, shuffle: 5 };
/** What a lost event told of is found by the next list. */
const RECONCILE_SECONDS = 3;
const SETTLE_MS = 30_000;

async function main(): Promise<number> {
  print('polaris-push for AWS Glue: events through SQS, mirrored into Apache Polaris\n');
  await using parts = new AsyncDisposableStack();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'polaris-push-glue-')));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const warehouse = join(folder, 'warehouse');
  mkdirSync(warehouse);

  const sqs = await startFauxqs({ port: 0, logger: false, defaultRegion: REGION });
  parts.defer(() => sqs.stop());
  const { queueUrl } = sqs.createQueue('polaris-push', { region: REGION });
  print(`  SQS (fauxqs)        ${queueUrl}`);
  const client = parts.adopt(new SQSClient({ region: REGION, endpoint: sqs.address, credentials: CREDENTIALS }), (c) =>
    c.destroy(),
  );
  const stub = parts.use(await startGlueStub({ region: REGION, events: FAULTS, deliver: toQueue(client, queueUrl) }));
  print(`  Glue (a stub)       ${stub.endpoint}, loses 10 % of its events, doubles 10 %, mixes up their order`);
  const { command: polaris, access } = await startPolaris(pathToFileURL(warehouse).href);
  parts.use(polaris);
  print(`  Polaris (emulated)  ${access.uri}`);

  const statistics = new Statistics();
  const caughtUp = Promise.withResolvers<void>();
  let reconciliations = 0;
  const onEvent = (event: CommandEvent) => {
    statistics.take(event);
    if (event.event === 'caught-up') caughtUp.resolve();
    if (event.event === 'reconciled') reconciliations += 1;
  };
  const file = writeConfig(folder, { queueUrl, glue: stub.endpoint, sqs: sqs.address, access });
  const agent = parts.use(
    new Command(['run', '--config', file, '--log-level', 'error'], { onEvent, env: ENVIRONMENT }),
  );
  await agent.until(caughtUp.promise);
  print('  the agent           polaris-push run\n\nWorkload');

  const writer = new GlueWriter({ call: stub.call, warehouse: pathToFileURL(warehouse).href, inFiles: true });
  const workload = new GlueWorkload(writer, stub, (line) => print(`  ${line}`));
  await workload.run(() => [agent, polaris].forEach((part) => part.check()));
  await stub.events.flush();
  const wrote = performance.now();
  const reader = new PolarisReader(access);
  const comparison = await equal(stub, reader, [agent, polaris]);
  print(
    `  ${isEqual(comparison) ? 'equal' : 'not equal'} ${((performance.now() - wrote) / 1000).toFixed(1)} s later\n`,
  );

  for (const line of told({ statistics, stub, workload, reconciliations })) print(line);
  const more = `${workload.operations} operations, ${statistics.admitted} notifications, visible after ${statistics.latency}`;
  print(verdict(comparison, more));
  return isEqual(comparison) ? 0 : 3;
}

type Told = {
  readonly statistics: Statistics;
  readonly stub: GlueStub;
  readonly workload: GlueWorkload;
  readonly reconciliations: number;
};

/** What a finished run has to tell, for people; the verdict comes after it. */
function told({ statistics, stub, workload, reconciliations }: Told): string[] {
  const { admitted, byType, byOutcome, skipped, parked, latency } = statistics;
  const { made, lost, duplicated } = stub.events.counts;
  return [
    'Events',
    `  ${made} made, ${lost} lost, ${duplicated} doubled; ${reconciliations} comparisons of the whole`,
    `  ${workload.operations} operations cost ${stub.count('GetTable')} GetTable and ${stub.count('GetTables')} GetTables`,
    '',
    'Notifications',
    `  ${admitted} admitted: ${counted(byType)}${byOutcome.size === 0 ? '' : `; ${counted(byOutcome)}`}`,
    `  visible after ${latency}, counted from the event's time, which has whole seconds`,
    ...listed('Not mirrored', skipped),
    ...listed('Parked', parked),
    '',
  ];
}

const listed = (title: string, reasons: ReadonlyMap<string, string>): string[] =>
  reasons.size === 0 ? [] : ['', title, ...[...reasons].map(([name, why]) => `  ${name.padEnd(24)} ${why}`)];

const print = (line: string) => void process.stdout.write(`${line}\n`);

/** The emulated Polaris as a process of its own. */
async function startPolaris(location: string): Promise<{ command: Command; access: PolarisAccess }> {
  const listening = Promise.withResolvers<string>();
  const onEvent = ({ event, uri }: CommandEvent) => {
    if (event === 'listening' && typeof uri === 'string') listening.resolve(uri);
  };
  const command = new Command(['emulate', '--port', '0', '--catalog', `glue_mirror=${location}`], { onEvent });
  const uri = await command.until(listening.promise);
  const credentials = { clientId: 'root', clientSecret: 's3cr3t' };
  return { command, access: { uri: `${uri.replace(/\/$/, '')}/api/catalog`, catalog: 'glue_mirror', ...credentials } };
}

type Places = {
  readonly queueUrl: string;
  readonly glue: string;
  readonly sqs: string;
  readonly access: PolarisAccess;
};

/** This folder's configuration, with the addresses of this demonstration. */
function writeConfig(folder: string, { queueUrl, glue, sqs, access }: Places): string {
  const example = readFileSync(new URL('polaris-push.yaml', import.meta.url), 'utf8');
  const config = parse(example) as Record<string, Record<string, unknown>> & { targets: Record<string, unknown>[] };
  const [target = {}] = config.targets;
  const file = join(folder, 'polaris-push.yaml');
  const changed = {
    ...config,
    source: {
      ...config['source'],
      queue_url: queueUrl,
      region: REGION,
      glue_endpoint: glue,
      sqs_endpoint: sqs,
      wait_time: '1s',
    },
    targets: [{ ...target, uri: access.uri, catalog: access.catalog }],
    ledger: { path: join(folder, 'ledger.db') },
    reconcile: { every: `${RECONCILE_SECONDS}s` },
  };
  writeFileSync(file, stringify(changed));
  return file;
}

const ENVIRONMENT: NodeJS.ProcessEnv = {
  POLARIS_CLIENT_ID: 'root',
  POLARIS_CLIENT_SECRET: 's3cr3t',
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};

/** Compares until both sides are equal, or it has taken too long. */
async function equal(stub: GlueStub, reader: PolarisReader, parts: readonly Command[]) {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    for (const part of parts) part.check();
    const comparison = compare(stub.truth(), await reader.tables());
    if (isEqual(comparison) || performance.now() > deadline) return comparison;
    await sleep(100);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const text =
      error instanceof CommandFailed ? error.message : error instanceof Error ? (error.stack ?? '') : String(error);
    process.stderr.write(`demo: ${text}\n`);
    process.exitCode = error instanceof CommandFailed ? error.exitCode : 1;
  }
}
