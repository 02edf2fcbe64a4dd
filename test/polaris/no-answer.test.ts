import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { containing, matching } from './matchers.ts';
import { configured, freePort, notification, polaris, StandIn, until } from './stand-in.ts';

const deps = { clock: systemClock, log: silentLog };
const never = new AbortController().signal;

/** A server below HTTP: accepts connections and lets the test do the rest. */
class RawServer implements AsyncDisposable {
  readonly sockets: Socket[] = [];
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  static async start(onConnection: (socket: Socket) => void = () => {}): Promise<RawServer> {
    const server = createServer();
    const raw = new RawServer(server);
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      raw.sockets.push(socket);
      onConnection(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return raw;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

describe('a notification that certainly never left is unavailable', () => {
  test('when nothing listens', async () => {
    await using target = await openPolaris(configured(await freePort()), deps);
    expect(await target.notify(notification(), never)).toEqual({
      kind: 'unavailable',
      message: matching(/^nothing listens at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/),
    });
  });

  test('when the server has gone away since the last one', async () => {
    const server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    await server[Symbol.asyncDispose]();
    // The first may still go out on a connection whose end hasn't been noticed, and nobody can know more about it.
    expect((await target.notify(notification(), never)).kind).toMatch(/^(unknown|unavailable)$/);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
  });

  test('when the host has no name', async () => {
    const config = configured(1, { uri: 'http://no-such-host.invalid/api/catalog' });
    await using target = await openPolaris(config, deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: matching(/host name of http:\/\/no-such-host\.invalid is not known/),
    });
  });

  test('when the TLS handshake never ends', async () => {
    await using server = await RawServer.start();
    const config = configured(server.port, {
      uri: `https://127.0.0.1:${server.port}/api/catalog`,
      timeouts: { connect: '200ms', total: '5s' },
    });
    await using target = await openPolaris(config, deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: containing('took too long'),
    });
  });

  test('when the deadline comes before the connection does', async () => {
    const clock = new ManualClock();
    await using server = await RawServer.start();
    const config = configured(server.port, {
      uri: `https://127.0.0.1:${server.port}/api/catalog`,
      timeouts: { connect: '1h', total: '60s' },
    });
    await using target = await openPolaris(config, { clock, log: silentLog });
    const outcome = target.notify(notification(), never);
    await until(() => server.sockets.length === 1);
    await clock.advance(60_000);
    expect(await outcome).toMatchObject({
      kind: 'unavailable',
      message: containing('no connection to https://127.0.0.1'),
    });
  });

  test('when the server cuts the handshake', async () => {
    await using server = await RawServer.start((socket) => socket.once('data', () => socket.destroy()));
    const config = configured(server.port, { uri: `https://127.0.0.1:${server.port}/api/catalog` });
    await using target = await openPolaris(config, deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
  });

  test('when only the question for the catalog’s address got no answer', async () => {
    await using server = await StandIn.start((seen) => {
      seen.cut();
      return undefined;
    });
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
    expect(server.paths(/notifications/)).toEqual([]);
  });
});

describe('a notification that may have been applied is unknown', () => {
  test('when no answer begins in time', async () => {
    await using server = await StandIn.start(polaris(() => undefined));
    await using target = await openPolaris(configured(server.port, { timeouts: { headers: '200ms' } }), deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unknown',
      message: containing('UND_ERR_HEADERS_TIMEOUT'),
    });
  });

  test('when the connection is cut behind it', async () => {
    await using server = await StandIn.start(
      polaris((seen) => {
        seen.cut();
        return undefined;
      }),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unknown',
      message: matching(/^before its answer, /),
    });
    expect(server.paths(/notifications/)).toHaveLength(1);
  });

  test('when the answer stops in the middle', async () => {
    await using server = await StandIn.start(
      polaris((_, response) => {
        response.writeHead(409, { 'content-type': 'application/json', 'content-length': '500' });
        response.write('{"error":');
        return undefined;
      }),
    );
    await using target = await openPolaris(configured(server.port, { timeouts: { body: '200ms' } }), deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unknown',
      message: matching(/^in the middle of its answer, .*UND_ERR_BODY_TIMEOUT/),
    });
  });

  test('when the connection is cut in the middle of the answer', async () => {
    await using server = await StandIn.start(
      polaris((seen, response) => {
        response.writeHead(409, { 'content-length': '500' });
        response.write('{"error":', () => seen.cut());
        return undefined;
      }),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unknown' });
  });

  test('when the answer drips so slowly that the deadline comes first', async () => {
    const clock = new ManualClock();
    let dripping: ReturnType<typeof setInterval> | undefined;
    await using server = await StandIn.start(
      polaris((_, response) => {
        response.writeHead(503);
        dripping = setInterval(() => response.write(' '), 5);
        return undefined;
      }),
    );
    await using target = await openPolaris(configured(server.port), { clock, log: silentLog });
    const outcome = target.notify(notification(), never);
    await until(() => dripping !== undefined);
    await clock.advance(8000);
    expect(await outcome).toEqual({
      kind: 'unknown',
      message: `no answer from http://127.0.0.1:${server.port} within 8000 ms`,
    });
    clearInterval(dripping);
  });

  test('when what comes back is not HTTP', async () => {
    await using server = await RawServer.start((socket) => socket.once('data', () => socket.end('SSH-2.0-x\r\n\r\n')));
    await using target = await openPolaris(configured(server.port), deps);
    // The question for the address: nothing else was sent.
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
  });
});

test('a closed client ends what is under way', async () => {
  await using server = await StandIn.start(polaris(() => undefined));
  const target = await openPolaris(configured(server.port), deps);
  const outcome = target.notify(notification(), never);
  await until(() => server.paths(/notifications/).length === 1);
  await target[Symbol.asyncDispose]();
  expect(await outcome).toMatchObject({ kind: 'unknown' });
});

test('an answer that is complete counts though the connection breaks behind it', async () => {
  await using server = await StandIn.start(
    polaris((seen, response) => {
      response.writeHead(204).end(() => seen.cut());
      return undefined;
    }),
  );
  await using target = await openPolaris(configured(server.port), deps);
  expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
});
