import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { LiveStatus } from '../../src/observe/live-status.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { ManualClock } from '../runtime/manual-clock.ts';

const MIB = 1024 ** 2;

/** For what takes moments on a machine that isn't busy. */
const SOON = { timeout: 30_000 };

/** A server of events whose status is so long, and begins with its number, which grows each time that it is made. */
async function openLive(bytes: number = 1000) {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const state = { made: 0 };
  const news = () => {
    state.made++;
    return { status: `${String(state.made).padStart(8, '0')}${'x'.repeat(bytes)}`, seen: 0, notifications: () => '{}' };
  };
  const server = stack.use(await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog }));
  const live = stack.use(new LiveStatus(news, { clock, log: silentLog }));
  server.route('GET', '/events', async ({ signal }) => {
    const body = live.follow(signal);
    return body === undefined ? { status: 503 } : { status: 200, body };
  });
  const follow = async () => {
    const socket = connect(server.port, '127.0.0.1');
    // Both ends close at once when the test is over.
    socket.on('error', () => {});
    const seen = { text: '', last: 0 };
    socket.on('data', (data) => {
      seen.text += data.toString('latin1').replaceAll(/x+/g, '');
      seen.last = Math.max(0, ...[...seen.text.matchAll(/data: (\d{8})/g)].map(([, number]) => Number(number)));
    });
    await once(socket, 'connect');
    socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n');
    return { socket, seen };
  };
  return { clock, state, live, follow, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('ten clients that do not read cost no memory, hold up nobody, and get the newest when they read again', async () => {
  await using world = await openLive(MIB);
  const { clock, state, live, follow } = world;
  const slow = [];
  for (let i = 0; i < 10; i++) {
    const client = await follow();
    client.socket.pause();
    slow.push(client);
  }
  const quick = await follow();
  await expect.poll(() => live.clients, SOON).toBe(11);
  await expect.poll(() => quick.seen.last, SOON).toBe(1);
  const before = process.memoryUsage();
  for (let second = 0; second < 100; second++) {
    await clock.advance(1000);
    await expect.poll(() => quick.seen.last, { ...SOON, interval: 1 }).toBe(state.made);
  }
  // Once for all of them, and the hundred of ten clients would be a gibibyte.
  expect(state.made).toBe(101);
  const after = process.memoryUsage();
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(200 * MIB);
  const [one] = slow;
  one?.socket.resume();
  await expect.poll(() => one?.seen.last, SOON).toBe(101);
  // What had left for it before, and then the newest.
  expect(one?.seen.text.match(/data: /g)?.length).toBeLessThan(30);
  for (const { socket } of [...slow, quick]) socket.destroy();
  await expect.poll(() => live.clients, SOON).toBe(0);
});

test('no status is made while nobody follows, and a new client gets a fresh one', async () => {
  await using world = await openLive();
  const { clock, state, live, follow } = world;
  const first = await follow();
  await expect.poll(() => first.seen.last, SOON).toBe(1);
  first.socket.destroy();
  await expect.poll(() => live.clients, SOON).toBe(0);
  await clock.advance(1000);
  await clock.advance(60_000);
  expect([state.made, clock.sleeping]).toEqual([1, 0]);
  const second = await follow();
  await expect.poll(() => second.seen.last, SOON).toBe(2);
  second.socket.destroy();
});

test('more clients than a page needs are refused', async () => {
  await using world = await openLive();
  const clients = await Promise.all(Array.from({ length: 40 }, () => world.follow()));
  await expect.poll(() => clients.filter(({ seen }) => seen.text.startsWith('HTTP/1.1 503')).length, SOON).toBe(8);
  for (const { socket } of clients) socket.destroy();
});
