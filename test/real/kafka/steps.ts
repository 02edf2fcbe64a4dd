import { maintenanceService } from './maintenance-service.ts';
import { until } from '../child.ts';
import { CONTENT_TYPE, eventOf, judgeLast, judgeOrder, judgeRecord, keyOf } from './judge.ts';
import { PARTITIONS, type Session } from './session.ts';

/** One thing that must hold; resolves with what it found, throws when it doesn't. */
export type Step = { readonly name: string; readonly run: (session: Session) => Promise<string> };

const TARGET = 'main';
const BURST = { tables: 12, commits: 12 };
/** An hour of the agent's clock goes by in a minute. */
const OUTAGE = { agentMs: 60 * 60_000, speed: 60, tables: 10, pauseMs: 100 };
/** What a table of the metastore may be called at most. */
const LONG_NAME = `sales.${'x'.repeat(120)}`;

/** Waits until Kafka has every admitted notification of the agent so far, in a topic that gets each. */
async function allArrived(session: Session): Promise<void> {
  const { agent, records } = session;
  await until(
    'every event is in its topic',
    () => {
      agent.check();
      const ids = new Set(records.every.map((record) => eventOf(record).id));
      return agent.admitted.every(({ table, timestamp }) => ids.has(`${TARGET}/${timestamp}/${keyOf(table)}`));
    },
    { timeoutMs: 90_000, everyMs: 200 },
  );
}

async function latestArrived(session: Session, sinks: readonly ('latest' | 'bounded')[]): Promise<void> {
  const truth = await session.truth();
  for (const sink of sinks) {
    await until(
      `the last event of every table is in ${sink}`,
      () => {
        const told = new Set(session.records[sink].map((record) => eventOf(record).data['metadata-location']));
        return [...truth.values()].every((location) => told.has(location));
      },
      { timeoutMs: 90_000, everyMs: 200 },
    );
    judgeOrder(session.records[sink]);
    judgeLast(session.records[sink], truth);
  }
}

async function payload(session: Session): Promise<string> {
  const { writer, agent, records, access } = session;
  await writer.createNamespace('sales');
  const tables = ['orders', 'items', 'größe', 'gone'].map((name) => `sales.${name}`);
  for (const table of tables) await writer.createTable(table, { appendedFiles: 1 });
  await session.mirrored();
  for (const table of tables) await writer.commit(table);
  await session.mirrored();
  await writer.dropTable('sales.gone');
  await session.mirrored(['sales.gone']);
  await allArrived(session);
  const byId = new Map(agent.admitted.map((one) => [`${TARGET}/${one.timestamp}/${keyOf(one.table)}`, one]));
  for (const record of records.every) {
    const { id } = eventOf(record);
    const admitted = byId.get(id);
    if (admitted === undefined) throw new Error(`Nothing was admitted that ${id} could tell of.`);
    judgeRecord(record, admitted, { uri: access.uri, catalog: access.catalog, target: TARGET });
  }
  const types = new Set(agent.admitted.map(({ type }) => type));
  if (types.size !== 3) throw new Error(`Only ${[...types].join(', ')} were admitted.`);
  return `${records.every.length} events, each as designed, with ${CONTENT_TYPE.replace(':', ': ')}`;
}

async function order(session: Session): Promise<string> {
  const { writer } = session;
  const tables = Array.from({ length: BURST.tables }, (_, i) => `sales.t${i}`);
  await Promise.all(
    tables.map(async (table) => {
      await writer.createTable(table, { appendedFiles: 1 });
      for (let commit = 0; commit < BURST.commits; commit += 1) await writer.commit(table);
    }),
  );
  await session.mirrored();
  await allArrived(session);
  const { events, doubled } = judgeOrder(session.records.every);
  judgeLast(session.records.every, await session.truth());
  await latestArrived(session, ['latest', 'bounded']);
  return `${events} events in the order of their tables, ${doubled} doubled`;
}

async function partitions({ kafka, records }: Session): Promise<string> {
  const ours = new Map(records.every.map(({ key, partition }) => [key, partition]));
  const theirs = new Map<string, number>();
  await kafka.createTopic('by-kafka', PARTITIONS);
  await using _ = kafka.consume('by-kafka', ({ key, partition }) => theirs.set(key, partition));
  await kafka.produce('by-kafka', [...ours.keys()]);
  await until('Kafka has its own records', () => theirs.size === ours.size);
  const other = [...ours].filter(([key, partition]) => theirs.get(key) !== partition);
  if (other.length > 0) throw new Error(`Kafka's own producer would put ${other.join(' and ')} elsewhere.`);
  const used = new Set(ours.values()).size;
  if (used !== PARTITIONS) throw new Error(`${used} of ${PARTITIONS} partitions are used.`);
  return `${ours.size} tables in ${used} partitions, each where Kafka's own producer puts its key`;
}

async function tooLarge(session: Session): Promise<string> {
  const { writer, agent, records } = session;
  await Promise.all([
    writer.createTable(LONG_NAME, { appendedFiles: 1 }),
    ...[0, 1, 2, 3].map((i) => writer.createTable(`sales.short${i}`, { appendedFiles: 1 })),
  ]);
  await session.mirrored();
  await allArrived(session);
  await until('one event is refused', async () => (await session.standing()).narrow.refused === 1);
  const refused = (await agent.command('events', 'list')).filter(({ event }) => event === 'refused');
  const [{ sink, table, reason } = { sink: '', table: '', reason: '' }] = refused;
  if (refused.length !== 1 || sink !== 'narrow' || table !== LONG_NAME || !String(reason).includes('MESSAGE_TOO_LARGE'))
    throw new Error(`events list tells ${JSON.stringify(refused)}.`);
  await until('the events around it are in the topic', () => {
    const keys = new Set(records.narrow.map(({ key }) => key));
    return [0, 1, 2, 3].every((i) => keys.has(keyOf(`sales.short${i}`)));
  });
  return "refused, listed with its reason, and in nobody's way";
}

/** Commits to one table after the other, and how long each takes until the agent says that Polaris admitted it, ms. */
async function commits(session: Session, tables: readonly string[], going: () => boolean): Promise<number[]> {
  const { writer, agent } = session;
  const tookMs: number[] = [];
  for (let i = 0; going(); i += 1) {
    const location = await writer.commit(tables[i % tables.length] ?? '');
    const beforeMs = performance.now();
    await until('the commit is admitted', () => agent.admitted.some((one) => one.location === location), {
      everyMs: 2,
    });
    tookMs.push(performance.now() - beforeMs);
    await new Promise((resolve) => {
      setTimeout(resolve, OUTAGE.pauseMs);
    });
  }
  return tookMs.toSorted((a, b) => a - b);
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

/** So much longer a notification may take while Kafka is away: the noise of a busy machine, no timeout of a broker. */
const tolerated = (beforeMs: number): number => 3 * beforeMs + 100;

async function outage(session: Session): Promise<string> {
  const { kafka, clock, agent, writer, records } = session;
  const tables = Array.from({ length: OUTAGE.tables }, (_, i) => `sales.o${i}`);
  for (const table of tables) await writer.createTable(table, { appendedFiles: 1 });
  await session.mirrored();
  await allArrived(session);
  let left = 50;
  const before = await commits(session, tables, () => left-- > 0);
  await allArrived(session);
  const [had, seen] = [records.every.length, agent.admitted.length];

  await kafka.stop('SIGKILL');
  const sinceMs = clock.monotonicMs();
  clock.setSpeed(OUTAGE.speed);
  const during = await commits(session, tables, () => clock.monotonicMs() - sinceMs < OUTAGE.agentMs / 2);
  // Nor is it lost with the process.
  await agent.stop();
  await agent.start();
  during.push(...(await commits(session, tables, () => clock.monotonicMs() - sinceMs < OUTAGE.agentMs)));
  const minutes = Math.round((clock.monotonicMs() - sinceMs) / 60_000);
  const { every, latest, bounded } = await session.standing();
  const made = agent.admitted.length - seen;
  if (every.waiting !== made) throw new Error(`${every.waiting} events wait for ${made} notifications.`);
  if (latest.waiting > tables.length) throw new Error(`${latest.waiting} events wait where the latest are enough.`);
  if (bounded.waiting > 40 + tables.length) throw new Error(`${bounded.waiting} events wait where 40 are the limit.`);
  if (records.every.length !== had) throw new Error('Events arrived at a Kafka that is away.');

  await kafka.resume();
  clock.setSpeed(1);
  await session.mirrored();
  await allArrived(session);
  const { events, doubled } = judgeOrder(records.every);
  judgeLast(records.every, await session.truth());
  await latestArrived(session, ['latest', 'bounded']);
  if (events !== agent.admitted.length) throw new Error(`${events} events for ${agent.admitted.length} notifications.`);
  const sorted = during.toSorted((a, b) => a - b);
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
  const [p50Before, p99Before] = [quantile(before, 0.5), quantile(before, 0.99)];
  if (p50 > tolerated(p50Before) || p99 > tolerated(p99Before) + 500)
    throw new Error(`Notifications took ${p50} and ${p99} ms without Kafka, ${p50Before} and ${p99Before} ms with it.`);
  const times = `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms (with Kafka ${p50Before.toFixed(0)} and ${p99Before.toFixed(0)} ms)`;
  return `${minutes} minutes, ${made} notifications: ${times}; waiting ${every.waiting}, ${bounded.waiting} bounded, ${latest.waiting} coalesced; 0 lost, ${doubled} doubled`;
}

async function farewell(session: Session): Promise<string> {
  await session.agent.stop();
  const standing = await session.standing();
  const waiting = Object.entries(standing).filter(([, { waiting: events }]) => events > 0);
  if (waiting.length > 0) throw new Error(`Events are left: ${JSON.stringify(standing)}.`);
  return 'nothing waits, and the agent leaves with 0';
}

export const STEPS: readonly Step[] = [
  { name: 'events arrive keyed by table, exactly the payload of the design', run: payload },
  { name: 'a burst arrives in the order of each table', run: order },
  { name: 'each key is where other producers put it', run: partitions },
  { name: 'a record that is too large for the topic', run: tooLarge },
  { name: 'Kafka away for an hour', run: outage },
  { name: 'the example takes events from a topic', run: maintenanceService },
  { name: 'the end', run: farewell },
];
