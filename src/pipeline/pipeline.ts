import type { Connector } from '../connector/connector.ts';
import type { RequestInbox } from '../ledger/inbox.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import type { Target } from '../polaris/target.ts';
import { supervise } from '../runtime/supervisor.ts';
import { audit } from './audit.ts';
import type { Driver } from './driver.ts';
import type { Emit } from './events.ts';
import type { Forwarder } from './forward.ts';
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
  /** By the drivers' order. */
  readonly targets: readonly Target[];
  /** Between two audits of Polaris, ms; undefined: none. */
  readonly auditEveryMs: number | undefined;
  /** One for each sink of events. */
  readonly forwarders?: readonly Forwarder[] | undefined;
  /** Between two looks for requests of operators, ms; default 1 s. */
  readonly requestsEveryMs?: number | undefined;
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
  // What was left undone is read only once it is known whether this is still the same source.
  const { promise: fenced, resolve: onFenced } = Promise.withResolvers<void>();
  until.addEventListener('abort', () => onFenced(), { once: true });
  const services = [
    ...parts.drivers.map((driver) => fenced.then(() => driver.run(until, kill))),
    followRequests(parts, until),
    ...(parts.forwarders ?? []).map((forwarder) => forwarder.run(until, kill)),
    supervise('source', (signal, healthy) => followOnce(parts, signal, { onFenced, healthy }), {
      ...parts,
      signal: until,
    }),
  ];
  // When one of them can't go on, the others finish what they have begun; then its error is the pipeline's.
  for (const service of services) service.catch(() => broken.abort());
  const results = await Promise.allSettled(services);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

type Milestones = {
  /** The source is known, and so is what it may lead to. */
  readonly onFenced: () => void;
  readonly healthy: () => void;
};

/** As `follow`, and tells when it works and why it ended. */
async function followOnce(parts: PipelineParts, signal: AbortSignal, milestones: Milestones): Promise<void> {
  const { emit } = parts;
  const healthy = () => {
    emit({ kind: 'source-up' });
    milestones.healthy();
  };
  try {
    await follow(parts, signal, { ...milestones, healthy });
  } catch (error) {
    if (!signal.aborted) emit({ kind: 'source-down', detail: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

/** Follows the source until `signal` aborts or the stream breaks: make sure of the stream, list, then watch. */
async function follow(parts: PipelineParts, signal: AbortSignal, { onFenced, healthy }: Milestones): Promise<void> {
  const { connector, clock, emit, drivers, ledger } = parts;
  const before = clock.monotonicMs();
  await connector.prepare(signal);
  if (signal.aborted) return;
  fenceReplaced(parts);
  onFenced();
  const tables = await reconcile(parts, signal);
  healthy();
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const caughtUp = async () => {
    await Promise.all(drivers.map((driver) => driver.settled(until)));
    if (until.aborted) return;
    // Work counts as settled when it is recorded; who hears of it may rely on the ledger, e.g. for the events of it.
    await ledger.append([]);
    await identify(parts);
    emit({ kind: 'caught-up', tables, tookMs: clock.monotonicMs() - before });
  };
  const services = [intake(parts, until), reconcileAgain(parts, until), auditAgain(parts, until), caughtUp()];
  try {
    // caughtUp() ends when all is delivered, the others only when the stream breaks.
    await Promise.race([services[0], services[1], services[2], rejection(services)]);
  } finally {
    ended.abort();
    await Promise.allSettled(services);
  }
}

const identityOf = ({ connector }: PipelineParts): string => `identity of ${connector.source}`;

/**
 * Another database under the old address, such as a copy restored by mistake, lacks tables that were never dropped: until
 * its first reconciliation is over, whatever is gone waits for a human.
 */
function fenceReplaced(parts: PipelineParts): void {
  const { connector, ledger, drivers, log } = parts;
  const known = ledger.position(identityOf(parts));
  const isReplaced = known !== undefined && connector.identity !== undefined && known !== connector.identity;
  if (isReplaced) log.error('source-replaced', { source: connector.source, known, found: connector.identity });
  for (const driver of drivers) driver.fence(isReplaced);
}

/** What is there now is the source from here on. */
async function identify(parts: PipelineParts): Promise<void> {
  const { connector, ledger, drivers } = parts;
  for (const driver of drivers) driver.fence(false);
  if (connector.identity === undefined) return;
  await ledger.append([{ kind: 'position', source: identityOf(parts), position: connector.identity }]);
}

async function reconcileAgain(parts: PipelineParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    await parts.clock.sleep(parts.reconcileEveryMs * (0.9 + 0.2 * parts.random()), signal);
    // A list that fails is no reason to lose the stream.
    await supervise('reconcile', async (until) => void (await reconcile(parts, until)), { ...parts, signal });
    if (signal.aborted) return;
  }
}

async function auditAgain(parts: PipelineParts, signal: AbortSignal): Promise<void> {
  const { auditEveryMs, clock, random, targets } = parts;
  while (!signal.aborted) {
    // Without audits it waits for the end, so that it doesn't end anything itself.
    await clock.sleep((auditEveryMs ?? NEVER_MS) * (0.9 + 0.2 * random()), signal);
    for (const [i, driver] of parts.drivers.entries()) {
      const target = targets[i];
      if (target === undefined || auditEveryMs === undefined || signal.aborted) continue;
      try {
        await audit({ ...parts, driver, target }, signal);
      } catch (error) {
        // The next one will do: notifications have their own way to find out that a target is down.
        if (!signal.aborted) parts.log.warn('audit-failed', { target: driver.name, error });
      }
    }
  }
}

/** The longest that a timer of Node.js takes, less a tenth. */
const NEVER_MS = 1_900_000_000;

/** Never resolves; rejects with the first of the services that does. */
const rejection = (services: readonly Promise<void>[]): Promise<never> =>
  new Promise((_resolve, reject) => {
    for (const service of services) service.catch(reject);
  });
