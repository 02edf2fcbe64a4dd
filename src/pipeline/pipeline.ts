import type { Connector } from '../connector/connector.ts';
import type { RequestInbox } from '../ledger/inbox.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import { supervise } from '../runtime/supervisor.ts';
import type { Driver } from './driver.ts';
import type { Emit } from './events.ts';
import { intake } from './intake.ts';
import { reconcile } from './reconcile.ts';
import { followRequests } from './requests.ts';

export type PipelineParts = {
  readonly connector: Connector;
  readonly ledger: Ledger & RequestInbox;
  readonly drivers: readonly Driver[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly emit: Emit;
  /** Between two reconciliations, ms; each is moved by up to a tenth, so that many agents don't list together. */
  readonly reconcileEveryMs: number;
};

/**
 * The whole path: the source's hints are recorded, acknowledged and turned into lanes; each lane reads the fact, decides,
 * records its intent, notifies, and records the outcome. Runs until `stop` aborts and what was under way is recorded;
 * `kill` ends it at once. A source that fails is followed anew, with backoff; a ledger that fails ends everything.
 */
export async function runPipeline(parts: PipelineParts, stop: AbortSignal, kill: AbortSignal): Promise<void> {
  const broken = new AbortController();
  const until = AbortSignal.any([stop, broken.signal]);
  for (const driver of parts.drivers) driver.restore();
  const services = [
    ...parts.drivers.map((driver) => driver.run(until, kill)),
    followRequests(parts, until),
    supervise('source', (signal, healthy) => follow(parts, signal, healthy), { ...parts, signal: until }),
  ];
  // When one of them can't go on, the others finish what they have begun; then its error is the pipeline's.
  for (const service of services) service.catch(() => broken.abort());
  const results = await Promise.allSettled(services);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

/** Follows the source until `signal` aborts or the stream breaks: make sure of the stream, list, then watch. */
async function follow(parts: PipelineParts, signal: AbortSignal, healthy: () => void): Promise<void> {
  const { connector, clock, emit, drivers } = parts;
  const before = clock.monotonicMs();
  await connector.prepare(signal);
  if (signal.aborted) return;
  const tables = await reconcile(parts, signal);
  healthy();
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const caughtUp = async () => {
    await Promise.all(drivers.map((driver) => driver.settled(until)));
    if (!until.aborted) emit({ kind: 'caught-up', tables, tookMs: clock.monotonicMs() - before });
  };
  const services = [intake(parts, until), reconcileAgain(parts, until), caughtUp()];
  try {
    // caughtUp() ends when all is delivered, the others only when the stream breaks.
    await Promise.race([services[0], services[1], rejection(services)]);
  } finally {
    ended.abort();
    await Promise.allSettled(services);
  }
}

async function reconcileAgain(parts: PipelineParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    await parts.clock.sleep(parts.reconcileEveryMs * (0.9 + 0.2 * parts.random()), signal);
    // A list that fails is no reason to lose the stream.
    await supervise('reconcile', async (until) => void (await reconcile(parts, until)), { ...parts, signal });
    if (signal.aborted) return;
  }
}

/** Never resolves; rejects with the first of the services that does. */
const rejection = (services: readonly Promise<void>[]): Promise<never> =>
  new Promise((_resolve, reject) => {
    for (const service of services) service.catch(reject);
  });
