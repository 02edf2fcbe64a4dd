import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { type Reply, Session } from './emulator-session.ts';

/** A notification takes this long between looking at the table and committing. */
const LATENCY_MS = 100;
const RACERS = 20;
const T = keyOf({ namespace: ['ns'], name: 't' });

const answers = (replies: readonly Reply[]): string[] =>
  replies.map(({ status, error }) => (error === undefined ? String(status) : `${status} ${error}`)).toSorted();

/** A session on which time stands still, so that notifications wait for each other before they commit. */
async function openWithClock(): Promise<{ readonly session: Session; readonly clock: ManualClock }> {
  const clock = new ManualClock();
  return { clock, session: await Session.open({ clock, latencyMs: { notification: LATENCY_MS } }) };
}

/** Waits until all of these requests have looked at the table, then lets them commit in the order of their arrival. */
async function commit(clock: ManualClock, ...requests: readonly Promise<Reply>[]): Promise<Reply[]> {
  await expect.poll(() => clock.sleeping).toBe(requests.length);
  await clock.advance(LATENCY_MS);
  return Promise.all(requests);
}

describe('Notifications that race for one table', () => {
  test('lose to the first that commits, and may be sent again', async () => {
    const { clock, session } = await openWithClock();
    await using _ = session;
    const { uri } = session.metadata('t');
    const update = (timestamp: number) => session.notify('t', 'UPDATE', timestamp, uri);
    await commit(clock, session.notify('t', 'CREATE', 1, uri));
    const replies = await commit(clock, ...[2, 3, 4].map(update));
    expect(answers(replies)).toEqual(['204', '409 CommitConflictException', '409 CommitConflictException']);
    expect(answers(await commit(clock, update(5)))).toEqual(['204']);
  });

  test('are stale when they come after a newer one was admitted', async () => {
    const { clock, session } = await openWithClock();
    await using _ = session;
    const { uri } = session.metadata('t');
    await commit(clock, session.notify('t', 'CREATE', 9, uri));
    // Refused before it would have to wait.
    expect(answers([await session.notify('t', 'UPDATE', 8, uri)])).toEqual(['409 AlreadyExistsException']);
  });

  test('that create it end with one table', async () => {
    const { clock, session } = await openWithClock();
    await using _ = session;
    const { uri } = session.metadata('t');
    const replies = await commit(clock, ...[1, 2, 3].map((timestamp) => session.notify('t', 'CREATE', timestamp, uri)));
    expect(answers(replies)).toEqual(['204', '409 AlreadyExistsException', '409 AlreadyExistsException']);
    expect(replies.map(({ text }) => text).join()).toContain('Table already exists: ns.t');
    expect([...session.emulator.tables('ext').keys()]).toEqual([T]);
  });

  test('are told of a missing parent path when the table is dropped meanwhile', async () => {
    const { clock, session } = await openWithClock();
    await using _ = session;
    const { uri } = session.metadata('t');
    await commit(clock, session.notify('t', 'CREATE', 1, uri));
    const update = session.notify('t', 'UPDATE', 2, uri);
    await expect.poll(() => clock.sleeping).toBe(1);
    // Not by a notification, which would wait as well.
    expect(await session.send('DELETE', session.path('t'))).toMatchObject({ status: 204 });
    const [reply] = await commit(clock, update);
    expect(reply).toMatchObject({ status: 404, error: 'NotFoundException' });
    expect(reply?.text).toContain('Parent path does not exist for ns.t');
  });

  test('of both kinds are lost without any latency, too, as reading a file takes time', async () => {
    await using session = await Session.open();
    const seen = new Set<string>();
    let timestamp = 1;
    // Whether a racer is early enough to lose or late enough to be stale is up to the machine, so go on until both are seen.
    for (let round = 0; round < 200 && seen.size < 3; round++) {
      const base = timestamp;
      timestamp += RACERS;
      const racing = Array.from({ length: RACERS }, (_, i) => {
        const file = session.metadata('t', { version: base + i });
        return session.notify('t', 'UPDATE', base + i, file.uri).then((reply) => ({ ...reply, uri: file.uri }));
      });
      const replies = await Promise.all(racing);
      for (const answer of answers(replies)) seen.add(answer);
      // Whoever wins, the newest admitted state is what is served.
      const newest = replies.findLast(({ status }) => status === 204)?.uri;
      const served = session.emulator.tables('ext').get(T);
      expect(served?.metadataLocation).toBe(newest);
    }
    expect([...seen].toSorted()).toEqual(['204', '409 AlreadyExistsException', '409 CommitConflictException']);
  });
});
