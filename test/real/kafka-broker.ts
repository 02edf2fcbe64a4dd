import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../examples/quickstart/postgres.ts';
import { type Assembly, assemble, type Parts } from './assembly.ts';
import { Child, until } from './child.ts';
import type { Jdk } from './toolchain.ts';

/** The server of the official distribution, with its command-line tools and its binding of the log. */
const KAFKA: Parts = {
  name: 'kafka-4.2.0',
  jars: [
    'org.apache.kafka:kafka_2.13:4.2.0',
    'org.apache.kafka:kafka-tools:4.2.0',
    'org.apache.logging.log4j:log4j-slf4j-impl:2.25.3',
  ],
};

const LOGGING = `status = WARN
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p [%t] %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
`;

/** A tool lives for moments only, and compiling well takes longer than what it does. */
const TOOL_FLAGS = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];

export type KafkaTools = { readonly jdk: Jdk; readonly maven: string };

/** One record of a topic, as Kafka's own console consumer reads it. */
export type ConsumedRecord = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly headers: string;
  readonly value: string;
};

/**
 * Apache Kafka's own broker, controller included (KRaft), on loopback. It keeps its ports and its data through stops and
 * starts, until it is disposed.
 */
export class KafkaBroker implements AsyncDisposable {
  readonly address: string;
  readonly #port: number;
  readonly #folder: string;
  readonly #jdk: Jdk;
  readonly #assembly: Assembly;
  #child: Child | undefined;
  readonly #consumers: Child[] = [];

  private constructor(port: number, folder: string, parts: { readonly jdk: Jdk; readonly assembly: Assembly }) {
    this.address = `127.0.0.1:${port}`;
    this.#port = port;
    this.#folder = folder;
    this.#jdk = parts.jdk;
    this.#assembly = parts.assembly;
  }

  /** Formats a new cluster below `folder` and starts it. */
  static async start({ jdk, maven }: KafkaTools, folder: string): Promise<KafkaBroker> {
    const assembly = await assemble(KAFKA, maven, jdk);
    const [port, controllerPort] = [await freePort(), await freePort()];
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'log4j2.properties'), LOGGING);
    writeFileSync(join(folder, 'server.properties'), settings(folder, port, controllerPort));
    const broker = new KafkaBroker(port, folder, { jdk, assembly });
    try {
      const clusterId = randomBytes(16).toString('base64url');
      await broker.#tool('kafka.tools.StorageTool', ['format', '-t', clusterId, '-c', broker.#settingsFile]);
      await broker.resume();
      return broker;
    } catch (error) {
      await broker[Symbol.asyncDispose]();
      throw error;
    }
  }

  get running(): boolean {
    return this.#child?.alive === true;
  }

  /** Starts it again, with what it had. Resolves when it answers. */
  async resume(): Promise<void> {
    const child = this.#java('kafka.log', ['-Xmx320m', '-XX:+UseSerialGC'], ['kafka.Kafka', this.#settingsFile]);
    this.#child = child;
    await until(
      'Kafka accepts connections',
      async () => {
        if (!child.alive) throw new Error(`Kafka ended by itself.\n${child.tail()}`);
        return accepts(this.#port);
      },
      { timeoutMs: 90_000 },
    );
    // The port is open before the broker is of use.
    await this.#tool('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', this.address, '--list']);
  }

  /** SIGTERM is an orderly shutdown, SIGKILL an outage. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.#child?.stop(signal);
  }

  async createTopic(
    name: string,
    partitions: number,
    config: Readonly<Record<string, string | number>> = {},
  ): Promise<void> {
    const topic = ['--create', '--topic', name, '--partitions', String(partitions), '--replication-factor', '1'];
    const settled = Object.entries(config).flatMap(([key, value]) => ['--config', `${key}=${value}`]);
    await this.#tool('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', this.address, ...topic, ...settled]);
  }

  /** Lets Kafka's own producer write one record for each key, in this order. */
  async produce(topic: string, keys: readonly string[]): Promise<void> {
    await using producer = this.#java('tools.log', TOOL_FLAGS, [
      'org.apache.kafka.tools.ConsoleProducer',
      '--bootstrap-server',
      this.address,
      '--topic',
      topic,
      '--reader-property',
      'parse.key=true',
      '--reader-property',
      'key.separator=\t',
    ]);
    for (const key of keys) producer.write(`${key}\t-`);
    producer.end();
    const code = await producer.ended();
    if (code !== 0) throw new Error(`Kafka's console producer ended with ${String(code)}.\n${producer.tail()}`);
  }

  /** Reads a topic from its beginning with Kafka's own consumer, through outages of the broker, until it is disposed. */
  consume(topic: string, onRecord: (record: ConsumedRecord) => void): AsyncDisposable {
    const format = [
      'print.partition=true',
      'print.offset=true',
      'print.headers=true',
      'print.key=true',
      'key.separator=\t',
    ];
    const child = this.#java(
      `consumer-${topic}.log`,
      TOOL_FLAGS,
      [
        'org.apache.kafka.tools.consumer.ConsoleConsumer',
        '--bootstrap-server',
        this.address,
        '--topic',
        topic,
        '--from-beginning',
        ...format.flatMap((property) => ['--formatter-property', property]),
      ],
      (line) => onRecord(recordOf(topic, line)),
    );
    this.#consumers.push(child);
    return child;
  }

  /** The end of its log, for a failure's message. */
  tail(): string {
    return this.#child?.tail() ?? 'Kafka was never started.';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#consumers, ...(this.#child === undefined ? [] : [this.#child])].map((child) => child.stop('SIGKILL')),
    );
  }

  get #settingsFile(): string {
    return join(this.#folder, 'server.properties');
  }

  async #tool(main: string, args: readonly string[]): Promise<void> {
    await using tool = this.#java('tools.log', TOOL_FLAGS, [main, ...args]);
    const code = await tool.ended();
    if (code !== 0) throw new Error(`${main} ended with ${String(code)}.\n${tool.tail()}`);
  }

  #java(logFile: string, flags: readonly string[], command: readonly string[], onLine?: (line: string) => void): Child {
    return new Child({
      program: join(this.#jdk.home, 'bin', 'java'),
      args: [
        ...flags,
        `-Dlog4j2.configurationFile=file:${join(this.#folder, 'log4j2.properties')}`,
        `-Djava.io.tmpdir=${this.#folder}`,
        '-cp',
        this.#assembly.classPath,
        ...command,
      ],
      logFile: join(this.#folder, logFile),
      cwd: this.#folder,
      onLine,
    });
  }
}

const settings = (folder: string, port: number, controllerPort: number): string =>
  Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // One that comes back after an outage waits until it counts as gone.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

/** `Partition:0<tab>Offset:7<tab>name:value,...<tab>key<tab>value`; JSON holds no tab as it is. */
function recordOf(topic: string, line: string): ConsumedRecord {
  const [partition = '', offset = '', headers = '', key = '', ...value] = line.split('\t');
  return {
    topic,
    partition: Number(partition.replace('Partition:', '')),
    offset: Number(offset.replace('Offset:', '')),
    headers,
    key,
    value: value.join('\t'),
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
