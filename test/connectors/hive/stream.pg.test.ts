import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import { eventually, listed, openMetastore, rows, started, Watching, type Metastore } from './metastore.ts';
import { startProxy } from './proxy.ts';
import { startStandby, type Standby } from './standby.ts';

const { signal } = new AbortController();

const dropSlot = (metastore: Metastore) =>
  metastore.admin.query(`SELECT pg_drop_replication_slot('${metastore.database}')`);
const createSlot = (metastore: Metastore, plugin = 'pgoutput') =>
  metastore.admin.query(`SELECT pg_create_logical_replication_slot('${metastore.database}', '${plugin}')`);
/** Has the standby got as far as the primary now? */
async function isReplicated(standby: Standby, metastore: Metastore): Promise<boolean> {
  const { rows: end } = await metastore.admin.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  const replica = await standby.postgres.client();
  const { rows: found } = await replica.query<{ there: boolean }>(
    'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there',
    [end[0]?.lsn],
  );
  await replica.end();
  return found[0]?.there === true;
}

const names = (metastore: Metastore) => metastore.events.map(({ event }) => event);

describe.each([14, 15, 18] as const)('the slot on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({
      major,
      // The smallest there is, so that little WAL is enough to invalidate a slot.
      settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB', wal_keep_size: '0' },
    });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('is created where it is missing, after the publication, and found the next time', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await connector.prepare(signal);
    await connector.prepare(signal);
    expect(names(metastore)).toEqual(['publication-created', 'slot-created']);
    expect(await metastore.slot()).toMatchObject({ active: false });
  });

  test('is created anew when PostgreSQL has invalidated it, and the list finds what it missed', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await (await started(connector))[Symbol.asyncDispose]();
    await metastore.transact(rows.create('missed'));
    await metastore.admin.query('CREATE TABLE filler (text text)');
    await eventually(async () => {
      await metastore.admin.query(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)`);
      await metastore.admin.query('CHECKPOINT');
      return (await metastore.slot())?.wal_status === 'lost';
    });
    await expect(new Watching(connector).failure()).resolves.toMatchObject({ code: 'HIVE_SLOT_INVALIDATED' });
    const refusing = await metastore.connector({ create: false });
    await expect(refusing.prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_SLOT_INVALIDATED',
      fix: expect.stringContaining('pg_drop_replication_slot') as string,
    });
    await connector.prepare(signal);
    expect(names(metastore).slice(-2)).toEqual(['slot-invalidated', 'slot-recreated']);
    expect((await listed(connector)).map(({ table }) => table.name)).toEqual(['missed']);
    await using watching = new Watching(connector);
    await metastore.transact(rows.commit('missed', 1));
    expect(await watching.until('sales.missed')).toEqual(['sales.missed']);
  });

  test('that was invalidated under a running watch ends it', async () => {
    await using metastore = await openMetastore(postgres);
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.create('a'));
    await watching.next();
    const failure = watching.failure();
    await metastore.admin.query('CREATE TABLE filler (text text)');
    await eventually(async () => {
      await metastore.admin.query(`INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)`);
      await metastore.admin.query('CHECKPOINT');
      return (await metastore.slot())?.wal_status === 'lost';
    });
    expect(await failure).toMatchObject({ code: 'HIVE_UNREACHABLE' });
  });
});

describe('the stream', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ major: 15 });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('of a slot that another agent streams from is refused, naming its process', async () => {
    await using metastore = await openMetastore(postgres);
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.create('a'));
    await watching.next();
    const second = await metastore.connector();
    const pid = String((await metastore.slot())?.active_pid);
    const refusal = {
      code: 'HIVE_SLOT_IN_USE',
      message: expect.stringMatching(
        new RegExp(`Process ${pid} \\(application polaris-push from 127.0.0.1\\)`),
      ) as string,
    };
    await expect(second.prepare(signal)).rejects.toMatchObject(refusal);
    expect(await new Watching(second).failure()).toMatchObject(refusal);
  });

  test('can be prepared while one’s own watch is running', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await using watching = await started(connector);
    await metastore.transact(rows.create('a'));
    await (await watching.next()).ack();
    await connector.prepare(signal);
    await metastore.transact(rows.create('b'));
    expect(await watching.until('sales.b')).toEqual(['sales.b']);
  });

  test('whose slot is missing and must not be created is refused with the SQL', async () => {
    await using metastore = await openMetastore(postgres);
    await (await metastore.connector()).prepare(signal);
    await dropSlot(metastore);
    const connector = await metastore.connector({ create: false });
    const fix = `With a role that has REPLICATION: SELECT pg_create_logical_replication_slot('${metastore.database}', 'pgoutput');`;
    await expect(connector.prepare(signal)).rejects.toMatchObject({ code: 'HIVE_SLOT_MISSING', fix });
    expect(await new Watching(connector).failure()).toMatchObject({ code: 'HIVE_SLOT_MISSING' });
    await metastore.admin.query(fix.replace(/^.*: /, ''));
    await connector.prepare(signal);
  });

  test('whose slot was dropped in between is created anew by the next start', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await (await started(connector))[Symbol.asyncDispose]();
    await eventually(async () => (await metastore.slot())?.active === false);
    await dropSlot(metastore);
    expect(await new Watching(connector).failure()).toMatchObject({ code: 'HIVE_SLOT_MISSING' });
    await using watching = await started(connector);
    await metastore.transact(rows.create('a'));
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
  });

  test('whose slot was created anew behind our back isn’t taken for the old one', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await (await started(connector))[Symbol.asyncDispose]();
    await eventually(async () => (await metastore.slot())?.active === false);
    await metastore.transact(rows.create('missed'));
    await dropSlot(metastore);
    await createSlot(metastore);
    expect(await new Watching(connector).failure()).toMatchObject({ code: 'HIVE_HISTORY_LOST' });
    // A start makes sure of the stream and lists, and so does find what the slot has skipped.
    await connector.prepare(signal);
    expect((await listed(connector)).map(({ table }) => table.name)).toEqual(['missed']);
    await using watching = new Watching(connector);
    await metastore.transact(rows.commit('missed', 1));
    expect(await watching.until('sales.missed')).toEqual(['sales.missed']);
  });

  test('whose slot is of another plugin or another database is refused', async () => {
    await using metastore = await openMetastore(postgres);
    await createSlot(metastore, 'test_decoding');
    await expect((await metastore.connector()).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_SLOT_WRONG',
      message: expect.stringContaining('test_decoding') as string,
    });
    await using other = await openMetastore(postgres);
    await createSlot(other);
    await expect((await metastore.connector({ slot: other.database })).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_SLOT_WRONG',
      message: expect.stringContaining(`belongs to database ${other.database}`) as string,
    });
  });

  test('waits for no writer for ever when it creates its slot, and names the one in the way', async () => {
    await using metastore = await openMetastore(postgres);
    const writer = await postgres.client(metastore.database);
    await writer.query(`SET application_name = 'nightly-load'; BEGIN; ${rows.create('a')}`);
    const connector = await metastore.connector({ query_timeout: '300ms' });
    await expect(connector.prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_TIMEOUT',
      message: expect.stringMatching(/process \d+ \(nightly-load\)/) as string,
    });
    await writer.query('COMMIT');
    await connector.prepare(signal);
    expect(await metastore.slot()).toMatchObject({ active: false });
    await writer.end();
  });

  test('says so when PostgreSQL has no slot left', async () => {
    await using full = await startPostgres({ major: 15, settings: { max_replication_slots: '1' } });
    await using metastore = await openMetastore(full);
    await metastore.admin.query(`SELECT pg_create_logical_replication_slot('taken', 'pgoutput')`);
    await expect((await metastore.connector()).prepare(signal)).rejects.toMatchObject({ code: 'HIVE_SLOTS_EXHAUSTED' });
  });

  test('whose publication is missing and must not be created is refused with the SQL', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector({ create: false });
    const error = await connector.prepare(signal).then(
      () => undefined,
      (reason: unknown) => reason as { code: string; fix: string },
    );
    expect(error?.code).toBe('HIVE_PUBLICATION_MISSING');
    await metastore.admin.query((error?.fix ?? '').replace(/^[^:]*: /, ''));
    await expect(connector.prepare(signal)).rejects.toMatchObject({ code: 'HIVE_SLOT_MISSING' });
  });

  test('goes on after the publication was dropped: what the slot can’t decode any more, the list finds', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    {
      await using watching = await started(connector);
      await metastore.transact(`DROP PUBLICATION ${metastore.database}`, rows.create('undecodable'));
      expect(await watching.failure()).toMatchObject({ code: 'HIVE_PUBLICATION_MISSING' });
    }
    await connector.prepare(signal);
    expect((await listed(connector)).map(({ table }) => table.name)).toEqual(['undecodable']);
    await using watching = new Watching(connector);
    await metastore.transact(rows.create('b'));
    expect(await watching.until('sales.b')).toEqual(['sales.b']);
  });

  test('goes on after the publication was dropped and created anew by hand', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    {
      await using watching = await started(connector);
      await metastore.transact(`DROP PUBLICATION ${metastore.database}`, rows.create('undecodable'));
      await metastore.transact(`CREATE PUBLICATION ${metastore.database} FOR TABLE "DBS", "TBLS", "TABLE_PARAMS"`);
      expect(await watching.failure()).toMatchObject({ code: 'HIVE_PUBLICATION_MISSING' });
    }
    await using watching = await started(connector);
    expect(names(metastore)).toContain('slot-recreated');
    await metastore.transact(rows.create('b'));
    expect(await watching.until('sales.b')).toEqual(['sales.b']);
  });

  test('ends soon when a table is taken out of the publication, and starts again only when it is back', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector({ inspect: '100ms' });
    const publication = metastore.database;
    {
      await using watching = await started(connector);
      const failure = watching.failure();
      await metastore.transact(`ALTER PUBLICATION ${publication} DROP TABLE "TABLE_PARAMS"`);
      expect(await failure).toMatchObject({ code: 'HIVE_PUBLICATION_WRONG' });
    }
    const error = await connector.prepare(signal).catch((reason: unknown) => reason as { code: string; fix: string });
    expect(error).toMatchObject({ code: 'HIVE_PUBLICATION_WRONG' });
    await metastore.admin.query((error as { fix: string }).fix.replace(/^[^:]*: /, ''));
    await using watching = await started(connector);
    await metastore.transact(rows.create('a'), rows.commit('a', 1));
    expect(await watching.until('sales.a')).toContain('sales.a');
  });

  test('of a server without logical decoding is refused with the setting', async () => {
    await using plain = await startPostgres({ major: 15, settings: { wal_level: 'replica' } });
    await using metastore = await openMetastore(plain);
    await expect((await metastore.connector()).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_WAL_LEVEL',
      fix: expect.stringContaining("ALTER SYSTEM SET wal_level = 'logical'") as string,
    });
  });

  test('is not made on a standby, and a standby’s silence is no absence', async () => {
    await using primary = await startPostgres({ major: 15 });
    await using standby = await startStandby(primary, 15);
    await using metastore = await openMetastore(primary);
    await eventually(async () => isReplicated(standby, metastore));
    const connector = await metastore.connector({ connection: standby.postgres.url(metastore.database) });
    await expect(connector.prepare(signal)).rejects.toMatchObject({ code: 'HIVE_STANDBY' });
    await expect(listed(connector)).rejects.toMatchObject({ code: 'HIVE_STANDBY' });
    await expect(connector.resolve([{ namespace: ['sales'], name: 'zzz' }], signal)).rejects.toMatchObject({
      code: 'HIVE_STANDBY',
    });
    expect(await new Watching(connector).failure()).toMatchObject({ code: 'HIVE_STANDBY' });
  });

  test('ends when new connections lead to another database, which is not believed before a new start', async () => {
    await using primary = await startPostgres({ major: 15 });
    await using other = await startPostgres({ major: 15 });
    await using metastore = await openMetastore(primary);
    const copy = await openMetastore(other);
    await copy[Symbol.asyncDispose]();
    const root = await other.client();
    await root.query(`ALTER DATABASE ${copy.database} RENAME TO ${metastore.database}`);
    await root.end();
    await using proxy = await startProxy(primary.port);
    const connector = await metastore.connector({
      connection: `postgresql://postgres@127.0.0.1:${proxy.port}/${metastore.database}`,
      inspect: '100ms',
    });
    await metastore.transact(rows.create('a'));
    const table = { namespace: ['sales'], name: 'a' };
    const lost = { code: 'HIVE_HISTORY_LOST' };
    {
      await using watching = await started(connector);
      proxy.redirect(other.port);
      // The stream itself stays where it is.
      await metastore.admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'polaris-push' AND backend_type = 'client backend'`,
      );
      await expect(connector.resolve([table], signal)).rejects.toMatchObject(lost);
      await expect(listed(connector)).rejects.toMatchObject(lost);
      expect(await watching.failure()).toMatchObject(lost);
    }
    const { identity } = connector;
    await connector.prepare(signal);
    expect(connector.identity).not.toBe(identity);
    expect(await connector.resolve([table], signal)).toMatchObject([{ kind: 'absent' }]);
    proxy.redirect(primary.port);
    await connector.prepare(signal);
    // The connections to the other one are still there.
    expect(connector.identity).toBe(identity);
    await expect(connector.resolve([table], signal)).rejects.toMatchObject(lost);
    expect(await connector.resolve([table], signal)).toMatchObject([{ kind: 'present' }]);
  });

  test('is found broken after a failover, and a new start on the promoted server goes on', async () => {
    await using primary = await startPostgres({ major: 15 });
    await using standby = await startStandby(primary, 15);
    await using metastore = await openMetastore(primary);
    await using proxy = await startProxy(primary.port);
    const connector = await metastore.connector({
      connection: `postgresql://postgres@127.0.0.1:${proxy.port}/${metastore.database}`,
    });
    await metastore.transact(rows.create('a'));
    {
      await using watching = await started(connector);
      await metastore.transact(rows.commit('a', 1));
      await (await watching.next()).ack();
      await eventually(async () => isReplicated(standby, metastore));
      const replica = await standby.postgres.client(metastore.database);
      await eventually(async () => {
        const { rowCount } = await replica.query(`SELECT FROM "TABLE_PARAMS" WHERE "PARAM_VALUE" = 'file:/m/a/1'`);
        return rowCount === 1;
      });
      const failure = watching.failure();
      await primary.stop('immediate');
      await replica.query('SELECT pg_promote()');
      await replica.query(rows.commit('a', 2));
      await replica.query(`SELECT pg_create_logical_replication_slot('${metastore.database}', 'pgoutput')`);
      await replica.end();
      expect(await failure).toMatchObject({ code: 'HIVE_UNREACHABLE' });
    }
    proxy.redirect(standby.postgres.port);
    expect(await new Watching(connector).failure()).toMatchObject({ code: 'HIVE_HISTORY_LOST' });
    await connector.prepare(signal);
    expect(await listed(connector)).toMatchObject([{ metadataLocation: 'file:/m/a/2' }]);
    await using watching = new Watching(connector);
    const promoted = await standby.postgres.client(metastore.database);
    await promoted.query(rows.commit('a', 3));
    await promoted.end();
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
  });
});
