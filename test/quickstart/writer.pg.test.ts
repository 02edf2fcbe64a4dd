import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Column } from '../../examples/quickstart/iceberg-metadata.ts';
import { pathOf } from '../../examples/quickstart/metadata-files.ts';
import { startPostgres, type Postgres } from '../../examples/quickstart/postgres.ts';
import { truth } from '../../examples/quickstart/truth.ts';
import {
  createMetastore,
  HiveWriter,
  type HiveError,
  type HiveWriterOptions,
} from '../../examples/quickstart/writer.ts';
import { drain, type RowChanges } from './row-changes.ts';

const RECORDED = JSON.parse(
  readFileSync(new URL('../fixtures/hive-writer/operations.json', import.meta.url), 'utf8'),
) as { operation: string; transactions: RowChanges[] }[];

const recorded = (operation: string): RowChanges[] => {
  const found = RECORDED.find((one) => one.operation === operation);
  if (found === undefined) throw new Error(`${operation} was not recorded.`);
  return found.transactions;
};

/** Recorded in other runs: without locks, by the server's own cascade, with compressed messages. Compared without ids. */
const BY_OTHER_SETTINGS = ['drop_database_server_side_cascade', 'nolock_create_and_append'];

const withoutIds = (transactions: readonly RowChanges[]): RowChanges[] =>
  transactions.map((lines) =>
    lines.map((line) => line.replaceAll(/\b(\w+_ID)=\d+/g, '$1=#').replace(/MESSAGE_FORMAT=\S+/, 'MESSAGE_FORMAT=#')),
  );

/** The tables with a primary key, as the recording's publication had them; UPDATE of another would fail. */
const TABLES = [
  'DBS DATABASE_PARAMS SERDES CDS COLUMNS_V2 SDS TBLS TABLE_PARAMS',
  'NOTIFICATION_LOG NOTIFICATION_SEQUENCE SEQUENCE_TABLE HIVE_LOCKS CTLGS',
]
  .join(' ')
  .split(' ');

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres();
  return async () => postgres[Symbol.asyncDispose]();
});

let databases = 0;

/** A metastore of its own with writers and a slot. */
async function openMetastore() {
  const database = `metastore${++databases}`;
  const warehouse = mkdtempSync(join(tmpdir(), 'polaris-push-warehouse-'));
  const admin = await postgres.client();
  await admin.query(`CREATE DATABASE ${database}`);
  const client = await postgres.client(database);
  await createMetastore(client);
  await client.query(`CREATE PUBLICATION recording FOR TABLE ${TABLES.map((table) => `"${table}"`).join(', ')}`);
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [database]);
  const writers: HiveWriter[] = [];
  return {
    client,
    warehouse,
    writer(options: Partial<HiveWriterOptions> = {}) {
      const writer = new HiveWriter({ connectionString: postgres.url(database), warehouse, ...options });
      writers.push(writer);
      return writer;
    },
    drained: () => drain(client, database, 'recording'),
    async [Symbol.asyncDispose]() {
      for (const writer of writers) await writer[Symbol.asyncDispose]();
      await client.query('SELECT pg_drop_replication_slot($1)', [database]);
      await client.end();
      await admin.end();
      rmSync(warehouse, { recursive: true, force: true });
    },
  };
}

const wide = (count: number): Column[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `a_rather_long_column_name_${index}`,
    type: 'string' as const,
    comment: `comment number ${index * 7919}`,
  }));

describe('the quick start writes what Hive Metastore 4.2 with Iceberg writes', () => {
  test('every recorded operation gives the same row changes, in the same order and transactions', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer();
    const compared: string[] = [];
    let sixth = '';
    const step = async (operation: string, run: () => Promise<unknown>) => {
      const result = await run();
      const transactions = await metastore.drained();
      expect({ operation, transactions }).toEqual({ operation, transactions: recorded(operation) });
      compared.push(operation);
      return result;
    };

    await step('create_namespace', () => hive.createNamespace('cap', { k: 'v' }));
    await step('create_namespace_2', () => hive.createNamespace('cap2', { k: 'v' }));
    await step('set_namespace_property', () => hive.setNamespaceProperty('cap', 'foo', 'bar'));
    await step('create_table', () => hive.createTable('cap.t1'));
    await step('commit_property', () => hive.commit('cap.t1', { set: { owner_x: '1' } }));
    await step('commit_append', () => hive.commit('cap.t1'));
    await step('commit_add_column', () => hive.commit('cap.t1', { addColumns: [{ name: 'extra', type: 'string' }] }));
    await step('commit_multi_txn', () => hive.commit('cap.t1', { set: { m1: '1' }, appendedFiles: 1 }));
    await step('create_table_txn_ctas', () => hive.createTable('cap.t2', { appendedFiles: 1 }));
    await step('replace_table_txn', () => hive.replaceTable('cap.t1', undefined, { replaced: 'y' }));
    await step('commit_append_after_replace', async () => (sixth = await hive.commit('cap.t1')));
    await step('commit_big_property_10k', () => hive.commit('cap.t1', { set: { big: 'x'.repeat(10_000) } }));
    await step('commit_append_with_toasted_param', () => hive.commit('cap.t1'));
    await step('commit_wide_schema', () => hive.commit('cap.t1', { addColumns: wide(300) }));
    await step('commit_append_with_wide_schema', () => hive.commit('cap.t1'));
    await step('rename_same_ns', () => hive.renameTable('cap.t1', 'cap.t1b'));
    await step('rename_other_ns', () => hive.renameTable('cap.t1b', 'cap2.t1c'));
    await step('commit_after_rename', () => hive.commit('cap2.t1c'));
    await step('register_table', () => hive.registerTable('cap.reg1', sixth));
    await step('create_view', () => hive.createView('cap.v1', 'select * from t2'));
    await step('replace_view', () => hive.replaceView('cap.v1', 'select * from t2 where id > 1'));
    await step('rename_view', () => hive.renameTable('cap.v1', 'cap.v1b'));
    await step('drop_view', () => hive.dropTable('cap.v1b'));
    await step('hive_create', () => hive.createHiveTable('cap.h1', { x: '1' }));
    await step('hive_alter', () => hive.alterTable('cap.h1', 'x', '2'));
    await step('hive_rename', () => hive.renameTable('cap.h1', 'cap.h2'));
    await step('hive_drop', () => hive.dropTable('cap.h2'));
    // Hive counts files; the recorded table had its manifest and manifest list, which the writer doesn't write.
    for (const name of ['manifest.avro', 'manifest-list.avro']) {
      writeFileSync(join(metastore.warehouse, 'cap.db', 't2', name), '');
    }
    await step('hive_alter_iceberg_tblproperties', () => hive.alterTable('cap.t2', 'note', 'hello'));
    await step('hive_alter_iceberg_uuid_unset', () => hive.alterTable('cap.t2', 'note', undefined));
    await step('hive_rename_iceberg', () => hive.renameTable('cap.t2', 'cap.t2r'));
    await step('drop_table', () => hive.dropTable('cap2.t1c'));
    await step('drop_table_purge', () => hive.dropTable('cap.reg1', { purge: true }));
    await step('recreate_same_name', () => hive.createTable('cap.reg1'));
    await step('concurrent_same_table', async () => {
      await hive.commit('cap.reg1', { set: { p1: '0' } });
      await hive.failCommit('cap.reg1');
      for (const p1 of ['1', '2']) await hive.commit('cap.reg1', { set: { p1 } });
      for (const p0 of ['0', '1', '2']) await hive.commit('cap.reg1', { set: { p0 } });
    });
    await step('create_c0', () => hive.createTable('cap.cc0'));
    await step('create_c1', () => hive.createTable('cap.cc1'));
    await step('drop_namespace_nonempty', () =>
      expect(hive.dropNamespace('cap')).rejects.toMatchObject({ reason: 'not empty' }),
    );
    expect(compared).toEqual(RECORDED.map((one) => one.operation).filter((name) => !BY_OTHER_SETTINGS.includes(name)));
  });

  test('without locks a commit is one transaction that writes the metadata location twice', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer({ locks: false });
    await hive.createNamespace('nk', { k: 'v' });
    await hive.createTable('nk.t1');
    await hive.commit('nk.t1');
    const changes = (await metastore.drained()).filter((lines) => !lines[0]?.includes(' SEQUENCE_TABLE '));
    expect(withoutIds(changes)).toEqual(withoutIds(recorded('nolock_create_and_append')));
  });

  test('a cascade by the server is one transaction, by a client one a table', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer();
    const fill = async () => {
      await hive.createNamespace('sc', { k: 'v' });
      for (const name of ['t1', 't2', 't3']) await hive.createTable(`sc.${name}`);
      await hive.createView('sc.v1', 'select * from t1');
      await metastore.drained();
    };
    const whole = withoutIds(recorded('drop_database_server_side_cascade'))[0]!;
    await fill();
    await hive.dropNamespaceCascade('sc', 'server');
    const byServer = (await metastore.drained()).filter((lines) => !lines[0]?.includes(' SEQUENCE_TABLE '));
    expect(withoutIds(byServer)).toEqual([whole]);

    await fill();
    await hive.dropNamespaceCascade('sc', 'client');
    const byClient = (await metastore.drained()).filter((lines) => !lines[0]?.includes(' SEQUENCE_TABLE '));
    expect(byClient.map((lines) => lines.filter((line) => /^D (TBLS|DBS) /.test(line)).length)).toEqual([
      1, 1, 1, 1, 1,
    ]);
    expect(withoutIds(byClient).flat()).toEqual(whole);
  });

  test('with the listener off, as by default in Hive, nothing is written to the notification log', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer({ notificationLog: false });
    await hive.createNamespace('off');
    await hive.createTable('off.t');
    await hive.commit('off.t');
    const changes = (await metastore.drained()).flat();
    expect(changes.some((line) => line.startsWith('I TBLS '))).toBe(true);
    expect(changes.filter((line) => line.includes(' NOTIFICATION_'))).toEqual([]);
  });
});

describe('the writer behaves as a metastore towards its clients', () => {
  test.each([true, false])('no commit of concurrent writers is lost (locks: %s)', async (locks) => {
    await using metastore = await openMetastore();
    const writers = [metastore.writer({ locks }), metastore.writer({ locks })];
    await writers[0]!.createNamespace('db');
    await writers[0]!.createTable('db.t');
    await Promise.all(writers.flatMap((hive) => Array.from({ length: 15 }, () => hive.commit('db.t'))));
    const location = (await truth(metastore.client)).get('db.t')!;
    const metadata = JSON.parse(readFileSync(pathOf(location), 'utf8')) as { snapshots: { summary: object }[] };
    expect(metadata.snapshots.at(-1)?.summary).toMatchObject({ 'total-data-files': '30' });
    expect(location).toMatch(/\/00030-/);
  });

  test('a refused operation names its reason and leaves nothing behind', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer({ locks: false });
    await hive.createNamespace('db');
    await hive.createTable('db.a');
    await hive.createTable('db.b');
    await metastore.drained();
    const reasons: string[] = [];
    for (const attempt of [
      () => hive.createTable('db.a'),
      () => hive.createTable('nowhere.a'),
      () => hive.renameTable('db.a', 'db.b'),
      () => hive.dropTable('db.c'),
      () => hive.commit('db.c'),
    ]) {
      await attempt().catch((error: unknown) => reasons.push((error as HiveError).reason));
    }
    await hive.failCommit('db.a');
    expect(reasons).toEqual(['already exists', 'no such database', 'already exists', 'no such table', 'no such table']);
    const left = (await metastore.drained()).filter((lines) => !lines[0]?.includes(' SEQUENCE_TABLE '));
    expect(left).toEqual([]);
  });

  test('the truth holds Iceberg tables of one catalog, not views and not tables of Hive', async () => {
    await using metastore = await openMetastore();
    const hive = metastore.writer();
    await metastore.client.query(`INSERT INTO "CTLGS" VALUES (2, 'other', '', '')`);
    const other = metastore.writer({ catalog: 'other' });
    await hive.createNamespace('db');
    await other.createNamespace('db');
    const location = await hive.createTable('db.t');
    await other.createTable('db.u');
    await hive.createView('db.v', 'select 1');
    await hive.createHiveTable('db.h');
    expect([...(await truth(metastore.client))]).toEqual([['db.t', location]]);
    expect([...(await truth(metastore.client, 'other')).keys()]).toEqual(['db.u']);
  });
});
