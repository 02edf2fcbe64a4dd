import { inspect } from 'node:util';
import { openRest, type RestConnector } from '../../../connectors/iceberg-rest/connector.ts';
import { HOOK_PATH } from '../../../connectors/iceberg-rest/hook.ts';
import icebergRest from '../../../connectors/iceberg-rest/index.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { openHttpServer } from '../../../src/runtime/http-server.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { connectorContract } from '../../contract/connector.contract.ts';
import { HOOK_SECRET, post } from './hook-world.ts';
import { never, PolarisWorld, SECRET, TENANT } from './world.ts';

/** A sender's pause before it tries again. */
const RETRY_MS = 50;

// Names are looked at every hour, so that only the webhook can tell of what is new.
connectorContract('iceberg-rest by webhook', async () => {
  const world = await PolarisWorld.start();
  const parts = new AsyncDisposableStack();
  parts.use(world);
  const hooks: string[] = [];
  const over = new AbortController();
  const options = { webhook: { secret: HOOK_SECRET }, poll: { list: '1h', requests_per_second: 1_000, max_age: '1h' } };
  let breaks = false;
  world.emulator.intercept(({ kind }) =>
    breaks && kind !== 'token'
      ? { status: 403, body: { error: { message: 'Denied', type: 'ForbiddenException', code: 403 } } }
      : 'pass',
  );
  /** Sends until somebody has it, as whoever forwards a catalog's events does. */
  const announce = async ({ namespace, name }: TableIdentifier): Promise<void> => {
    while (!over.signal.aborted) {
      const answers = await Promise.allSettled(hooks.map((uri) => post(uri, { namespace, table: name })));
      if (answers.some((answer) => answer.status === 'fulfilled' && answer.value.status === 202)) return;
      await systemClock.sleep(RETRY_MS, over.signal);
    }
  };
  const announced = (table: TableIdentifier) => void announce(table).catch(() => {});
  return {
    keepsNoCursor: true,
    open: async (): Promise<RestConnector> => {
      const server = parts.use(await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog }));
      hooks.push(`http://127.0.0.1:${server.port}${HOOK_PATH}`);
      return parts.use(await openRest(world.config(options), { ...world.deps, hooks: server.hooks }));
    },
    check: () => icebergRest.check(world.config(options), world.deps, never),
    table: (name) => ({ namespace: name === 'b' ? ['ops', 'eu'] : ['sales'], name }),
    create: async (table) => {
      await world.create(table);
      announced(table);
    },
    commit: async (table) => {
      await world.commit(table);
      announced(table);
    },
    drop: async (table) => {
      await world.drop(table);
      announced(table);
    },
    createUnsupported: (view) => world.createView(view),
    breakReads: async () => {
      breaks = true;
    },
    contents: async () => inspect([...world.emulator.tables('lake')], { depth: null }),
    secrets: [SECRET, TENANT, HOOK_SECRET],
    logged: () => JSON.stringify(world.log.lines),
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await parts[Symbol.asyncDispose]();
    },
  };
});
