import type { HiveWriter } from '../../examples/quickstart/writer.ts';
import type { Agent } from './agent.ts';
import { World, type LifeOptions, type WorldOptions } from './world.ts';

export type Following = AsyncDisposable & {
  readonly world: World;
  readonly agent: Agent;
  readonly writer: HiveWriter;
};

/** A world with a table `sales.orders`, and an agent that has delivered it and streams. */
export async function following(options: Partial<WorldOptions> = {}, life: LifeOptions = {}): Promise<Following> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await World.open({ seed: 5, ...options }));
  const writer = world.writers.locking;
  await writer.createNamespace('sales');
  await writer.createTable('sales.orders');
  const agent = opened.use(world.agent(life));
  await agent.caughtUp();
  await agent.logged('stream-started');
  await world.equal(agent);
  const parts = opened.move();
  return { world, agent, writer, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
