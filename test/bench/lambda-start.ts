import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { buildLambda, LAMBDA_BUNDLE, type LambdaBundle } from '../../scripts/build-lambda.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { startGlueStub } from '../fixtures/glue-stub.ts';
import { GlueWriter } from '../fixtures/glue-writer.ts';

// node test/bench/lambda-start.ts [RUNS]
// How long a cold start takes: from the first line of a new process that imports the bundle, to its first request to
// AWS, and to the answer for its first message. Once with the AWS SDK in the bundle, once with it beside it.

const RUNS = Number(process.argv[2] ?? 20);
const CATALOG = 'glue_mirror';

/** What Lambda's runtime does, as a program: import, then invoke. Times are epoch ms with a fraction. */
const CHILD = `
const now = () => performance.timeOrigin + performance.now();
const began = now();
const { handler } = await import(process.env.BUNDLE);
const imported = now();
const context = { getRemainingTimeInMillis: () => 30000, invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:x' };
const answer = await handler(JSON.parse(process.env.EVENT), context);
const answered = now();
process.send({ began, imported, answered, failed: answer.batchItemFailures.length, rss: process.memoryUsage.rss() });
process.disconnect();
process.exit(0);
`;

type Measured = Start & { firstRequest: number };
type Start = { began: number; imported: number; answered: number; failed: number; rss: number };

const stack = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), 'polaris-push-start-'));
stack.defer(() => rmSync(folder, { recursive: true, force: true }));
const stub = stack.use(await startGlueStub());
const polaris = stack.use(await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: `file://${folder}` }] }));
const writer = new GlueWriter({ call: stub.call, warehouse: `file://${folder}`, inFiles: true });
writer.createDatabase('sales');

const config = stringify({
  source: { kind: 'glue', region: 'eu-west-1', glue_endpoint: stub.endpoint },
  targets: [
    {
      name: 'main',
      uri: `${polaris.uri}/api/catalog`,
      catalog: CATALOG,
      auth: { client_id: 'root', client_secret: 's3cr3t' },
    },
  ],
  log: { level: 'error' },
});

/** A start of its own, with a table of its own to deliver. */
async function start(bundle: string, table: string): Promise<Measured> {
  writer.create('sales', table);
  let firstRequest = 0;
  const stop = stub.intercept(() => {
    firstRequest ||= performance.timeOrigin + performance.now();
    return 'pass';
  });
  const detail = { databaseName: 'sales', typeOfChange: 'CreateTable', changedTables: [table] };
  // Old enough not to be read twice, as an event that comes by way of a queue mostly is.
  const event = {
    ...stub.events.event('Glue Data Catalog Database State Change', detail, []),
    time: new Date(Date.now() - 60_000).toISOString(),
  };
  const records = [{ messageId: 'm0', body: JSON.stringify(event), eventSource: 'aws:sqs', eventSourceARN: 'arn' }];
  const child = spawn(process.execPath, ['--input-type=module', '--eval', CHILD], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      BUNDLE: bundle,
      EVENT: JSON.stringify({ Records: records }),
      POLARIS_PUSH_CONFIG: config,
      AWS_ACCESS_KEY_ID: 'AKIDBENCH',
      AWS_SECRET_ACCESS_KEY: 'secret',
    },
  });
  const exited = once(child, 'exit');
  const [message] = (await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => Promise.reject(new Error(`The start ended with ${String(code)}.`))),
  ])) as [Start];
  await exited;
  stop();
  if (message.failed > 0 || firstRequest === 0) throw new Error('The table was not delivered.');
  return { ...message, firstRequest };
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

function figures(name: string, bundle: LambdaBundle, starts: readonly Measured[]): string {
  const figure = (of: (one: Measured) => number) => {
    const sorted = starts.map(of).toSorted((a, b) => a - b);
    return `${quantile(sorted, 0.5).toFixed(0).padStart(5)} ms (p90 ${quantile(sorted, 0.9).toFixed(0)})`;
  };
  const rss = Math.max(...starts.map((one) => one.rss)) / 1024 ** 2;
  return [
    `${name}: ${(bundle.bytes / 1e6).toFixed(2)} MB, ${(bundle.zippedBytes / 1e6).toFixed(2)} MB zipped, ${starts.length} starts, RSS up to ${rss.toFixed(0)} MiB`,
    `  import                       ${figure(({ began, imported }) => imported - began)}`,
    `  import to first request sent ${figure(({ began, firstRequest }) => firstRequest - began)}`,
    `  import to answer             ${figure(({ began, answered }) => answered - began)}`,
  ].join('\n');
}

// Beside the other, so that it finds the SDK in node_modules as it would find the runtime's.
const external = join(dirname(LAMBDA_BUNDLE), 'polaris-push-external-sdk.mjs');
stack.defer(() => rmSync(external, { force: true }));
try {
  const variants = [
    { name: 'SDK bundled', bundle: await buildLambda(), starts: [] as Measured[] },
    {
      name: 'SDK external',
      bundle: await buildLambda({ outfile: external, externalSdk: true }),
      starts: [] as Measured[],
    },
  ];
  // In turn, so that whatever else this machine does hits both alike.
  for (let run = 0; run < RUNS; run++)
    for (const [i, { bundle, starts }] of variants.entries()) starts.push(await start(bundle.file, `t${run}_${i}`));
  for (const { name, bundle, starts } of variants) console.log(figures(name, bundle, starts));
} finally {
  await stack.disposeAsync();
}
