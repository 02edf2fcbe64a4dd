import glue from '../../../connectors/glue/index.ts';
import type { TableIdentifier } from '../../../src/core/types.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { connectorContract } from '../../contract/connector.contract.ts';
import { credentialsExpired } from '../../fixtures/glue-stub.ts';
import { openGlueWorld, SECRET, SESSION_TOKEN } from './world.ts';

const databaseOf = ({ namespace: [database = ''] }: TableIdentifier) => database;

connectorContract('glue', async () => {
  const world = await openGlueWorld();
  const { stub, writer, sqs } = world;
  for (const database of ['sales', 'ops']) writer.createDatabase(database);
  return {
    open: () => world.connector(),
    check: () => glue.check(world.config(), { clock: systemClock, log: silentLog }, new AbortController().signal),
    table: (name) => ({ namespace: [name === 'b' ? 'ops' : 'sales'], name }),
    create: async (table) => void writer.create(databaseOf(table), table.name),
    commit: async (table) => void writer.commit(databaseOf(table), table.name),
    drop: async (table) => {
      writer.drop(databaseOf(table), table.name);
      // Glue shows the time of creation in whole seconds: within one, a re-created table is taken for the same.
      stub.clockSkewMs += 1_000;
    },
    rename: async (table, to) => writer.rename([databaseOf(table), table.name], [databaseOf(to), to.name]),
    createUnsupported: async (table) => writer.createView(databaseOf(table), table.name),
    breakReads: async () => {
      stub.intercept(() => credentialsExpired());
    },
    contents: async () => {
      await stub.events.flush();
      const { messages } = sqs.inspectQueue('polaris-push') ?? {};
      return JSON.stringify([[...stub.truth()], messages]);
    },
    secrets: [SECRET, SESSION_TOKEN],
    logged: () => JSON.stringify(world.events),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
});
