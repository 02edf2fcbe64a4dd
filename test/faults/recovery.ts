import type { Agent, Line } from './agent.ts';
import type { World } from './world.ts';

/** Waits until both sides are equal; resolves with how long that took, ms, by `performance.now()`. */
export async function recovered(
  world: World,
  agents: Agent | readonly Agent[],
  since = performance.now(),
): Promise<number> {
  await world.equal(agents);
  return Math.round(performance.now() - since);
}

/** The code of the error that a line of the log tells of. */
export function codeOf(line: Line): string | undefined {
  const error = line['error'];
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
}
