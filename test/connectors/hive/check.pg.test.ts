import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import hive from '../../../connectors/hive/index.ts';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import type { Finding } from '../../../src/core/finding.ts';
import { ERRORS } from '../../../src/errors/errors.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { all, openMetastore, rows, started, type Metastore } from './metastore.ts';

const { signal } = new AbortController();

async function check(metastore: Metastore, changes?: Record<string, unknown>): Promise<Finding[]> {
  const deps = { clock: systemClock, log: silentLog };
  return all(hive.check(metastore.config(changes), deps, signal));
}

/** What isn't fine; each with a code of the catalogue and a fix, or the test fails. */
async function complaints(metastore: Metastore, changes?: Record<string, unknown>): Promise<Finding[]> {
  const findings = (await check(metastore, changes)).filter(
    ({ level, subject }) => level !== 'ok' && subject !== 'max_slot_wal_keep_size',
  );
  for (const finding of findings) {
    expect(finding.fix).toMatch(/\w/);
    expect([undefined, ...Object.keys(ERRORS)]).toContain(finding.code);
    expect([finding.level, finding.code === undefined]).not.toEqual(['error', true]);
  }
  return findings;
}

const publish = (metastore: Metastore, what: string) =>
  metastore.admin.query(`CREATE PUBLICATION ${metastore.database} ${what}`);

describe.each([14, 15, 18] as const)('the preflight on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ major });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('finds nothing wrong before the first start nor after it, and changes nothing', async () => {
    await using metastore = await openMetastore(postgres);
    expect(await complaints(metastore)).toEqual([]);
    expect(await metastore.slot()).toBeUndefined();
    expect((await metastore.admin.query('SELECT FROM pg_publication')).rowCount).toBe(0);
    await (await metastore.connector()).prepare(signal);
    expect(await complaints(metastore)).toEqual([]);
  });

  test('finds that FOR ALL TABLES breaks the metastore, and its fix repairs it', async () => {
    await using metastore = await openMetastore(postgres);
    await publish(metastore, 'FOR ALL TABLES');
    const takeLock = () => metastore.admin.query('UPDATE "NEXT_LOCK_ID" SET "NL_NEXT" = "NL_NEXT" + 1');
    await expect(takeLock()).rejects.toThrow('does not have a replica identity');
    const found = await complaints(metastore);
    expect(found).toMatchObject([{ level: 'error', subject: 'publication', code: 'HIVE_PUBLICATION_WRONG' }]);
    expect(found[0]?.detail).toContain('FOR ALL TABLES');
    await expect((await metastore.connector()).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_PUBLICATION_WRONG',
    });
    await metastore.admin.query((found[0]?.fix ?? '').replace(/^[^:]*: /, ''));
    await expect(takeLock()).resolves.toBeDefined();
    expect(await complaints(metastore)).toEqual([]);
  });
});

describe('the preflight', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ major: 15 });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('finds that a whole schema is published, which breaks the metastore like FOR ALL TABLES', async () => {
    await using metastore = await openMetastore(postgres);
    await publish(metastore, 'FOR TABLES IN SCHEMA public');
    await expect(metastore.admin.query('UPDATE "NEXT_LOCK_ID" SET "NL_NEXT" = 5')).rejects.toThrow('replica identity');
    const found = await complaints(metastore);
    expect(found.find(({ level }) => level === 'error')?.detail).toContain('NEXT_LOCK_ID');
  });

  const parameters = `"TABLE_PARAMS" WHERE ("PARAM_KEY" = 'metadata_location' OR "PARAM_KEY" = 'table_type')`;
  test.each<[string, string, 'error' | 'warning', RegExp]>([
    ['a table is missing', '"DBS", "TBLS"', 'error', /lacks the table TABLE_PARAMS/],
    ['a column is missing', `"DBS", "TBLS" ("TBL_ID", "DB_ID"), ${parameters}`, 'error', /lacks the column TBL_NAME/],
    [
      'a row filter hides the metadata location',
      `"DBS", "TBLS", "TABLE_PARAMS" WHERE ("PARAM_KEY" = 'uuid')`,
      'error',
      /hides metadata_location, table_type/,
    ],
    [
      'a row filter depends on more than the key',
      `"DBS", "TBLS", "TABLE_PARAMS" WHERE ("PARAM_KEY" = 'metadata_location' AND "TBL_ID" > 5)`,
      'error',
      /hides metadata_location/,
    ],
    ['a row filter hides tables', `"DBS", "TBLS" WHERE ("TBL_ID" > 5), ${parameters}`, 'error', /hides rows of TBLS/],
    ['columns are sent that nobody reads', `"DBS", "TBLS", ${parameters}`, 'warning', /nobody reads: .*OWNER/],
    [
      'all parameters are sent',
      '"DBS" ("DB_ID", "NAME", "CTLG_NAME"), "TBLS" ("TBL_ID", "DB_ID", "TBL_NAME"), "TABLE_PARAMS" ("TBL_ID", "PARAM_KEY")',
      'warning',
      /statistics/,
    ],
    ['a table is sent that nobody reads', `"DBS", "TBLS", "SDS", ${parameters}`, 'warning', /nobody reads: SDS/],
  ])('finds that %s, and its fix repairs it', async (_, tables, level, detail) => {
    await using metastore = await openMetastore(postgres);
    await publish(metastore, `FOR TABLE ${tables}`);
    const found = await complaints(metastore);
    const finding = found.find((candidate) => detail.test(candidate.detail));
    expect(finding).toMatchObject({ level, subject: 'publication' });
    await metastore.admin.query((finding?.fix ?? '').replace(/^[^:]*: /, ''));
    expect(await complaints(metastore)).toEqual([]);
  });

  test('accepts a row filter that says the same in other words', async () => {
    await using metastore = await openMetastore(postgres);
    await publish(
      metastore,
      `FOR TABLE "DBS" ("DB_ID", "NAME", "CTLG_NAME"), "TBLS" ("TBL_ID", "DB_ID", "TBL_NAME"),
       "TABLE_PARAMS" ("TBL_ID", "PARAM_KEY") WHERE ("PARAM_KEY"::text IN ('table_type', 'metadata_location'))`,
    );
    expect(await complaints(metastore)).toEqual([]);
  });

  test('finds that changes are left out', async () => {
    await using metastore = await openMetastore(postgres);
    await publish(metastore, `FOR TABLE "DBS", "TBLS", "TABLE_PARAMS" WITH (publish = 'insert, update')`);
    expect(await complaints(metastore)).toContainEqual(
      expect.objectContaining({
        level: 'error',
        detail: expect.stringContaining('leaves out delete, truncate') as string,
      }),
    );
  });

  test('finds a replica identity under which a column list would break the metastore, and no publication is made', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.admin.query('ALTER TABLE "TBLS" REPLICA IDENTITY FULL');
    const [finding] = await complaints(metastore);
    expect(finding).toMatchObject({ level: 'error', subject: 'TBLS', code: 'HIVE_REPLICA_IDENTITY' });
    await expect((await metastore.connector()).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_REPLICA_IDENTITY',
    });
    await metastore.transact(rows.create('a'), rows.rename('a', 'b'));
    await metastore.admin.query((finding?.fix ?? '').replace(/^[^:]*: /, ''));
    expect(await complaints(metastore)).toEqual([]);
  });

  test('finds a primary key that is missing', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.admin.query('ALTER TABLE "TABLE_PARAMS" DROP CONSTRAINT "TABLE_PARAMS_pkey"');
    const [finding] = await complaints(metastore);
    expect(finding).toMatchObject({ level: 'error', subject: 'TABLE_PARAMS', code: 'HIVE_REPLICA_IDENTITY' });
    await metastore.admin.query((finding?.fix ?? '').replace(/^[^:]*: /, '').replace(/ \(the metastore's.*/, ''));
    expect(await complaints(metastore)).toEqual([]);
  });

  test('finds what is missing of the metastore’s tables, and names the place', async () => {
    await using metastore = await openMetastore(postgres);
    expect(await complaints(metastore, { schema: 'elsewhere' })).toMatchObject([
      { subject: 'DBS', code: 'HIVE_NOT_A_METASTORE' },
      { subject: 'TBLS', code: 'HIVE_NOT_A_METASTORE' },
      { subject: 'TABLE_PARAMS', code: 'HIVE_NOT_A_METASTORE' },
      expect.anything(),
    ]);
    await metastore.admin.query('ALTER TABLE "DBS" DROP COLUMN "CTLG_NAME"');
    expect((await complaints(metastore))[0]).toMatchObject({
      subject: 'DBS',
      detail: expect.stringContaining('CTLG_NAME') as string,
    });
  });

  test('lists the catalogs that there are when the configured one isn’t', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.admin.query(`INSERT INTO "CTLGS" VALUES (3, 'empty', NULL, '', 0)`);
    expect(await complaints(metastore, { catalog: 'hvie' })).toMatchObject([
      {
        subject: 'catalog',
        code: 'HIVE_CATALOG_UNKNOWN',
        fix: expect.stringContaining('hive, other, empty') as string,
      },
    ]);
    expect(await complaints(metastore, { catalog: 'empty' })).toMatchObject([
      { subject: 'catalog', detail: 'The catalog empty has no database.' },
    ]);
  });

  test('tells who streams from the slot', async () => {
    await using metastore = await openMetastore(postgres);
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.create('a'));
    await watching.next();
    expect(await complaints(metastore)).toMatchObject([
      { level: 'warning', subject: 'slot', detail: expect.stringContaining('application polaris-push') as string },
    ]);
  });

  test('finds another plugin, and a slot that is missing where none may be made', async () => {
    await using metastore = await openMetastore(postgres);
    await (await metastore.connector()).prepare(signal);
    await metastore.admin.query(`SELECT pg_drop_replication_slot('${metastore.database}')`);
    expect(await complaints(metastore, { create: false })).toMatchObject([
      { subject: 'slot', code: 'HIVE_SLOT_MISSING', fix: expect.stringContaining('pgoutput') as string },
    ]);
    await metastore.admin.query(`SELECT pg_create_logical_replication_slot('${metastore.database}', 'test_decoding')`);
    expect(await complaints(metastore)).toMatchObject([{ subject: 'slot', code: 'HIVE_SLOT_WRONG' }]);
  });

  test('finds all slots and connections taken, a wrong wal_level, and a standby name that covers the agent', async () => {
    await using tight = await startPostgres({
      major: 15,
      settings: {
        wal_level: 'replica',
        max_replication_slots: '0',
        max_wal_senders: '0',
        synchronous_standby_names: '*',
      },
    });
    await using metastore = await openMetastore(tight);
    const subjects = (await complaints(metastore)).map(({ level, subject }) => `${level} ${subject}`);
    expect(subjects).toEqual([
      'error wal_level',
      'error max_replication_slots',
      'error max_wal_senders',
      'warning synchronous_standby_names',
    ]);
  });

  test('advises a bound on what an unused slot keeps', async () => {
    await using metastore = await openMetastore(postgres);
    const advice = (await check(metastore)).find(({ subject }) => subject === 'max_slot_wal_keep_size');
    expect(advice).toMatchObject({
      level: 'warning',
      fix: expect.stringContaining('max_slot_wal_keep_size') as string,
    });
  });
});
