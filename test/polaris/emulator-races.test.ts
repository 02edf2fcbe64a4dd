import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { type Reply, Session } from './emulator-session.ts';

/** How long a notification takes between looking at the table and committing: long enough that all of a race overlap. */
const SLOW = { latencyMs: { notification: 100 } };
const RACERS = 20;
const T = keyOf({ namespace: ['ns'], name: 't' });

const answers = (replies: readonly Reply[]): string[] =>
  replies.map(({ status, error }) => (error === undefined ? String(status) : `${status} ${error}`)).toSorted();

describe('Notifications that race for one table', () => {
  test('lose to the first that commits, and may be sent again', async () => {
    await using session = await Session.open(SLOW);
    const files = [1, 2, 3].map((version) => session.metadata('t', { version }).uri);
    await session.notify('t', 'CREATE', 1, files[0]);
    const racing = [2, 3, 4].map((timestamp) => session.notify('t', 'UPDATE', timestamp, files[timestamp - 2]));
    const replies = await Promise.all(racing);
    expect(answers(replies)).toEqual(['204', '409 CommitConflictException', '409 CommitConflictException']);
    expect(await session.notify('t', 'UPDATE', 5, files[2])).toMatchObject({ status: 204 });
  });

  test('are stale when they come after a newer one was admitted', async () => {
    await using session = await Session.open(SLOW);
    const { uri } = session.metadata('t');
    await session.notify('t', 'CREATE', 9, uri);
    expect(answers([await session.notify('t', 'UPDATE', 8, uri)])).toEqual(['409 AlreadyExistsException']);
  });

  test('that create it end with one table', async () => {
    await using session = await Session.open(SLOW);
    const { uri } = session.metadata('t');
    const replies = await Promise.all([1, 2, 3].map((timestamp) => session.notify('t', 'CREATE', timestamp, uri)));
    expect(answers(replies)).toEqual(['204', '409 AlreadyExistsException', '409 AlreadyExistsException']);
    expect(replies.map(({ text }) => text).join()).toContain('Table already exists: ns.t');
    expect([...session.emulator.tables('ext').keys()]).toEqual([T]);
  });

  test('are told of a missing parent path when a DROP comes between', async () => {
    await using session = await Session.open(SLOW);
    const { uri } = session.metadata('t');
    await session.notify('t', 'CREATE', 1, uri);
    const arrived = Promise.withResolvers<void>();
    session.emulator.intercept(({ type }) => {
      if (type === 'UPDATE') arrived.resolve();
      return 'pass';
    });
    const update = session.notify('t', 'UPDATE', 2, uri);
    await arrived.promise;
    // Not by a notification, which would take its time as well.
    const [reply] = await Promise.all([update, session.send('DELETE', session.path('t'))]);
    expect(reply.status).toBe(404);
    expect(reply.text).toContain('Parent path does not exist for ns.t');
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
