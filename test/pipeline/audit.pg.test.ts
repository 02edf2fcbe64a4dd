import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PipelineEvent } from '../../src/pipeline/events.ts';
import { CATALOG, openWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.writer.createNamespace('sales');
  for (const name of ['a', 'b', 'c', 'd']) await world.writer.createTable(`sales.${name}`);
});
afterAll(() => world[Symbol.asyncDispose]());

type Audited = PipelineEvent & { kind: 'audited' };

test('an audit brings back what another hand dropped or changed in Polaris, and counts foreign tables only', async () => {
  {
    await using agent = await world.startAgent();
    await agent.caughtUp();
    await world.equal();
  }
  await world.asAdministrator('DELETE', `namespaces/sales/tables/a`);
  await world.asAdministrator('DELETE', `namespaces/sales/tables/b`);
  const location = [...world.polaris.tables(CATALOG).values()][0]!.metadataLocation;
  await world.asAdministrator('POST', `namespaces/sales/register`, { name: 'b', 'metadata-location': location });
  await world.asAdministrator('POST', `namespaces/sales/register`, { name: 'foreign', 'metadata-location': location });
  const loads: string[] = [];
  world.polaris.onRequest(({ kind, status }) => {
    if (kind === 'load') loads.push(String(status));
  });
  await using agent = await world.startAgent({ overrides: { reconcile: { audit: '200ms' } } });
  const first = await agent.until((event): event is Audited => event.kind === 'audited');
  expect(first).toMatchObject({ tables: 5, drift: { missing: 1, stale: 1, foreign: 1 } });
  const last = await agent.until(
    (event): event is Audited => event.kind === 'audited' && JSON.stringify(event.drift) === '{"foreign":1}',
  );
  expect(last.tables).toBe(5);
  // Equal tables cost a conditional GET without metadata; only the stale one was loaded.
  expect(loads.filter((status) => status === '200')).toHaveLength(1);
  expect(loads.filter((status) => status === '304').length).toBeGreaterThan(4);
  await world.asAdministrator('DELETE', `namespaces/sales/tables/foreign`);
  await world.equal();
});
