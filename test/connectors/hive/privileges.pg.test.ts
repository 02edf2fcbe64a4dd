import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import hive from '../../../connectors/hive/index.ts';
import { freePort, startPostgres, type Postgres } from '../../../examples/quickstart/postgres.ts';
import { PushError } from '../../../src/errors/errors.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { all, eventually, listed, openMetastore, rows, started, type Metastore } from './metastore.ts';

const { signal } = new AbortController();
const PASSWORD = 'correct horse/battery@staple';
const ROLE = 'polaris_push';
const SETUP = readFileSync(new URL('../../../examples/hive-sidecar/setup.sql', import.meta.url), 'utf8');

let postgres: Postgres;
beforeAll(async () => {
  postgres = await startPostgres({ major: 15 });
  // Everybody but the superuser needs a password.
  const hba = join(postgres.dataDir, 'pg_hba.conf');
  writeFileSync(hba, 'host all postgres 127.0.0.1/32 trust\n');
  appendFileSync(hba, 'host all all 127.0.0.1/32 scram-sha-256\n');
  const root = await postgres.client();
  await root.query('SELECT pg_reload_conf()');
  await eventually(async () => {
    const { rows: rules } = await root.query<{ method: string }>('SELECT auth_method AS method FROM pg_hba_file_rules');
    return rules.length === 2;
  });
  await root.end();
});
afterAll(async () => postgres[Symbol.asyncDispose]());

/** A metastore that is set up as the example says, by the owner of its tables. */
async function openSetUp(): Promise<Metastore> {
  const metastore = await openMetastore(postgres);
  const setup = SETUP.replace(':password', `'${PASSWORD}'`).replaceAll(
    /^CREATE ROLE .*$/gm,
    (line) => `DO $$ BEGIN ${line} EXCEPTION WHEN duplicate_object THEN NULL; END $$;`,
  );
  await metastore.admin.query(setup);
  return metastore;
}

const asRole = (metastore: Metastore, password = PASSWORD) => ({
  connection: postgres.url(metastore.database, ROLE, password),
  publication: 'polaris_push',
});

const findings = (metastore: Metastore, changes: Record<string, unknown>) =>
  all(hive.check(metastore.config(changes), { clock: systemClock, log: silentLog }, signal));

describe('the role of examples/hive-sidecar/setup.sql', () => {
  test('may do all that is needed, and the preflight agrees', async () => {
    await using metastore = await openSetUp();
    await metastore.transact(rows.create('a'));
    const wrong = (await findings(metastore, asRole(metastore))).filter(({ level }) => level === 'error');
    expect(wrong).toEqual([]);
    const connector = await metastore.connector(asRole(metastore));
    await using watching = await started(connector);
    expect(await listed(connector)).toMatchObject([{ kind: 'present', table: { name: 'a' } }]);
    await metastore.transact(rows.commit('a', 1));
    expect(await watching.until('sales.a')).toEqual(['sales.a']);
    expect(await connector.resolve([{ namespace: ['sales'], name: 'a' }], signal)).toMatchObject([
      { metadataLocation: 'file:/m/a/1' },
    ]);
  });

  test('may not write to the metastore', async () => {
    await using metastore = await openSetUp();
    await metastore.transact(rows.create('a'));
    const role = await postgres.client(metastore.database);
    await role.query(`SET ROLE ${ROLE}`);
    await expect(role.query(rows.commit('a', 1))).rejects.toThrow('permission denied');
    await role.end();
  });

  test('without the publication is told which SQL its owner runs', async () => {
    await using metastore = await openSetUp();
    await metastore.admin.query('DROP PUBLICATION polaris_push');
    const error = await (
      await metastore.connector(asRole(metastore))
    )
      .prepare(signal)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'HIVE_PUBLICATION_MISSING' });
    const found = (await findings(metastore, asRole(metastore))).find(({ subject }) => subject === 'publication');
    expect(found).toMatchObject({ level: 'error', fix: (error as PushError).fix });
    await metastore.admin.query((error as PushError).fix.replace(/^[^:]*: /, ''));
    await (await metastore.connector(asRole(metastore))).prepare(signal);
  });

  test('without REPLICATION is told who gives it', async () => {
    await using metastore = await openSetUp();
    await metastore.admin.query(`ALTER ROLE ${ROLE} NOREPLICATION`);
    const found = (await findings(metastore, asRole(metastore))).find(({ subject }) => subject === 'role');
    expect(found).toMatchObject({
      level: 'error',
      fix: expect.stringContaining('ALTER ROLE "polaris_push" REPLICATION;') as string,
    });
    await expect((await metastore.connector(asRole(metastore))).prepare(signal)).rejects.toMatchObject({
      code: 'HIVE_PRIVILEGE_MISSING',
    });
    await metastore.admin.query(`ALTER ROLE ${ROLE} REPLICATION`);
  });

  test('without a privilege on a column never takes a table for absent', async () => {
    await using metastore = await openSetUp();
    await metastore.transact(rows.create('a'));
    const connector = await metastore.connector(asRole(metastore));
    const table = { namespace: ['sales'], name: 'a' };
    await metastore.admin.query(`REVOKE SELECT ("PARAM_VALUE") ON "TABLE_PARAMS" FROM ${ROLE}`);
    await expect(connector.resolve([table], signal)).rejects.toMatchObject({ code: 'HIVE_PRIVILEGE_MISSING' });
    await expect(listed(connector)).rejects.toMatchObject({ code: 'HIVE_PRIVILEGE_MISSING' });
    const found = (await findings(metastore, asRole(metastore))).find(({ level }) => level === 'error');
    expect(found).toMatchObject({ subject: 'TABLE_PARAMS', detail: expect.stringContaining('PARAM_VALUE') as string });
    await metastore.admin.query((found?.fix ?? '').replace(/^[^:]*: /, ''));
    expect(await connector.resolve([table], signal)).toMatchObject([{ kind: 'present' }]);
  });

  test('from which row-level security hides rows never takes a table for absent', async () => {
    await using metastore = await openSetUp();
    await metastore.transact(rows.create('a'));
    const connector = await metastore.connector(asRole(metastore));
    await metastore.admin.query('ALTER TABLE "TBLS" ENABLE ROW LEVEL SECURITY');
    const denied = { code: 'HIVE_PRIVILEGE_MISSING', message: expect.stringContaining('Row-level security') as string };
    await expect(connector.resolve([{ namespace: ['sales'], name: 'a' }], signal)).rejects.toMatchObject(denied);
    await expect(listed(connector)).rejects.toMatchObject(denied);
    await expect(connector.prepare(signal)).rejects.toMatchObject(denied);
    const found = (await findings(metastore, asRole(metastore))).find(({ level }) => level === 'error');
    expect(found).toMatchObject({ subject: 'TBLS', fix: expect.stringContaining('BYPASSRLS') as string });
  });

  test('that row-level security concerns no more sees all rows on connections that it already had', async () => {
    await using metastore = await openSetUp();
    await metastore.transact(rows.create('a'));
    const connector = await metastore.connector(asRole(metastore));
    const table = { namespace: ['sales'], name: 'a' };
    expect(await connector.resolve([table], signal)).toMatchObject([{ kind: 'present' }]);
    await metastore.admin.query('ALTER TABLE "TBLS" ENABLE ROW LEVEL SECURITY');
    await expect(connector.resolve([table], signal)).rejects.toMatchObject({ code: 'HIVE_PRIVILEGE_MISSING' });
    await metastore.admin.query(`ALTER ROLE ${ROLE} BYPASSRLS`);
    try {
      expect(await connector.resolve([table], signal)).toMatchObject([{ kind: 'present' }]);
    } finally {
      await metastore.admin.query(`ALTER ROLE ${ROLE} NOBYPASSRLS`);
    }
  });
});

describe('a connection that can’t be made', () => {
  const failures: [string, (metastore: Metastore) => Promise<string> | string, string, number][] = [
    ['a wrong password', ({ database }) => postgres.url(database, ROLE, 'wrong-secret'), 'HIVE_LOGIN_REFUSED', 4],
    ['an unknown role', ({ database }) => postgres.url(database, 'nobody', 'wrong-secret'), 'HIVE_LOGIN_REFUSED', 4],
    ['an unknown database', () => postgres.url('nowhere', ROLE, PASSWORD), 'HIVE_DATABASE_UNKNOWN', 2],
    [
      'a port on which nobody listens',
      async () => `postgresql://${ROLE}:wrong-secret@127.0.0.1:${await freePort()}/x`,
      'HIVE_UNREACHABLE',
      4,
    ],
    ['a host that doesn’t exist', () => `postgresql://${ROLE}:wrong-secret@nowhere.invalid/x`, 'HIVE_UNREACHABLE', 4],
    [
      'a server without TLS',
      ({ database }) => `${postgres.url(database, ROLE, PASSWORD)}?sslmode=verify-full`,
      'HIVE_TLS',
      4,
    ],
  ];
  test.each(failures)('for %s gives one clear error without the password', async (_, url, code, exitCode) => {
    await using metastore = await openSetUp();
    const changes = { ...asRole(metastore), connection: await url(metastore) };
    const connector = await metastore.connector(changes);
    const attempts = [
      () => connector.prepare(signal),
      () => listed(connector),
      () => connector.resolve([{ namespace: ['sales'], name: 'a' }], signal),
      async () => connector.watch(undefined, signal)[Symbol.asyncIterator]().next(),
    ];
    for (const attempt of attempts) {
      const error: unknown = await attempt().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(PushError);
      expect(error).toMatchObject({ code, spec: { exitCode } });
      const text = `${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)} ${(error as Error).stack}`;
      expect(text).not.toContain('wrong-secret');
      expect(text).not.toContain('battery');
    }
    expect(await findings(metastore, changes)).toMatchObject([{ level: 'error', subject: 'connection', code }]);
  });

  test('for a certificate file that can’t be read names the file and not the password', async () => {
    await using metastore = await openSetUp();
    const connection = `${postgres.url(metastore.database, ROLE, PASSWORD)}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem`;
    const error: unknown = await metastore.connector({ connection }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'HIVE_CONNECTION',
      message: expect.stringContaining('/nowhere/ca.pem') as string,
    });
    expect(String(error)).not.toContain('battery');
    expect(await findings(metastore, { connection })).toMatchObject([{ level: 'error', code: 'HIVE_CONNECTION' }]);
  });
});
