import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableEvent, type TableEvent } from '../../src/forward/cloud-event.ts';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { ndjson, run } from '../cli/command-line.ts';
import { freePort, StandIn, type Answer } from '../polaris/stand-in.ts';
import { CATALOG, eventually, openWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.writer.createNamespace('sales');
});
afterAll(() => world[Symbol.asyncDispose]());

const SECRET = 'a-secret-of-sixteen-or-more';

/** A receiver of events, and what it got. */
async function startReceiver(answer: (event: TableEvent) => Answer | undefined = () => ({ status: 204 })) {
  const events: TableEvent[] = [];
  const server = await StandIn.start(({ body }) => {
    const event = tableEvent.parse(JSON.parse(body));
    events.push(event);
    return answer(event);
  });
  const url = `http://127.0.0.1:${server.port}/events`;
  const sink = (name: string, more: object = {}) => ({
    kind: 'webhook',
    name,
    url,
    secret: SECRET,
    timeout: '1s',
    ...more,
  });
  return { events, sink, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const typesOf = (events: readonly TableEvent[], table: string) =>
  events.filter(({ subject }) => subject === table).map(({ data }) => data.type);

const isDown = (event: PipelineEvent): event is PipelineEvent & { kind: 'sink-down' } => event.kind === 'sink-down';

const served = (table: string) =>
  world.polaris.tables(CATALOG).get(JSON.stringify(table.split('.')) as never)?.metadataLocation;

test('an event follows each admitted notification, with what Polaris serves from then on', async () => {
  const { writer } = world;
  await using receiver = await startReceiver();
  await using agent = await world.startAgent({ overrides: { forward: [receiver.sink('all', { coalesce: false })] } });
  await agent.caughtUp();
  await writer.createTable('sales.orders');
  await world.equal();
  await writer.commit('sales.orders');
  await world.equal();
  await writer.renameTable('sales.orders', 'sales.archive');
  await world.equal();
  const location = served('sales.archive');
  await writer.dropTable('sales.archive');
  await world.equal();
  const all = () => [typesOf(receiver.events, 'sales.orders'), typesOf(receiver.events, 'sales.archive')];
  await eventually(async () => (receiver.events.length >= 5 ? undefined : JSON.stringify(all())));
  expect(all()).toEqual([
    ['CREATE', 'UPDATE', 'DROP'],
    ['CREATE', 'DROP'],
  ]);
  const created = receiver.events.find(({ subject }) => subject === 'sales.archive');
  expect(created?.data).toMatchObject({ 'metadata-location': location, catalog: CATALOG, target: 'main' });
  expect(created?.source).toBe(`${world.polaris.uri}/api/catalog/v1/${CATALOG}`);
  expect(created?.data['commit-to-visible-ms']).toBeGreaterThanOrEqual(0);
  expect(agent.app.ledger.outbox.totals('all')).toEqual({ waiting: 0, buried: 0 });
});

test('a sink that does not answer delays no notification, and no other sink', async () => {
  const { writer } = world;
  await using silent = await startReceiver(() => undefined);
  await using receiver = await startReceiver();
  const forward = [silent.sink('silent'), receiver.sink('good', { coalesce: false })];
  const tables = Array.from({ length: 8 }, (_, n) => `sales.t${n}`);
  await using agent = await world.startAgent({ overrides: { forward } });
  await agent.caughtUp();
  for (const table of tables) await writer.createTable(table);
  for (let round = 0; round < 5; round++) for (const table of tables) await writer.commit(table);
  await world.equal();
  await eventually(async () => {
    const last = new Map(receiver.events.map(({ subject, data }) => [subject, data['metadata-location']]));
    const behind = tables.filter((table) => last.get(table) !== served(table));
    return behind.length === 0 ? undefined : `no event of ${behind.join(', ')}`;
  });
  const took = agent.events.flatMap((event) =>
    event.kind === 'notified' && event.commitToVisibleMs !== undefined ? [event.commitToVisibleMs] : [],
  );
  expect(took.length).toBeGreaterThan(10);
  // A request to the silent sink alone takes a second.
  expect(took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)]).toBeLessThan(500);
  expect(agent.app.ledger.outbox.totals('silent').waiting).toBe(tables.length);
  expect(await agent.until(isDown)).toMatchObject({ sink: 'silent' });
  expect(agent.events.some((event) => event.kind === 'target-down')).toBe(false);
});

async function configFile(folder: string, forward: readonly object[]): Promise<string> {
  const path = join(folder, 'agent.yaml');
  const config = {
    source: { kind: 'hive', connection: world.postgres.url() },
    targets: [
      {
        name: 'main',
        uri: `${world.polaris.uri}/api/catalog`,
        catalog: CATALOG,
        auth: { client_id: 'root', client_secret: 's3cr3t' },
      },
    ],
    ledger: { path: join(folder, 'ledger.db') },
    forward,
  };
  await writeFile(path, JSON.stringify(config)); // JSON is YAML
  return path;
}

test('run --once ends when the events are out too, or says what is left when their sink is away', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-forwarding-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const away = { kind: 'webhook', name: 'hook', url: `http://127.0.0.1:${await freePort()}/`, secret: SECRET };
  await world.writer.createTable('sales.late');
  const left = await run(['run', '--once', '--json', '--config', await configFile(folder, [away])]);
  expect(left.exitCode).toBe(3);
  const lines = ndjson(left.stdout);
  const tables = world.polaris.tables(CATALOG).size;
  // Also of tables that Polaris was found to serve: the ledger is new, and nobody knows what was told before.
  expect(lines.find(({ event }) => event === 'not-forwarded')).toMatchObject({ sink: 'hook', waiting: tables });

  await using receiver = await startReceiver(({ subject }) => ({ status: subject === 'sales.t3' ? 422 : 204 }));
  const config = await configFile(folder, [receiver.sink('hook')]);
  const done = await run(['run', '--once', '--config', config]);
  expect(receiver.events).toHaveLength(tables);
  expect(done.exitCode).toBe(3);
  expect(await run(['events', 'list', '--config', config])).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('hook  sales.t3 (main)') as string,
  });
  await run(['events', 'discard', '--all', '--config', config]);
  expect((await run(['run', '--once', '--config', config])).exitCode).toBe(0);
  expect(await run(['status', '--config', config])).toMatchObject({ exitCode: 0 });
});
