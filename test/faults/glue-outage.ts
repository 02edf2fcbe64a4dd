import { systemClock } from '../../src/runtime/clock.ts';
import { openMirrorWorld } from '../connectors/glue/agent.ts';

export type GlueOutageOptions = {
  /** How long Polaris is away. */
  readonly outageMs: number;
  /** Seconds. The outage must last for several of them. */
  readonly visibilityTimeout: number;
  readonly tables: number;
  /** Between two commits, ms. */
  readonly pauseMs: number;
};

export type GlueOutageResult = {
  readonly commits: number;
  readonly received: number;
  readonly deleted: number;
  readonly receivesPerMessage: number;
  /** The most messages that were in the queue at any look, visible or hidden. */
  readonly mostInQueue: number;
  readonly notificationsAfter: number;
  /** From Polaris's return until it was equal. */
  readonly equalAfterMs: number;
};

const LOOK_MS = 50;

/**
 * Polaris is away while commits go on: messages are recorded and deleted as if it were there. Rejects if it isn't equal
 * soon after its return. SQS hides messages in real time, so the outage is told in visibility timeouts: ten minutes are
 * five of the default's two minutes.
 */
export async function glueOutage(options: GlueOutageOptions): Promise<GlueOutageResult> {
  await using world = await openMirrorWorld();
  const { writer, stub } = world;
  writer.createDatabase('sales');
  for (let i = 0; i < options.tables; i++) writer.create('sales', `t${i}`);
  let notifications = 0;
  await using agent = await world.startAgent({
    source: { visibility_timeout: `${options.visibilityTimeout}s` },
    onEvent: (event) => {
      if (event.kind === 'notified' && event.outcome.kind === 'admitted') notifications += 1;
    },
  });
  await agent.caughtUp();
  await stub.events.flush();
  while (world.counts().visible + world.counts().hidden > 0) await systemClock.sleep(LOOK_MS);
  const start = agent.connector.figures();
  await world.polaris.pause();
  const before = notifications;
  const until = performance.now() + options.outageMs;
  let commits = 0;
  let mostInQueue = 0;
  while (performance.now() < until) {
    writer.commit('sales', `t${commits++ % options.tables}`);
    await systemClock.sleep(options.pauseMs);
    const { visible, hidden } = world.counts();
    mostInQueue = Math.max(mostInQueue, visible + hidden);
  }
  await stub.events.flush();
  await world.polaris.resume();
  const returned = performance.now();
  while (world.differences().length > 0) {
    if (performance.now() - returned > 60_000) throw new Error(world.differences().slice(0, 20).join('\n'));
    await systemClock.sleep(LOOK_MS);
  }
  while (world.counts().visible + world.counts().hidden > 0) await systemClock.sleep(LOOK_MS);
  const end = agent.connector.figures();
  const received = end.received - start.received;
  return {
    commits,
    received,
    deleted: end.deleted - start.deleted,
    receivesPerMessage: received / commits,
    mostInQueue,
    notificationsAfter: notifications - before,
    equalAfterMs: performance.now() - returned,
  };
}
