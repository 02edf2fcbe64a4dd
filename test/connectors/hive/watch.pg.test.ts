import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import { eventually, listed, openMetastore, OPS, OTHER_SALES, rows, started, textOf, Watching } from './metastore.ts';

const COLUMN_LISTS = 15;

describe.each([14, 15, 18] as const)('on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ major });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('each operation of a metastore gives its hint, at one transaction one delivery', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    await using watching = await started(connector);
    const operations: [string, string][] = [
      [rows.create('orders'), 'sales.orders'],
      [rows.commit('orders', 1), 'sales.orders'],
      [`${rows.commit('orders', 2)}; ${rows.commit('orders', 2)}`, 'sales.orders'],
      [rows.rename('orders', 'archive', OPS), 'sales.orders>ops.archive'],
      [rows.drop('archive', OPS), '-ops.archive'],
    ];
    for (const [sql, hint] of operations) {
      await metastore.transact(sql);
      expect(await watching.until(hint)).toEqual([hint]);
    }
    expect(await listed(connector)).toEqual([]);
  });

  test('the publication that was created lets only what is read through', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('orders'));
    const connector = await metastore.connector();
    await using watching = await started(connector);
    const noise = `INSERT INTO "TABLE_PARAMS" VALUES (${rows.id('orders')}, 'numFiles', '7')`;
    await metastore.transact(noise, `UPDATE "NEXT_LOCK_ID" SET "NL_NEXT" = 2`, rows.create('last'));
    expect(await watching.until('sales.last')).toEqual(['sales.last']);
    if (major < COLUMN_LISTS) return;
    const published = await metastore.admin.query<{ columns: string; filtered: boolean }>(
      `SELECT array_to_string(attnames, ' ') AS columns, rowfilter IS NOT NULL AS filtered FROM pg_publication_tables ORDER BY tablename`,
    );
    expect(published.rows).toEqual([
      { columns: 'DB_ID NAME CTLG_NAME', filtered: false },
      { columns: 'TBL_ID PARAM_KEY', filtered: true },
      { columns: 'TBL_ID DB_ID TBL_NAME', filtered: false },
    ]);
  });
});

describe('a watch', () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres({ settings: { max_prepared_transactions: '2' } });
  });
  afterAll(async () => postgres[Symbol.asyncDispose]());

  test('names the tables of a swap in three transactions, in order', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('b'));
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.rename('a', 'tmp'), rows.rename('b', 'a'), rows.rename('tmp', 'b'));
    expect(await watching.until('sales.tmp>sales.b')).toEqual([
      'sales.a>sales.tmp',
      'sales.b>sales.a',
      'sales.tmp>sales.b',
    ]);
  });

  test('names every table of a database that is dropped with its tables in one transaction', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('b'), rows.create('kept', { db: OPS }));
    await using watching = await started(await metastore.connector());
    await metastore.transact(`${rows.drop('a')}; ${rows.drop('b')}; DELETE FROM "DBS" WHERE "DB_ID" = 2`);
    expect(await watching.until('-sales.b')).toEqual(['-sales.a', '-sales.b']);
  });

  test('renames every table of a renamed database', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('b'));
    await using watching = await started(await metastore.connector());
    await metastore.transact(`UPDATE "DBS" SET "NAME" = 'shop' WHERE "DB_ID" = 2`, rows.commit('a', 1));
    expect(await watching.until('shop.a')).toEqual(['sales.a>shop.a', 'sales.b>shop.b', 'shop.a']);
  });

  test('drop and re-creation of one name in one transaction is a hint at that name', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a', { id: 77 }));
    const connector = await metastore.connector();
    await using watching = await started(connector);
    await metastore.transact(`${rows.drop('a')}; ${rows.create('a', { id: 78 })}`);
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
    expect(await listed(connector)).toMatchObject([{ table: { name: 'a' }, incarnation: '78' }]);
  });

  test('TRUNCATE hints at everything that was known', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('b'));
    await using watching = await started(await metastore.connector());
    await metastore.transact('TRUNCATE "TBLS", "TABLE_PARAMS"');
    expect(await watching.until('-sales.b')).toEqual(['-sales.a', '-sales.b']);
  });

  test('of one catalog hears nothing of another with the same database name', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('ours', { db: OTHER_SALES }), rows.create('theirs'));
    const connector = await metastore.connector({ catalog: 'other' });
    await using watching = await started(connector);
    await metastore.transact(rows.commit('theirs', 1), rows.create('theirs2'), rows.commit('ours', 1, OTHER_SALES));
    expect(await watching.until('sales.ours')).toEqual(['sales.ours']);
    expect((await listed(connector)).map(({ table }) => table.name)).toEqual(['ours']);
    expect(
      await connector.resolve([{ namespace: ['sales'], name: 'theirs' }], new AbortController().signal),
    ).toMatchObject([{ kind: 'absent' }]);
  });

  test('asks the metastore for the names of tables that nobody has listed', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('gone'), rows.create('foreign', { db: OTHER_SALES }));
    const connector = await metastore.connector();
    await connector.prepare(new AbortController().signal);
    await metastore.transact(rows.commit('foreign', 1, OTHER_SALES), rows.commit('gone', 1), rows.drop('gone'));
    await metastore.transact(rows.commit('a', 1));
    await using watching = new Watching(connector);
    // Without a list no database is known either, so a table that has gone can't be named: the list tells of it.
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
  });

  test('a consumer that is busy during thousands of commits gets a hint a table, not a hint a commit', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('first'), rows.create('a'), rows.create('b'), rows.create('last'));
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.commit('first', 1));
    const busyWith = await watching.next();
    const before = Date.now();
    for (let version = 1; version <= 1000; version++)
      await metastore.transact(rows.commit('a', version), rows.commit('b', version));
    await metastore.transact(rows.commit('last', 1));
    const sent = await metastore.admin.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    await eventually(async () => {
      const {
        rows: [sender],
      } = await metastore.admin.query<{ done: boolean }>(
        `SELECT sent_lsn >= $1::pg_lsn AS done FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = $2`,
        [sent.rows[0]?.lsn, metastore.database],
      );
      return sender?.done;
    });
    await busyWith.ack();
    // What the server has sent may still be on its way, so a few deliveries are as good as one.
    const deliveries = [];
    do {
      const delivery = await watching.next();
      deliveries.push(delivery);
      await delivery.ack();
    } while (!deliveries.flatMap(({ changes }) => changes.map(textOf)).includes('sales.last'));
    expect(deliveries.length).toBeLessThanOrEqual(5);
    for (const { changes, committedAt, position } of deliveries) {
      expect(new Set(changes.map(textOf)).size).toBe(changes.length);
      expect(committedAt).toBeGreaterThanOrEqual(before - 1);
      expect(committedAt).toBeLessThanOrEqual(Date.now());
      expect(position?.localeCompare(busyWith.position ?? '')).toBe(1);
    }
  });

  test('hands hints over although commits never pause', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(
      ...Array.from({ length: 10 }, (_, index) => rows.create(`t${index}`, { id: 900 + index })),
    );
    await using watching = await started(await metastore.connector());
    let writing = true;
    const written = metastore.admin
      .query(
        `DO $$ BEGIN FOR i IN 1..30000 LOOP
           UPDATE "TABLE_PARAMS" SET "PARAM_VALUE" = i::text WHERE "PARAM_KEY" = 'metadata_location' AND "TBL_ID" = 900 + i % 10;
           COMMIT;
         END LOOP; END $$`,
      )
      .finally(() => {
        writing = false;
      });
    for (let delivery = 0; delivery < 2; delivery++) await (await watching.next()).ack();
    expect(writing).toBe(true);
    await written;
    await metastore.transact(rows.create('last'));
    expect(await watching.until('sales.last')).toContain('sales.last');
  });

  test('resumes after a position, and otherwise where the slot stands', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'), rows.create('b'));
    const connector = await metastore.connector();
    const positions: (string | undefined)[] = [];
    {
      await using watching = await started(connector);
      for (const name of ['a', 'b']) {
        await metastore.transact(rows.commit(name, 1));
        // Not acknowledged, so that the slot stays where it is.
        positions.push((await watching.next()).position);
      }
    }
    {
      await using unacknowledged = new Watching(connector);
      expect(await unacknowledged.until('sales.b', 'unacknowledged')).toEqual(['sales.a', 'sales.b']);
    }
    {
      await using resumed = new Watching(connector, positions[0]);
      expect((await resumed.next()).changes.map(textOf)).toEqual(['sales.b']);
    }
    // Positions that this server has never given are of before a restore or a failover: nothing is skipped for them.
    for (const foreign of [positions[0]?.replace(/^00000001/, '00000002'), '00000001/00FFFFFF/00000000', 'nonsense']) {
      await using elsewhere = new Watching(connector, foreign);
      expect(await elsewhere.until('sales.b', 'unacknowledged')).toEqual(['sales.a', 'sales.b']);
    }
  });

  test('an abort ends it within a moment, closes its connection and removes every listener', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    {
      await using watching = await started(connector);
      await metastore.transact(rows.create('a'));
      await (await watching.next()).ack();
      const before = performance.now();
      await watching[Symbol.asyncDispose]();
      expect(performance.now() - before).toBeLessThan(500);
    }
    await eventually(async () => (await metastore.slot())?.active === false);
  });

  test('an acknowledgement after the end, or a second one, does nothing', async () => {
    await using metastore = await openMetastore(postgres);
    const connector = await metastore.connector();
    const watching = await started(connector);
    await metastore.transact(rows.create('a'));
    const delivery = await watching.next();
    await watching[Symbol.asyncDispose]();
    const before = await metastore.slot();
    await delivery.ack();
    await delivery.ack();
    expect((await metastore.slot())?.confirmed).toBe(before?.confirmed);
  });

  test('lets a commit end that waits for the agent itself as its synchronous standby, and says so', async () => {
    await using server = await startPostgres();
    await using metastore = await openMetastore(server);
    await metastore.transact(rows.create('a'));
    await using watching = await started(await metastore.connector());
    await metastore.transact(rows.create('b'));
    await (await watching.next()).ack();
    await metastore.admin.query(`ALTER SYSTEM SET synchronous_standby_names = '"polaris-push"'`);
    await metastore.admin.query('SELECT pg_reload_conf()');
    await eventually(async () => {
      const sync = await metastore.admin.query(`SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`);
      return sync.rowCount === 1;
    });
    const commit = metastore.admin.query(rows.commit('a', 1));
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
    await commit;
    expect(metastore.events.map(({ event }) => event)).toContain('synchronous-standby');
  });

  test('hands a hint over only when a query sees its commit', async () => {
    await using metastore = await openMetastore(postgres);
    await metastore.transact(rows.create('a'));
    const connector = await metastore.connector({ keepalive: '20ms' });
    await using watching = await started(connector);
    // The commit waits for a synchronous standby that doesn't exist: on disk, sent to subscribers, seen by nobody.
    await metastore.admin.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
    await metastore.admin.query('SELECT pg_reload_conf()');
    const writer = await postgres.client(metastore.database);
    await eventually(
      async () =>
        (await writer.query<{ s: string }>('SHOW synchronous_standby_names')).rows[0]?.[
          'synchronous_standby_names' as 's'
        ] === 'nobody',
    );
    const commit = writer.query(rows.commit('a', 'invisible'));
    let handedOver = false;
    const delivery = watching.next().then((value) => {
      handedOver = true;
      return value;
    });
    await eventually(async () => {
      const { rows: waiting } = await metastore.admin.query(
        `SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`,
      );
      return waiting.length === 1;
    });
    const table = { namespace: ['sales'], name: 'a' };
    const { signal } = new AbortController();
    expect(await connector.resolve([table], signal)).toMatchObject([{ metadataLocation: 'file:/m/a/0' }]);
    // Sent, and many keepalives answered since: the hint has long been received. (The library's clock is of no use here.)
    const replies = new Set<string>();
    await eventually(async () => {
      const found = await metastore.admin.query<{ time: string }>(
        `SELECT reply_time::text AS time FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
         WHERE s.slot_name = $1 AND r.sent_lsn >= pg_current_wal_flush_lsn()`,
        [metastore.database],
      );
      if (found.rows[0] !== undefined) replies.add(found.rows[0].time);
      return replies.size > 10;
    });
    expect(handedOver).toBe(false);
    await metastore.admin.query('ALTER SYSTEM RESET synchronous_standby_names');
    await metastore.admin.query('SELECT pg_reload_conf()');
    await commit;
    await (await delivery).ack();
    expect(await connector.resolve([table], signal)).toMatchObject([{ metadataLocation: 'file:/m/a/invisible' }]);
    await writer.end();
  });
});
