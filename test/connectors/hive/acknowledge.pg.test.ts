import { LogicalReplicationService, PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLsn } from '../../../connectors/hive/lsn.ts';
import { openStream } from '../../../connectors/hive/stream.ts';
import { startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import { eventually, openMetastore, rows, started, textOf, Watching, type Metastore } from './metastore.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ major: 15 });
});
afterAll(async () => postgres[Symbol.asyncDispose]());

type Commit = Pgoutput.MessageCommit;

/** Two concurrent transactions of which the second's commit record starts exactly where the first's ends. */
async function adjacentCommits(metastore: Metastore): Promise<void> {
  const writers = [await postgres.client(metastore.database), await postgres.client(metastore.database)];
  for (const [index, writer] of writers.entries()) await writer.query(`BEGIN; ${rows.create(`t${index}`)}`);
  for (const writer of writers) await writer.query('COMMIT');
  for (const writer of writers) await writer.end();
}

/** A metastore with a slot and, after it, two adjacent commits; another process's WAL can come between, so it is checked. */
async function openWithAdjacentCommits(): Promise<Metastore> {
  for (;;) {
    const metastore = await openMetastore(postgres);
    await (await metastore.connector()).prepare(new AbortController().signal);
    await adjacentCommits(metastore);
    const { rows: messages } = await metastore.admin.query<{ data: Buffer }>(
      `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
      [metastore.database, metastore.database],
    );
    const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [metastore.database] });
    const commits = messages.map(({ data }) => plugin.parse(data)).filter((message) => message.tag === 'commit');
    expect(commits).toHaveLength(2);
    if (commits[0]?.commitEndLsn === commits[1]?.commitLsn) return metastore;
    await metastore[Symbol.asyncDispose]();
  }
}

/** Streams with the library as it comes, acknowledges the first commit's end, and tells which commits it was sent. */
async function acknowledgeNaively(metastore: Metastore, acknowledge: boolean): Promise<Commit[]> {
  const service = new LogicalReplicationService(
    { connectionString: postgres.url(metastore.database) },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  const commits: Commit[] = [];
  const caughtUp = Promise.withResolvers<void>();
  const end = await walEnd(metastore);
  service.on('data', (_lsn, message: Pgoutput.Message) => {
    if (message.tag !== 'commit') return;
    commits.push(message);
    if (acknowledge && commits.length === 1) void service.acknowledge(message.commitEndLsn ?? '');
  });
  service.on('heartbeat', (lsn) => {
    if (parseLsn(lsn) >= end) caughtUp.resolve();
  });
  service.on('error', () => {});
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [metastore.database] });
  const over = service.subscribe(plugin, metastore.database, '0/0').catch(() => {});
  await caughtUp.promise;
  await service.destroy();
  await over;
  await free(metastore);
  return commits;
}

/** The same with our stream. */
async function acknowledgeExactly(metastore: Metastore, acknowledge: boolean): Promise<Commit[]> {
  const commits: Commit[] = [];
  const caughtUp = Promise.withResolvers<void>();
  const end = await walEnd(metastore);
  const ours = Promise.withResolvers<Awaited<ReturnType<typeof openStream>>>();
  const stream = await openStream(
    metastore.config(),
    0n,
    {
      message: (message) => {
        if (message.tag !== 'commit') return;
        commits.push(message);
        if (acknowledge && commits.length === 1)
          void ours.promise.then(({ confirm }) => confirm(parseLsn(message.commitEndLsn ?? ''), false));
      },
      keepalive: (lsn) => {
        if (lsn >= end) caughtUp.resolve();
      },
      failed: caughtUp.reject,
    },
    new AbortController().signal,
  );
  ours.resolve(stream);
  await caughtUp.promise;
  if (acknowledge)
    await eventually(
      async () => parseLsn((await metastore.slot())?.confirmed ?? '0/0') >= parseLsn(commits[0]?.commitEndLsn ?? ''),
    );
  await stream.close();
  await free(metastore);
  return commits;
}

async function walEnd(metastore: Metastore): Promise<bigint> {
  const { rows: found } = await metastore.admin.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  return parseLsn(found[0]?.lsn ?? '');
}

const free = (metastore: Metastore) => eventually(async () => (await metastore.slot())?.active === false);

test('acknowledging the end of a commit by the library’s own way loses the transaction that follows without a gap', async () => {
  await using metastore = await openWithAdjacentCommits();
  expect(await acknowledgeNaively(metastore, true)).toHaveLength(2);
  expect(await acknowledgeNaively(metastore, false)).toEqual([]);
});

test('acknowledging it exactly keeps that transaction', async () => {
  await using metastore = await openWithAdjacentCommits();
  const [first, second] = await acknowledgeExactly(metastore, true);
  expect(parseLsn((await metastore.slot())?.confirmed ?? '')).toBe(parseLsn(first?.commitEndLsn ?? ''));
  expect(await acknowledgeExactly(metastore, false)).toEqual([second]);
});

test('no commit of concurrent writers is lost when the watch starts anew after every delivery', async () => {
  await using metastore = await openMetastore(postgres);
  const connector = await metastore.connector();
  await (await started(connector))[Symbol.asyncDispose]();
  const writers = await Promise.all(Array.from({ length: 8 }, () => postgres.client(metastore.database)));
  const expected = new Set<string>();
  const writing = writers.map(async (writer, index) => {
    for (let table = 0; table < 25; table++) {
      expected.add(`sales.w${index}_${table}`);
      await writer.query(`BEGIN; ${rows.create(`w${index}_${table}`)}; COMMIT`);
    }
    await writer.end();
  });
  const seen = new Set<string>();
  while (seen.size < 200) {
    await using watching = new Watching(connector);
    const delivery = await watching.next();
    for (const change of delivery.changes) seen.add(textOf(change));
    await delivery.ack();
  }
  await Promise.all(writing);
  expect([...seen].toSorted()).toEqual([...expected].toSorted());
});
