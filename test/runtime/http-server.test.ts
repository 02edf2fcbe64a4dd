import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import { openHttpServer, type HttpHandler, type HttpServer } from '../../src/runtime/http-server.ts';
import { silentLog, type Log } from '../../src/runtime/log.ts';

const HERE = { host: '127.0.0.1', port: 0 };
const open = (log: Log = silentLog) => openHttpServer(HERE, { log });
const at = (server: HttpServer, path: string) => `http://127.0.0.1:${server.port}${path}`;
const hello: HttpHandler = async () => ({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'hello' });

test('answers what a route says, and HEAD like GET without the body', async () => {
  await using server = await open();
  server.route('GET', '/livez', async ({ query }) => ({
    status: 200,
    headers: { 'x-seen': query.get('a') ?? '' },
    body: 'größe',
  }));
  const got = await fetch(at(server, '/livez?a=b%20c'));
  expect([got.status, got.headers.get('x-seen'), await got.text()]).toEqual([200, 'b c', 'größe']);
  const head = await fetch(at(server, '/livez'), { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '7', '']);
});

test('answers 404 where no route is, and 405 with what is allowed for another method', async () => {
  await using server = await open();
  server.route('GET', '/page', hello);
  server.route('POST', '/page', hello);
  expect((await fetch(at(server, '/'))).status).toBe(404);
  expect((await fetch(at(server, '/page/'))).status).toBe(404);
  const refused = await fetch(at(server, '/page'), { method: 'DELETE' });
  expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, POST, HEAD']);
});

test('answers no more when a route is disposed, and lets another one have the path', async () => {
  await using server = await open();
  {
    using _ = server.route('POST', '/hook', hello);
    expect(() => server.route('POST', '/hook', hello)).toThrow('taken');
    expect((await fetch(at(server, '/hook'), { method: 'POST' })).status).toBe(200);
  }
  expect((await fetch(at(server, '/hook'), { method: 'POST' })).status).toBe(404);
  using _ = server.route('POST', '/hook', hello);
  expect((await fetch(at(server, '/hook'), { method: 'POST' })).status).toBe(200);
});

test.each([
  ['announces its length', 'x'.repeat(1001)],
  [
    'comes in chunks',
    (async function* () {
      for (let i = 0; i < 20; i++) yield Buffer.alloc(100);
    })(),
  ],
  ['is far too large', Buffer.alloc(20_000_000)],
])('answers 413 to a body over the limit that %s', async (_, body) => {
  await using server = await open();
  let handled = false;
  server.route('POST', '/hook', async (request) => {
    await request.body(1000);
    handled = true;
    return { status: 200 };
  });
  const refused = await fetch(at(server, '/hook'), { method: 'POST', body, duplex: 'half' });
  expect([refused.status, handled]).toEqual([413, false]);
  const taken = await fetch(at(server, '/hook'), { method: 'POST', body: 'x'.repeat(1000) });
  expect([taken.status, handled]).toEqual([200, true]);
});

test('answers 500 to a handler that fails, logs why, and tells the client nothing of it', async () => {
  const logged: unknown[] = [];
  await using server = await open({ ...silentLog, error: (event, fields) => void logged.push([event, fields]) });
  server.route('GET', '/broken', async () => {
    throw new Error('a secret reason');
  });
  const answer = await fetch(at(server, '/broken'));
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain('secret');
  expect(logged).toMatchObject([['http-handler-failed', { path: '/broken' }]]);
});

test('says which port is taken, and what to do', async () => {
  await using server = await open();
  const failure = await openHttpServer({ ...HERE, port: server.port }, { log: silentLog }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(PushError);
  const { code, detail, fix, spec } = failure as PushError;
  expect([code, spec.exitCode, spec.retry]).toEqual(['HTTP_LISTEN_FAILED', 2, 'never']);
  expect(detail).toBe(`127.0.0.1:${server.port}: another process listens on this port.`);
  expect(fix).toContain('http.listen');
});

test('says so when the address is of another machine', async () => {
  const failure = await openHttpServer({ host: '192.0.2.1', port: 0 }, { log: silentLog }).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({
    code: 'HTTP_LISTEN_FAILED',
    detail: '192.0.2.1:0: this machine has no such address.',
  });
});

test('lets what is under way end before it closes, and takes nothing more in', async () => {
  const server = await open();
  const { promise: began, resolve: begin } = Promise.withResolvers<void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  server.route('GET', '/slow', async () => {
    begin();
    await ended;
    return { status: 200, body: 'done' };
  });
  const answer = fetch(at(server, '/slow'));
  await began;
  const closed = server[Symbol.asyncDispose]();
  await expect(fetch(at(server, '/slow'))).rejects.toThrow('fetch failed');
  const before = performance.now();
  end();
  expect(await (await answer).text()).toBe('done');
  await closed;
  expect(performance.now() - before).toBeLessThan(1_000);
});

test('closes within seconds although a handler waits for ever, and tells it by its signal', async () => {
  const server = await open();
  const { promise: began, resolve: begin } = Promise.withResolvers<void>();
  server.route('GET', '/stuck', async ({ signal }) => {
    begin();
    await once(signal, 'abort');
    return { status: 503 };
  });
  const answer = fetch(at(server, '/stuck')).then(
    ({ status }) => status,
    () => 'cut',
  );
  await began;
  const before = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - before).toBeLessThan(10_000);
  expect([503, 'cut']).toContain(await answer);
});

test('tells a handler when its client has gone', async () => {
  await using server = await open();
  const { promise: gone, resolve } = Promise.withResolvers<boolean>();
  const client: { socket?: Socket } = {};
  server.route('GET', '/wait', async ({ signal }) => {
    client.socket?.destroy();
    await once(signal, 'abort');
    resolve(true);
    return { status: 200 };
  });
  client.socket = connect(server.port, '127.0.0.1');
  client.socket.write('GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n');
  expect(await gone).toBe(true);
});

test('refuses headers without an end', async () => {
  await using server = await open();
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`GET / HTTP/1.1\r\nhost: test\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('431');
  socket.destroy();
});
