import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { lambdaHandlers, type Invocation, type LambdaHandlers } from '../../../connectors/glue/lambda.ts';
import { showTable, tableOf } from '../../../src/core/table.ts';
import { startEmulator, type Emulator } from '../../../src/polaris/emulator/emulator.ts';
import { systemClock, type Clock } from '../../../src/runtime/clock.ts';
import { seededRandom, type Random } from '../../../src/runtime/random.ts';
import type { GlueEvent } from '../../fixtures/glue-events.ts';
import { startGlueStub, type GlueStub, type GlueStubOptions } from '../../fixtures/glue-stub.ts';
import { GlueWriter } from '../../fixtures/glue-writer.ts';

export const CATALOG = 'glue_mirror';
export const QUEUE_ARN = 'arn:aws:sqs:eu-west-1:123456789012:polaris-push';

export type LambdaWorldOptions = {
  readonly glue?: GlueStubOptions | undefined;
  /** Added to the configuration's sections. */
  readonly source?: Record<string, unknown> | undefined;
  readonly overrides?: Record<string, unknown> | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
};

/** A line of the function's log. */
export type LogLine = { readonly level: string; readonly event: string; readonly [field: string]: unknown };

/** A Glue Data Catalog, an emulated Polaris, and functions between them. Events are collected, not sent. */
export type LambdaWorld = AsyncDisposable & {
  readonly stub: GlueStub;
  readonly writer: GlueWriter;
  readonly polaris: Emulator;
  readonly events: GlueEvent[];
  readonly lines: LogLine[];
  /** The function's configuration, as YAML. */
  readonly config: (overrides?: Record<string, unknown>) => string;
  /** One environment of the function, as Lambda starts another one when all are busy. */
  readonly function: (options?: {
    readonly overrides?: Record<string, unknown>;
    readonly env?: Readonly<Record<string, string>>;
    readonly clock?: Clock;
    readonly random?: Random;
  }) => LambdaHandlers;
  readonly served: () => Record<string, string>;
  readonly truth: () => Record<string, string>;
};

export async function openLambdaWorld(options: LambdaWorldOptions = {}): Promise<LambdaWorld> {
  const stack = new AsyncDisposableStack();
  process.env['AWS_ACCESS_KEY_ID'] = 'AKIDTEST';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'secret-of-the-test';
  const events: GlueEvent[] = [];
  const stub = stack.use(await startGlueStub({ deliver: (event) => void events.push(event), ...options.glue }));
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-lambda-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const warehouse = `file://${folder}`;
  const polaris = stack.use(await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: warehouse }] }));
  const lines: LogLine[] = [];
  const stream = { write: (text: string) => void lines.push(JSON.parse(text) as LogLine) };
  const writer = new GlueWriter({ call: stub.call, warehouse, inFiles: true });
  writer.createDatabase('sales');
  const config = (overrides: Record<string, unknown> = {}) =>
    stringify({
      source: {
        kind: 'glue',
        region: 'eu-west-1',
        glue_endpoint: stub.endpoint,
        max_attempts: 1,
        confirm_after: [],
        calls_per_second: { events: 10_000, listings: 10_000 },
        ...options.source,
      },
      targets: [
        {
          name: 'main',
          uri: `${polaris.uri}/api/catalog`,
          catalog: CATALOG,
          // oxlint-disable-next-line no-template-curly-in-string -- for the function to replace
          auth: { client_id: 'root', client_secret: '${POLARIS_CLIENT_SECRET}' },
        },
      ],
      log: { level: 'debug' },
      ...options.overrides,
      ...overrides,
    });
  return {
    stub,
    writer,
    polaris,
    events,
    lines,
    config,
    function: ({ overrides, env, clock = systemClock, random = seededRandom(1) } = {}) => {
      const all = { POLARIS_PUSH_CONFIG: config(overrides), POLARIS_CLIENT_SECRET: 's3cr3t', ...options.env, ...env };
      return stack.use(lambdaHandlers({ env: all, clock, random, stream }));
    },
    served: () =>
      sorted([...polaris.tables(CATALOG)].map(([key, table]) => [showTable(tableOf(key)), table.metadataLocation])),
    truth: () => sorted([...stub.truth()]),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const sorted = (entries: readonly (readonly [string, string])[]): Record<string, string> =>
  Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))) as Record<string, string>;

/** An invocation that has so much time left. */
export function invocation(remainingMs = 30_000): Invocation {
  const end = performance.now() + remainingMs;
  return {
    getRemainingTimeInMillis: () => Math.max(0, end - performance.now()),
    invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:polaris-push',
  };
}

/** What an event source mapping hands over: the bodies as records with the ids `m0`, `m1`, … */
export const batch = (bodies: readonly (GlueEvent | object | string)[], arn = QUEUE_ARN) => ({
  Records: bodies.map((body, i) => ({
    messageId: `m${i}`,
    receiptHandle: `receipt-${i}`,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1764000000000' },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: arn,
    awsRegion: 'eu-west-1',
  })),
});

export const failedIds = (response: unknown): readonly string[] =>
  (response as { batchItemFailures: readonly { itemIdentifier: string }[] }).batchItemFailures.map(
    ({ itemIdentifier }) => itemIdentifier,
  );
