import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CATALOG, openWorld, type World } from '../pipeline/world.ts';
import { ndjson, run } from './command-line.ts';

let world: World;
let folder: string;
let config: string;
beforeAll(async () => {
  world = await openWorld();
  folder = await mkdtemp(join(tmpdir(), 'polaris-push-mending-'));
  config = await configFile('agent', world.polaris.uri);
  await world.writer.createNamespace('sales');
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function configFile(name: string, uri: string, ledger: string = join(folder, `${name}.db`)): Promise<string> {
  const path = join(folder, `${name}.yaml`);
  await writeFile(
    path,
    `source: { kind: hive, connection: "${world.postgres.url()}" }
targets:
  - { name: main, uri: "${uri}/api/catalog", catalog: ${CATALOG}, auth: { client_id: root, client_secret: s3cr3t } }
ledger: { path: "${ledger}" }
`,
  );
  return path;
}

const push = (command: string, ...more: string[]) => run([...command.split(' '), ...more, '--config', config]);
const locationOf = (table: string): string =>
  world.polaris.tables(CATALOG).get(JSON.stringify(table.split('.')) as never)!.metadataLocation;

/** Every test finds the tables `sales.a` and `sales.b` delivered. */
beforeEach(async () => {
  for (const table of ['sales.a', 'sales.b']) {
    try {
      await world.writer.createTable(table);
    } catch {
      await world.writer.commit(table);
    }
  }
  await push('run --once --within 20s');
  await world.equal();
});

test('diff finds nothing where source and Polaris are equal', async () => {
  expect(await push('diff')).toMatchObject({ exitCode: 0, stdout: 'Equal: 2 tables compared.\n' });
});

test('diff names what is missing, stale, orphaned and foreign, and reconcile heals it, dropping only what it is told to', async () => {
  const { writer, asAdministrator } = world;
  await writer.createTable('sales.gone');
  await push('run --once');
  const foreign = locationOf('sales.gone');
  await writer.dropTable('sales.gone'); // Nobody is watching.
  await asAdministrator('DELETE', 'namespaces/sales/tables/a');
  await asAdministrator('DELETE', 'namespaces/sales/tables/b');
  await asAdministrator('POST', 'namespaces/sales/register', { name: 'b', 'metadata-location': foreign });
  await asAdministrator('POST', 'namespaces/sales/register', { name: 'foreign', 'metadata-location': foreign });

  const before = await push('diff --json');
  expect(before.exitCode).toBe(3);
  const found = ndjson(before.stdout).filter(({ event }) => event === 'difference');
  expect(Object.fromEntries(found.map(({ table, drift }) => [table, drift]))).toEqual({
    'sales.a': 'missing',
    'sales.b': 'stale',
    'sales.gone': 'orphan',
    'sales.foreign': 'foreign',
  });

  const healed = await push('reconcile');
  expect(healed).toMatchObject({ exitCode: 3, stdout: expect.stringContaining('2 differences left.') as string });
  expect(healed.stdout).toContain('--drop-foreign drops them');
  expect(new Set([...world.polaris.tables(CATALOG).keys()].map((key) => (JSON.parse(key) as string[])[1]))).toEqual(
    new Set(['a', 'b', 'foreign', 'gone']),
  );

  const dropped = await push('reconcile --drop-orphans --drop-foreign');
  expect(dropped).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Nothing is left to do.') as string });
  await world.equal();
});

test('reconcile tells a running agent, which does the work', async () => {
  const ledger = join(folder, 'shared.db');
  const shared = await configFile('shared', world.polaris.uri, ledger);
  await using agent = await world.startAgent({ overrides: { ledger: { path: ledger } } });
  await agent.caughtUp();
  await world.asAdministrator('DELETE', 'namespaces/sales/tables/a');
  const { exitCode, stdout } = await run(['reconcile', '--config', shared]);
  expect({ exitCode, told: stdout.includes('1 table: the agent is at it') }).toEqual({ exitCode: 0, told: true });
  await world.equal();
});

test('wait ends when the table is visible at the location, and with 3 when the time is up', async () => {
  const location = locationOf('sales.a');
  expect(await push('wait --table sales.a')).toMatchObject({ exitCode: 0 });
  expect(await push('wait --table sales.a --metadata-location', location)).toMatchObject({ exitCode: 0 });
  const late = await push('wait --table sales.a --timeout 300ms --metadata-location', `${location}.new`);
  expect(late).toMatchObject({ exitCode: 3, stdout: 'sales.a is at another metadata location in main after 300ms.\n' });
  expect(await push('wait --table sales.nobody --timeout 100ms')).toMatchObject({ exitCode: 3 });
  expect(await push('wait --table sales --timeout 100ms')).toMatchObject({ exitCode: 2 });
  expect(await push('wait --table sales.a --timeout 100')).toMatchObject({ exitCode: 2 });
});

test('notify sends one notification, and refuses to drop what the source has', async () => {
  expect(await push('notify --table sales.a --type VALIDATE')).toMatchObject({ exitCode: 0 });
  expect(await push('notify --table sales.a --type UPDATE --timestamp 1')).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('stale') as string,
  });
  const refused = await push('notify --table sales.a --type DROP');
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('must not be dropped') as string });
  await world.asAdministrator('POST', 'namespaces/sales/register', {
    name: 'x',
    'metadata-location': locationOf('sales.a'),
  });
  expect(await push('notify --table sales.x --type DROP')).toMatchObject({ exitCode: 0 });
  await world.equal();
});

test('repair frees a table whose timestamp is ahead, once it was told that the cost is known', async () => {
  expect(await push('notify --table sales.a --type UPDATE --timestamp 9007199254740991')).toMatchObject({
    exitCode: 0,
  });
  await world.writer.commit('sales.a');
  expect(await push('run --once --within 20s')).toMatchObject({ exitCode: 3 });
  expect(await push('status')).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('TIMESTAMP_AHEAD') as string,
  });
  const asked = await push('repair sales.a');
  expect(asked).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('loses its grants') as string });
  expect(await push('diff')).toMatchObject({ exitCode: 3 });
  expect(await push('repair sales.a --yes')).toMatchObject({ exitCode: 0 });
  await world.equal();
  expect(await push('repair sales.nobody --yes')).toMatchObject({ exitCode: 2 });
});

test('what run records, replay pushes into another Polaris, in order and with its times; a broken line costs only itself', async () => {
  const recording = join(folder, 'states.ndjson');
  await world.writer.commit('sales.a');
  await world.writer.createTable('sales.passing');
  await push('run --once --record', recording);
  await world.writer.dropTable('sales.passing');
  await world.writer.commit('sales.a');
  await push('run --once --record', recording);
  const lines = (await readFile(recording, 'utf8')).trim().split('\n');
  // A hint of what happened before may have led to a read of a table that has not changed.
  const states = lines.map(
    (line) => JSON.parse(line) as { table: string[]; metadata_location?: string; as_of: number },
  );
  const changes = states.filter(({ table, metadata_location }, i) => {
    const before = states.slice(0, i).findLast((state) => state.table[1] === table[1]);
    return before === undefined || before.metadata_location !== metadata_location;
  });
  expect(changes.length).toBeGreaterThanOrEqual(4);
  await writeFile(recording, [lines[0], '{"table":["sales"]', ...lines.slice(1), ''].join('\n'));

  // Another agent's ledger, in front of the same Polaris after everything was dropped there.
  for (const name of ['a', 'b']) await world.asAdministrator('DELETE', `namespaces/sales/tables/${name}`);
  const second = await configFile('second', world.polaris.uri);
  const sent: (readonly [string | undefined, bigint | undefined])[] = [];
  const stop = world.polaris.onRequest(({ kind, type, timestamp }) => {
    if (kind === 'notification' && type !== 'VALIDATE') sent.push([type, timestamp]);
  });
  const replayed = await run(['replay', '--config', second, recording]);
  stop();
  expect(replayed).toMatchObject({
    exitCode: 3,
    stdout: expect.stringMatching(
      /:2: no JSON object[^]* states replayed, 0 older than delivered, 1 broken, 0 parked/,
    ) as string,
  });
  expect(new Set(sent.map(([, timestamp]) => timestamp))).toEqual(new Set(changes.map(({ as_of }) => BigInt(as_of))));
  expect(sent.filter(([type]) => type === 'DROP')).toHaveLength(1);
  expect(sent.filter(([type]) => type === 'UPDATE')).toHaveLength(1);

  const again = await run(['replay', '--config', second, recording]);
  expect(again.stdout).toContain(`${states.length} states replayed, ${states.length} older than delivered`);
  expect(await run(['replay', '--config', second, join(folder, 'nobody.ndjson')])).toMatchObject({ exitCode: 2 });
});

test('a ledger of another source or of other catalogs is refused, unless it is said to be the same', async () => {
  const ledger = join(folder, 'agent.db');
  const moved = await configFile('moved', world.polaris.uri.replace('127.0.0.1', 'localhost'), ledger);
  const refused = await run(['run', '--once', '--config', moved]);
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('LEDGER_OTHER_CATALOG') as string });
  await writeFile(
    moved,
    (await readFile(moved, 'utf8'))
      .replace('/postgres"', '/postgres?application_name=x"')
      .replace('127.0.0.1', 'localhost'),
  );
  expect(await run(['run', '--once', '--config', moved])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('LEDGER_OTHER_SOURCE') as string,
  });
  expect(await run(['run', '--once', '--adopt-ledger', '--config', moved])).toMatchObject({ exitCode: 0 });
  expect(await push('run --once --adopt-ledger')).toMatchObject({ exitCode: 0 });
});

test('a catalog that was renamed, in Polaris or in the metastore, is another one until it is said to be the same', async () => {
  const ledger = join(folder, 'agent.db');
  const renamed = await configFile('renamed-catalog', world.polaris.uri, ledger);
  const text = await readFile(renamed, 'utf8');
  const refusalOf = async (from: string, to: string) => {
    await writeFile(renamed, text.replace(from, to));
    const { exitCode, stderr } = await run(['run', '--once', '--config', renamed]);
    expect(exitCode).toBe(2);
    return stderr.replaceAll(/\s+/g, ' ');
  };
  const target = await refusalOf(`catalog: ${CATALOG}`, 'catalog: new_name');
  expect(target).toContain('LEDGER_OTHER_CATALOG');
  expect(target).toMatch(new RegExp(`Target main was ${CATALOG} at [^,]*, the configuration says new_name at `));
  const source = await refusalOf('kind: hive,', 'kind: hive, catalog: new_name,');
  expect(source).toContain('LEDGER_OTHER_SOURCE');
  expect(source).toMatch(/It is of hive:\S*\/hive, the configuration names hive:\S*\/new_name/);
  // Said to be the same, it still isn't one that the metastore knows: nothing is gone by that.
  const served = new Set(world.polaris.tables(CATALOG).keys());
  const adopted = await run(['run', '--once', '--within', '2s', '--adopt-ledger', '--config', renamed]);
  expect(adopted).toMatchObject({ stderr: expect.stringContaining('HIVE_CATALOG_UNKNOWN') as string });
  expect(new Set(world.polaris.tables(CATALOG).keys())).toEqual(served);
  expect(await push('run --once --adopt-ledger')).toMatchObject({ exitCode: 0 });
});

test('drops: report holds a single DROP until it is released, never keeps the table, and fenced lets it go', async () => {
  const { writer } = world;
  const original = await readFile(config, 'utf8');
  const gone = async (mode: string) => {
    await writeFile(config, `${original}drops: { mode: ${mode} }\n`);
    await writer.createTable('sales.gone');
    await push('run --once');
    await writer.dropTable('sales.gone');
    return push('run --once');
  };
  const isServed = () => world.polaris.tables(CATALOG).has(JSON.stringify(['sales', 'gone']) as never);
  try {
    expect(await gone('report')).toMatchObject({ exitCode: 3 });
    expect(isServed()).toBe(true);
    expect(await push('drops list')).toMatchObject({
      exitCode: 3,
      stdout: expect.stringMatching(/sales\.gone[^]*1 DROP held/) as string,
    });
    expect(await push('status')).toMatchObject({ exitCode: 3, stdout: expect.stringMatching(/held/) as string });
    await push('drops release sales.gone');
    expect(await push('run --once')).toMatchObject({ exitCode: 0 });
    expect(isServed()).toBe(false);

    expect(await gone('never')).toMatchObject({ exitCode: 0 });
    expect(isServed()).toBe(true);
    expect(await push('drops list')).toMatchObject({ exitCode: 0, stdout: 'No DROP is held.\n' });
    expect((await push('status --json')).stdout).toContain('drops.mode is never');

    expect(await gone('fenced')).toMatchObject({ exitCode: 0 });
    expect(isServed()).toBe(false);
  } finally {
    await writeFile(config, original);
  }
});

test('a target that is not configured any more keeps its entries, and is told of', async () => {
  const renamed = join(folder, 'renamed.yaml');
  await writeFile(renamed, (await readFile(config, 'utf8')).replace('name: main', 'name: second'));
  const { exitCode, stderr } = await run(['run', '--once', '--config', renamed]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(/"target":"main".*target-not-configured/) as string,
  });
});

test('run --once --within gives up when Polaris is down, and says so', async () => {
  await world.writer.commit('sales.a');
  await world.polaris.pause();
  try {
    const { exitCode, stdout } = await push('run --once --within 1s');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 3,
      stdout: expect.stringContaining('Not caught up in time') as string,
    });
  } finally {
    await world.polaris.resume();
  }
  expect(await push('run --within 1s')).toMatchObject({ exitCode: 2 });
});
