import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';

const open = (log = silentLog) => openHttpServer({ host: '127.0.0.1', port: 0 }, { log });

async function* endless(seen: { produced: number; ended: boolean }, part: string) {
  try {
    for (;;) {
      seen.produced++;
      yield part;
    }
  } finally {
    seen.ended = true;
  }
}

test('a stream is sent part by part, and HEAD gets its headers alone', async () => {
  await using server = await open();
  const { promise: second, resolve: goOn } = Promise.withResolvers<void>();
  server.route('GET', '/parts', async () => ({
    status: 200,
    headers: { 'content-type': 'text/plain' },
    body: (async function* () {
      yield 'größe ';
      await second;
      yield Buffer.from('two');
    })(),
  }));
  const at = `http://127.0.0.1:${server.port}/parts`;
  const answer = await fetch(at);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe('größe ');
  goOn();
  expect([(await reader.read()).value, (await reader.read()).done]).toEqual(['two', true]);
  const head = await fetch(at, { method: 'HEAD' });
  expect([head.headers.get('content-type'), await head.text()]).toEqual(['text/plain', '']);
});

test('nothing more of a stream is produced while its client does not read', async () => {
  await using server = await open();
  const seen = { produced: 0, ended: false };
  server.route('GET', '/much', async () => ({ status: 200, body: endless(seen, 'x'.repeat(64 * 1024)) }));
  const socket = connect(server.port, '127.0.0.1').pause();
  await once(socket, 'connect');
  socket.write('GET /much HTTP/1.1\r\nhost: localhost\r\n\r\n');
  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = seen.produced > 0 && seen.produced === before;
        before = seen.produced;
        return isStill;
      },
      { interval: 200, timeout: 30_000 },
    )
    .toBe(true);
  // What the system's own buffers take, and no more.
  expect(before * 64).toBeLessThan(20_000);
  expect(seen.ended).toBe(false);
  socket.destroy();
  await expect.poll(() => seen.ended, { timeout: 30_000 }).toBe(true);
});

test('a stream ends at once when the server closes', async () => {
  const server = await open();
  server.route('GET', '/silent', async ({ signal }) => ({
    status: 200,
    body: (async function* () {
      yield 'hello';
      await once(signal, 'abort');
    })(),
  }));
  const answer = await fetch(`http://127.0.0.1:${server.port}/silent`);
  const before = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - before).toBeLessThan(1_500);
  expect(await answer.text()).toBe('hello');
});

test('a stream that fails cuts the connection, and the log says why', async () => {
  const logged: unknown[] = [];
  await using server = await open({ ...silentLog, error: (event, fields) => void logged.push([event, fields]) });
  server.route('GET', '/broken', async () => ({
    status: 200,
    body: (async function* () {
      yield 'a';
      throw new Error('worn out');
    })(),
  }));
  const answer = await fetch(`http://127.0.0.1:${server.port}/broken`);
  await expect(answer.text()).rejects.toThrow('terminated');
  expect(logged).toMatchObject([['http-handler-failed', { path: '/broken' }]]);
});
