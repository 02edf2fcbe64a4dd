import type { Connector, ConnectorDeps } from '../../src/connector/connector.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Announced } from './announced.ts';
import { openAws } from './aws.ts';
import type { GlueConfig } from './config.ts';
import type { Origin } from './decode.ts';
import { EventIntake } from './intake.ts';
import { KnownTables } from './known.ts';
import { listTables } from './list.ts';
import { QueueMeter } from './queue-meter.ts';
import type { GlueFigures } from './meter.ts';
import { prepareQueue, type QueueMemory } from './prepare.ts';
import { Resolver, type DatabaseReasons } from './resolve.ts';
import { Receives, watchQueue } from './watch.ts';

/** A connector that also tells its figures. */
export type GlueConnector = Connector & { figures(): GlueFigures };

/** Makes the clients; asks AWS nothing yet. Throws `PushError`. */
export async function openGlue(config: GlueConfig, deps: ConnectorDeps): Promise<GlueConnector> {
  const aws = await openAws(config, deps);
  const { queue, meter, region } = aws;
  const known = new KnownTables();
  const databases: DatabaseReasons = new Map();
  const announced = new Announced(config.confirmAfterMs, deps.clock);
  const memory: QueueMemory = { redrives: false, warned: new Set() };
  const receives = new Receives(deps.clock);
  const queueMeter = queue === undefined ? undefined : new QueueMeter(queue, deps);
  let { account } = aws.place;
  const origin = (): Origin => {
    const accounts = config.accounts ?? (account === undefined ? undefined : [account]);
    return { region, accounts, catalogId: config.catalogId };
  };
  const events = new EventIntake({ config, deps, meter, known, announced, origin });
  const resolver = new Resolver({ config, deps, aws, known, databases, announced });
  const onAccount = (found: string) => {
    account ??= found;
  };
  return {
    source: `glue:${region}/${config.catalogId ?? 'default'}`,
    prepare: (signal) => prepareQueue(queue, memory, deps, signal),
    list: (signal) => listTables({ config, deps, aws, known, databases, onAccount }, signal),
    watch: (_after, signal) => {
      if (queue === undefined) throw new PushError('SQS_QUEUE_NOT_SET', 'There is nothing to watch.');
      return watchQueue({ config, deps, queue, meter, events, announced, memory, receives }, signal);
    },
    resolve: (tables, signal) => resolver.resolve(tables, signal),
    figures: () => meter.figures(),
    measure: async (signal) => {
      const depth = await queueMeter?.measure(signal);
      const { calls: requests, throttled, clockSkewMs } = meter.figures();
      return { requests, throttled, clockSkewMs, queue: depth };
    },
    [Symbol.asyncDispose]: async () => {
      announced[Symbol.dispose]();
      await receives[Symbol.asyncDispose]();
      aws.close();
    },
  };
}
