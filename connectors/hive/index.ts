import type { Connector, ConnectorDefinition, ConnectorDeps } from '../../src/connector/connector.ts';
import { checkSource } from './check.ts';
import { hiveConfig, type HiveConfig } from './config.ts';
import { SlotMeter } from './figures.ts';
import { listTables } from './list.ts';
import { maxLsn } from './lsn.ts';
import { NameMap } from './names.ts';
import { describeConnection, QueryPool, withConnection } from './postgres.ts';
import { prepareStream } from './prepare.ts';
import { Resolver } from './resolve.ts';
import { identityOf } from './server.ts';
import { Vetting } from './vetting.ts';
import { watchChanges, type StreamMemory } from './watch.ts';

/** A Hive Metastore on PostgreSQL, followed by logical replication of ids and names and read by SQL. */
const hive: ConnectorDefinition<HiveConfig> = {
  kind: 'hive',
  config: hiveConfig,
  check: checkSource,
  open: async (config, deps) => openHive(config, deps),
};

export default hive;

function openHive(config: HiveConfig, deps: ConnectorDeps): Connector {
  const { host, port, database } = describeConnection(config);
  const names = new NameMap();
  const memory: StreamMemory = {
    prepared: undefined,
    confirmed: 0n,
    ownPid: undefined,
    slotStuck: false,
    durable: undefined,
  };
  const identity = () => memory.prepared && identityOf(memory.prepared.incarnation);
  const vetting = new Vetting(identity);
  const pool = new QueryPool(config, vetting);
  const resolver = new Resolver(config, pool);
  const meter = new SlotMeter({ slot: config.slot, pool, clock: deps.clock, durable: () => memory.durable?.() });
  return {
    source: `hive:${host}:${port}/${database}/${config.catalog}`,
    get identity() {
      return identity();
    },
    prepare: async (signal) => {
      const connection = { doing: 'preparing the stream', timeoutMs: config.queryTimeoutMs, signal };
      const { ownPid, slotStuck } = memory;
      memory.prepared = await withConnection(config, connection, (client) =>
        prepareStream(client, config, { database, ownPid, slotStuck, signal, ...deps }),
      );
      const { confirmedFlush } = memory.prepared;
      memory.confirmed = ownPid === undefined ? confirmedFlush : maxLsn(memory.confirmed, confirmedFlush);
      memory.slotStuck = false;
    },
    list: (signal) => listTables(config, { names, vetting }, signal),
    watch: (after, signal) => watchChanges({ config, deps, database, names, resolver, pool, memory }, after, signal),
    resolve: (tables, signal) => resolver.resolve(tables, signal),
    measure: (signal) => meter.measure(signal),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
