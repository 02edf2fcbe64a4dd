import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { AgentSetup } from '../quickstart/agent-config.ts';
import { Command, type CommandEvent } from '../quickstart/child.ts';
import { createWarehouse, embeddedSetup, startMetastore, startPolaris } from '../quickstart/embedded.ts';
import { PolarisReader, type PolarisAccess } from '../quickstart/polaris-reader.ts';
import { Session } from '../quickstart/session.ts';
import { truth } from '../quickstart/truth.ts';
import { HiveWriter } from '../quickstart/writer.ts';
import { Decisions } from './decisions.ts';

const SERVICE = { name: 'maintenance-service', entry: fileURLToPath(new URL('main.ts', import.meta.url)) };
const TARGET = 'main';

/** A Kafka that is there, with a topic that is there; events then go through it instead of by webhook. */
export type KafkaTopic = { readonly address: string; readonly topic: string };

export type EnvironmentOptions = {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly kafka?: KafkaTopic | undefined;
  /** How late the service notices a changed policy, at most; the unit belongs to it. */
  readonly policyMaxAge: string;
  /** Told of each part that is up. */
  readonly onStarted: (part: string) => void;
};

/** What the service says when it stops. */
export type Asked = { readonly policies: number; readonly tables: number };

/** Metastore → agent → Polaris → event → service, each as a process of its own. */
export class Environment implements AsyncDisposable {
  readonly writer: HiveWriter;
  readonly access: PolarisAccess;
  readonly session: Session;
  readonly service: Command;
  readonly decisions: Decisions;
  readonly #asked: Promise<Asked>;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    parts: AsyncDisposableStack,
    made: Pick<Environment, 'writer' | 'access' | 'session' | 'service' | 'decisions'> & { asked: Promise<Asked> },
  ) {
    this.#parts = parts;
    this.writer = made.writer;
    this.access = made.access;
    this.session = made.session;
    this.service = made.service;
    this.decisions = made.decisions;
    this.#asked = made.asked;
  }

  static async start(options: EnvironmentOptions): Promise<Environment> {
    const { folder, signal, onStarted } = options;
    // Stopped in reverse: writers, the agent, the service, what they talk to.
    await using parts = new AsyncDisposableStack();
    const metastore = parts.use(await startMetastore({ detached: true }));
    onStarted(`PostgreSQL ${metastore.version} with the tables of a Hive Metastore`);
    const warehouse = createWarehouse(folder);
    const { command: polaris, access } = await startPolaris(warehouse);
    parts.use(polaris);
    onStarted(`Polaris (emulated, policies included) at ${access.uri}`);
    const decisions = new Decisions(signal);
    const { service, sink, asked } = await startService(options, access, decisions);
    parts.use(service);
    onStarted(`the maintenance service, ${sink.told}`);
    const client = await metastore.client();
    parts.defer(() => client.end());
    const reader = new PolarisReader(access);
    const setup: AgentSetup = { ...embeddedSetup(folder, metastore, access), forward: [sink.config] };
    const session = parts.use(
      new Session({ setup, source: () => truth(client), mirror: () => reader.tables(), others: [polaris, service] }),
    );
    await session.caughtUp(signal);
    onStarted('the agent: polaris-push run');
    const writer = parts.use(new HiveWriter({ connectionString: metastore.url, warehouse }));
    return new Environment(parts.move(), { writer, access, session, service, decisions, asked });
  }

  /** Stops the service; resolves with how often it asked Polaris for what. */
  async stopService(): Promise<Asked> {
    await this.service.stop();
    return this.#asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

type Sink = {
  readonly told: string;
  /** Of the agent's configuration. */
  readonly config: Readonly<Record<string, unknown>>;
};

async function startService(
  { folder, kafka, policyMaxAge }: EnvironmentOptions,
  access: PolarisAccess,
  decisions: Decisions,
): Promise<{ service: Command; sink: Sink; asked: Promise<Asked> }> {
  const secretFile = join(folder, 'webhook-secret');
  writeFileSync(secretFile, `whsec_${randomBytes(32).toString('base64')}`, { mode: 0o600 });
  const file = join(folder, 'maintenance.yaml');
  const { uri, catalog, clientId: client_id, clientSecret: client_secret } = access;
  const config = {
    polaris: { name: TARGET, uri, catalog, auth: { client_id, client_secret } },
    ...(kafka === undefined
      ? { webhook: { listen: '127.0.0.1:0', secret_file: secretFile } }
      : { kafka: { brokers: [kafka.address], topic: kafka.topic } }),
    spark_catalog: 'hive',
    policy_max_age: policyMaxAge,
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
  const listening = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<Asked>();
  const onEvent = (event: CommandEvent) => {
    decisions.take(event);
    if (event.event === 'listening') listening.resolve(typeof event['uri'] === 'string' ? event['uri'] : '');
    if (event.event === 'stopped')
      asked.resolve({ policies: Number(event['policy_requests']), tables: Number(event['table_requests']) });
  };
  const service = new Command(['--config', file], { onEvent, program: SERVICE });
  const at = await service.until(listening.promise);
  const sink =
    kafka === undefined
      ? { told: `at ${at}`, config: { kind: 'webhook', url: at, secret_file: secretFile } }
      : {
          told: `reading topic ${kafka.topic} of Kafka at ${kafka.address}`,
          config: { kind: 'kafka', brokers: [kafka.address], topic: kafka.topic },
        };
  return { service, sink, asked: asked.promise };
}
