import { inspect } from 'node:util';
import icebergRest from '../../../connectors/iceberg-rest/index.ts';
import { connectorContract } from '../../contract/connector.contract.ts';
import { never, PolarisWorld, SECRET, TENANT } from './world.ts';

connectorContract('iceberg-rest', async () => {
  const world = await PolarisWorld.start();
  const poll = { list: '50ms', requests_per_second: 1_000, max_age: '100ms' };
  let breaks = false;
  world.emulator.intercept(({ kind }) =>
    breaks && kind !== 'token'
      ? { status: 403, body: { error: { message: 'Denied', type: 'ForbiddenException', code: 403 } } }
      : 'pass',
  );
  return {
    keepsNoCursor: true,
    open: () => world.connector({ poll }),
    check: () => icebergRest.check(world.config(), world.deps, never),
    table: (name) => ({ namespace: name === 'b' ? ['ops', 'eu'] : ['sales'], name }),
    create: async (table) => void (await world.create(table)),
    commit: async (table) => void (await world.commit(table)),
    drop: (table) => world.drop(table),
    createUnsupported: (view) => world.createView(view),
    breakReads: async () => {
      breaks = true;
    },
    contents: async () => inspect([...world.emulator.tables('lake')], { depth: null }),
    secrets: [SECRET, TENANT],
    logged: () => JSON.stringify(world.log.lines),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
});
