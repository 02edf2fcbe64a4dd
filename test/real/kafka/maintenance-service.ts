import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, until } from '../child.ts';
import type { ConsumedRecord } from '../kafka-broker.ts';
import { eventOf } from './judge.ts';
import type { Session } from './session.ts';

const MAIN = fileURLToPath(new URL('../../../examples/maintenance-service/main.ts', import.meta.url));
const TABLE = 'sales.maintained';

type Line = { readonly event: string; readonly table?: string; readonly timestamp?: number };

function nameOf(record: ConsumedRecord): string {
  const { namespace, table, timestamp } = eventOf(record).data;
  return `${[...namespace, table].join('.')}@${timestamp}`;
}

/** Events, by table and timestamp, in the order in which a service told of them. */
class Service implements AsyncDisposable {
  readonly told: string[] = [];
  readonly #child: Child;

  constructor(configFile: string, folder: string) {
    this.#child = new Child({
      program: process.execPath,
      args: [MAIN, '--config', configFile, '--json'],
      logFile: join(folder, 'maintenance-service.log'),
      onLine: (line) => {
        const { event, table, timestamp } = JSON.parse(line) as Line;
        if (event === 'plan' || event === 'skip') this.told.push(`${table}@${timestamp}`);
      },
    });
  }

  async has(all: readonly string[]): Promise<void> {
    const what = 'the maintenance service has told of every event';
    await until(
      what,
      () => {
        if (!this.#child.alive) throw new Error(`It ended by itself.\n${this.#child.tail()}`);
        return all.every((one) => this.told.includes(one));
      },
      { timeoutMs: 60_000 },
    );
  }

  async stop(): Promise<void> {
    const code = await this.#child.stop();
    if (code !== 0) throw new Error(`After SIGTERM it ended with ${String(code)}.\n${this.#child.tail()}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]();
  }
}

/**
 * The service of examples/maintenance-service as a consumer of the topic: it takes what is there, goes on after the broker
 * was away, and another one of its group begins where it ended.
 */
export async function maintenanceService(session: Session): Promise<string> {
  const { kafka, writer, folder, access, records } = session;
  const configFile = join(folder, 'maintenance.yaml');
  const { uri, catalog, clientId: client_id, clientSecret: client_secret } = access;
  const config = {
    polaris: { name: 'main', uri, catalog, auth: { client_id, client_secret } },
    kafka: { brokers: [kafka.address], topic: 'every' },
    spark_catalog: 'hive',
  };
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 }); // JSON is YAML
  const present = () => records.every.map(nameOf);
  const commit = async (write: Promise<string>) => {
    const location = await write;
    const find = () => records.every.find((record) => eventOf(record).data['metadata-location'] === location);
    await until('the event is in its topic', () => find() !== undefined);
    return records.every.filter((record) => record === find()).map(nameOf);
  };

  await using first = new Service(configFile, folder);
  await first.has(present());
  const had = present().length;
  await kafka.stop();
  await kafka.resume();
  await first.has(await commit(writer.createTable(TABLE, { appendedFiles: 1 })));
  await first.stop();

  const missed = await commit(writer.commit(TABLE));
  await using second = new Service(configFile, folder);
  await second.has(missed);
  await second.stop();
  const again = second.told.filter((one) => first.told.includes(one));
  if (again.length > 0) throw new Error(`${again.length} events were handled again after a restart.`);
  return `${had} events of before, ${first.told.length - had} through a restart of the broker, ${second.told.length} by its successor`;
}
