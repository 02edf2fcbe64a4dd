import { expect, test } from 'vitest';
import { World } from './world.ts';

type Sent = { table: string; type: 'CREATE' | 'UPDATE' | 'DROP'; timestamp: number; location?: string };

/** Sends notifications to the world's Polaris by hand. */
async function sender(world: World) {
  const api = `${world.emulator.uri}/api/catalog/v1`;
  const login = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: 'root',
    client_secret: 's3cr3t',
    scope: 'PRINCIPAL_ROLE:ALL',
  });
  const answer = await fetch(`${api}/oauth/tokens`, { method: 'POST', body: login });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  return async ({ table, type, timestamp, location }: Sent) => {
    const [namespace, name] = table.split('.');
    const payload = {
      'table-name': name,
      timestamp,
      'table-uuid': '00000000-0000-0000-0000-000000000000',
      'metadata-location': location,
      metadata: null,
    };
    const response = await fetch(`${api}/hive_mirror/namespaces/${namespace}/tables/${name}/notifications`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ 'notification-type': type, payload }),
    });
    return response.status;
  };
}

test('the witness of the fault tests sees a timestamp that does not grow and the DROP of a living table', async () => {
  await using world = await World.open({ seed: 1 });
  const { locking } = world.writers;
  await locking.createNamespace('sales');
  const location = await locking.createTable('sales.a');
  const send = await sender(world);
  const now = Date.now() + 1_000;

  expect(await send({ table: 'sales.a', type: 'CREATE', timestamp: now, location })).toBe(204);
  expect(world.witness.violations).toEqual([]);
  await send({ table: 'sales.a', type: 'UPDATE', timestamp: now, location });
  expect(world.witness.violations).toEqual([`UPDATE sales.a has timestamp ${now} after ${now}.`]);
  await send({ table: 'sales.a', type: 'DROP', timestamp: now + 1 });
  expect(world.witness.violations).toHaveLength(2);
  expect(world.witness.violations[1]).toMatch(/^DROP sales\.a of \d+: the table has been alive since \d+\.$/);

  await locking.dropTable('sales.a');
  await send({ table: 'sales.a', type: 'DROP', timestamp: now + 2 });
  expect(world.witness.violations).toHaveLength(2);
  expect([...world.witness.admitted]).toEqual([
    ['CREATE', 1],
    ['DROP', 2],
  ]);
});
