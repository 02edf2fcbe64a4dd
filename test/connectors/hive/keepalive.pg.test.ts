import { expect, test } from 'vitest';
import { parseLsn, parsePosition } from '../../../connectors/hive/lsn.ts';
import { startPostgres } from '../../../examples/quickstart/postgres.ts';
import type { Delivery } from '../../../src/connector/connector.ts';
import { eventually, openMetastore, rows, started, textOf, type Metastore } from './metastore.ts';
import { startProxy } from './proxy.ts';

const SECONDS = 'clock_timestamp() - backend_start';

const endOf = ({ position }: Delivery) => parsePosition(position ?? '')?.lsn ?? 0n;

/** Resolves when one and the same connection has streamed for so long. */
async function streamedFor(metastore: Metastore, seconds: number): Promise<void> {
  const pids = new Set<number>();
  await eventually(async () => {
    const { rows: senders } = await metastore.admin.query<{ pid: number; long: boolean }>(
      `SELECT a.pid, ${SECONDS} > make_interval(secs => $2) AS long FROM pg_stat_activity a
       JOIN pg_replication_slots s ON s.active_pid = a.pid WHERE s.slot_name = $1`,
      [metastore.database, seconds],
    );
    for (const { pid } of senders) pids.add(pid);
    expect(pids.size).toBeLessThan(2);
    return senders[0]?.long;
  });
}

async function walEnd(metastore: Metastore): Promise<bigint> {
  const { rows: found } = await metastore.admin.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  return parseLsn(found[0]?.lsn ?? '');
}

async function confirmed(metastore: Metastore): Promise<bigint> {
  return parseLsn((await metastore.slot())?.confirmed ?? '0/0');
}

test.each([14, 18] as const)('PostgreSQL %i keeps an idle watch well beyond its wal_sender_timeout', async (major) => {
  await using postgres = await startPostgres({ major, settings: { wal_sender_timeout: '1s' } });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector());
  const next = watching.next();
  await streamedFor(metastore, 3);
  await metastore.transact(rows.create('a'));
  expect((await next).changes.map(textOf)).toEqual(['sales.a']);
});

test('PostgreSQL keeps a watch whose consumer is busy, and its slot stays where the last durable hint left it', async () => {
  await using postgres = await startPostgres({ major: 15, settings: { wal_sender_timeout: '1s' } });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector());
  await metastore.transact(rows.create('a'));
  const delivery = await watching.next();
  const before = await confirmed(metastore);
  const end = endOf(delivery);
  await metastore.transact(rows.create('b'));
  await streamedFor(metastore, 3);
  expect(await confirmed(metastore)).toBe(before);
  expect(before).toBeLessThan(end);
  await delivery.ack();
  await eventually(async () => (await confirmed(metastore)) === end);
  await (await watching.next()).ack();
  const all = await walEnd(metastore);
  await eventually(async () => (await confirmed(metastore)) >= all);
});

test('the slot of an idle metastore follows the log of other databases', async () => {
  await using postgres = await startPostgres({ settings: { wal_sender_timeout: '1s' } });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector());
  const next = watching.next();
  const other = await postgres.client('postgres');
  await other.query('CREATE TABLE noise AS SELECT generate_series(1, 10000) AS n');
  const end = await walEnd(metastore);
  await eventually(async () => (await confirmed(metastore)) >= end);
  await other.end();
  await metastore.transact(rows.create('a'));
  expect((await next).changes.map(textOf)).toEqual(['sales.a']);
});

test('a server that never times out is asked for a sign of life, and gives it', async () => {
  await using postgres = await startPostgres({ settings: { wal_sender_timeout: '0' } });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector({ keepalive: '100ms', watchdog: '500ms' }));
  const next = watching.next();
  await streamedFor(metastore, 2);
  await metastore.transact(rows.create('a'));
  expect((await next).changes.map(textOf)).toEqual(['sales.a']);
});

test('a connection that is open but dead ends the watch', async () => {
  await using postgres = await startPostgres({ major: 15 });
  await using proxy = await startProxy(postgres.port);
  await using metastore = await openMetastore(postgres);
  const connection = `postgresql://postgres@127.0.0.1:${proxy.port}/${metastore.database}`;
  const connector = await metastore.connector({ connection, keepalive: '100ms', watchdog: '500ms' });
  await using watching = await started(connector);
  await metastore.transact(rows.create('a'));
  await (await watching.next()).ack();
  const failure = watching.failure();
  proxy.freeze();
  expect(await failure).toMatchObject({ code: 'HIVE_SERVER_SILENT' });
});

test('an abort ends a watch, a list and a resolve on a connection that is open but dead', async () => {
  await using postgres = await startPostgres({ major: 15 });
  await using proxy = await startProxy(postgres.port);
  await using metastore = await openMetastore(postgres);
  await metastore.transact(
    ...Array.from({ length: 3 }, (_, page) =>
      Array.from({ length: 1000 }, (__, n) => rows.create(`t${page}_${n}`)).join(';'),
    ),
  );
  const connection = `postgresql://postgres@127.0.0.1:${proxy.port}/${metastore.database}`;
  const connector = await metastore.connector({ connection });
  const watching = await started(connector);
  const stop = new AbortController();
  const list = connector.list(stop.signal)[Symbol.asyncIterator]();
  await list.next();
  proxy.freeze();
  const work = Promise.allSettled([
    connector.resolve([{ namespace: ['sales'], name: 't0_0' }], stop.signal),
    list.next().then(() => list.next()),
    connector.prepare(stop.signal),
  ]);
  const before = performance.now();
  stop.abort(new Error('stopped'));
  await watching[Symbol.asyncDispose]();
  const outcomes = await work;
  expect(performance.now() - before).toBeLessThan(1000);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'stopped' } });
});

test('a process that stood still for a while doesn’t take the server for dead', async () => {
  await using postgres = await startPostgres({ major: 15 });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector({ keepalive: '100ms', watchdog: '400ms' }));
  await metastore.transact(rows.create('a'));
  await (await watching.next()).ack();
  const next = watching.next();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  await metastore.transact(rows.create('b'));
  expect((await next).changes.map(textOf)).toEqual(['sales.b']);
});

test.each([14, 15, 18] as const)('PostgreSQL %i stops fast with an idle watch attached', async (major) => {
  await using postgres = await startPostgres({ major });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector());
  await metastore.transact(rows.create('a'));
  await (await watching.next()).ack();
  const failure = watching.failure();
  // Its log goes on after the last commit that concerns us: by another database, and by the shutdown itself.
  const other = await postgres.client('postgres');
  await other.query('CREATE TABLE noise AS SELECT generate_series(1, 1000) AS n');
  expect(await postgres.stop('fast')).toBeLessThan(2000);
  expect(await failure).toMatchObject({ code: 'HIVE_UNREACHABLE' });
});

test.each([14, 15, 18] as const)('PostgreSQL %i stops fast although hints are not durable yet', async (major) => {
  await using postgres = await startPostgres({ major });
  await using metastore = await openMetastore(postgres);
  await using watching = await started(await metastore.connector());
  await metastore.transact(rows.create('a'));
  const delivery = await watching.next();
  expect(await postgres.stop('fast')).toBeLessThan(2000);
  await delivery.ack();
  expect(await watching.failure()).toMatchObject({ code: 'HIVE_SERVER_STOPPING' });
});

test('a restart of the server loses no change that was not durable', async () => {
  await using postgres = await startPostgres({ major: 15 });
  await using metastore = await openMetastore(postgres);
  const connector = await metastore.connector();
  {
    await using watching = await started(connector);
    await metastore.transact(rows.create('a'), rows.create('b'));
    const delivery = await watching.next();
    await postgres.stop('immediate');
    await expect(delivery.ack()).resolves.toBeUndefined();
    expect(await watching.failure()).toMatchObject({ code: 'HIVE_UNREACHABLE' });
  }
  const { signal } = new AbortController();
  await expect(connector.prepare(signal)).rejects.toMatchObject({ code: 'HIVE_UNREACHABLE' });
  await postgres.start();
  await using again = await started(connector);
  expect(await again.until('sales.b')).toContain('sales.a');
});

test.each(['by an administrator', 'by the network'])(
  'a connection cut %s ends the watch, and the next one goes on',
  async (by) => {
    await using postgres = await startPostgres({ major: 18 });
    await using proxy = await startProxy(postgres.port);
    await using metastore = await openMetastore(postgres);
    const connection = `postgresql://postgres@127.0.0.1:${proxy.port}/${metastore.database}`;
    const connector = await metastore.connector({ connection });
    {
      await using watching = await started(connector);
      await metastore.transact(rows.create('a'));
      const delivery = await watching.next();
      await delivery.ack();
      await eventually(async () => (await confirmed(metastore)) >= endOf(delivery));
      const failure = watching.failure();
      if (by === 'by the network') proxy.cut();
      else
        await metastore.admin.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
      expect(await failure).toMatchObject({ code: 'HIVE_UNREACHABLE' });
    }
    await metastore.transact(rows.create('b'));
    await using again = await started(connector);
    expect(await again.until('sales.b')).toEqual(['sales.b']);
  },
);
