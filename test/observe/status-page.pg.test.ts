import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from '../../examples/quickstart/postgres.ts';
import type { NotificationAnswer, StatusAnswer, TableAnswer, TablesAnswer } from '../../src/observe/api-schema.ts';
import { blocksOf } from '../docs/blocks.ts';
import { Agent } from '../faults/agent.ts';
import { CATALOG, eventually, openWorld } from '../pipeline/world.ts';

const exec = promisify(execFile);

const TOKEN = 'MARKED-token-of-the-server';
const ADMIN = 'MARKED-token-of-admins';

test('a running agent shows how it stands, and lets a held DROP go when the page asks', async () => {
  await using world = await openWorld();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-page-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const auth = { client_id: 'root', client_secret: 's3cr3t' };
  const config = {
    source: { kind: 'hive', connection: world.postgres.url() },
    targets: [{ name: 'main', uri: `${world.polaris.uri}/api/catalog`, catalog: CATALOG, auth }],
    ledger: { path: join(folder, 'ledger.db') },
    drops: { mode: 'report' },
    http: { listen: `127.0.0.1:${port}`, token: TOKEN, admin_token: ADMIN },
  };
  const file = join(folder, 'polaris-push.yaml');
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const headers = { authorization: `Bearer ${TOKEN}` };
  const ask = (path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { ...headers, ...init.headers } });
  const get = async <T>(path: string) => (await (await ask(`/api/v1/${path}`)).json()) as T;

  await world.writer.createNamespace('sales');
  await world.writer.createTable('sales.orders');
  const agent = stack.use(new Agent({ file }));
  await agent.caughtUp();

  const page = await ask('/');
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<title>polaris-push</title>')]);
  // What it shows may be a moment old.
  await eventually(async () => {
    const { targets } = await get<StatusAnswer>('status');
    return targets[0]?.tables.delivered === 1 ? undefined : JSON.stringify(targets);
  }, 40_000);
  const status = await get<StatusAnswer>('status');
  expect(status).toMatchObject({
    admin: true,
    source: { kind: 'hive', state: 'following' },
    targets: [{ name: 'main', state: 'up', tables: { entries: 1, delivered: 1, held: 0 }, admitted: 1 }],
    ledger: { state: 'open' },
  });
  expect(JSON.stringify(status)).not.toContain('MARKED');
  expect(await get<TableAnswer>('table?name=sales.orders')).toMatchObject({
    targets: [{ state: 'delivered', delivered: { type: 'CREATE' } }],
    notifications: [
      { type: 'CREATE', outcome: 'admitted' },
      { type: 'VALIDATE', outcome: 'admitted' },
    ],
  });

  await world.writer.dropTable('sales.orders');
  await eventually(async () => {
    const { tables } = await get<TablesAnswer>('tables?state=held');
    const { targets } = await get<StatusAnswer>('status');
    return tables.length === 1 && targets[0]?.tables.held === 1 ? undefined : JSON.stringify([tables, targets]);
  }, 40_000);
  // As the page of the documentation shows it.
  const [shown = ''] = blocksOf('sh').flatMap(({ page: path, text }) => (path === 'docs/status-page.md' ? [text] : []));
  const script = shown.replaceAll('127.0.0.1:9184', `127.0.0.1:${port}`);
  const { stdout } = await exec('sh', ['-ec', script], { env: { ...process.env, TOKEN, ADMIN_TOKEN: ADMIN } });
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toMatchObject([{ source: { state: 'following' }, targets: [{ tables: { held: 1 } }] }, { tables: 1 }]);
  await world.equal();
  await eventually(async () => {
    const { notifications } = await get<{ notifications: NotificationAnswer[] }>('notifications?limit=1');
    return notifications[0]?.type === 'DROP' ? undefined : JSON.stringify(notifications);
  }, 40_000);
  expect((await get<TableAnswer>('table?name=sales.orders')).targets).toMatchObject([{ state: 'dropped' }]);
  expect(agent.log.filter(({ event }) => event === 'admin-request')).toMatchObject([{ kind: 'release', tables: 1 }]);
  expect(agent.tail()).not.toContain('MARKED');
  expect(await agent.stop()).toBe(0);
});
