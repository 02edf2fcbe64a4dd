import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FaultProxy, type Shape } from './fault-proxy.ts';

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(1);
}

/** A server that sends everything back, behind a proxy; and clients of the proxy. */
async function echo() {
  const stack = new AsyncDisposableStack();
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  stack.defer(() => void server.close());
  await once(server, 'listening');
  const proxy = stack.use(await FaultProxy.start((server.address() as AddressInfo).port));
  const client = async () => {
    const socket = connect(proxy.port, '127.0.0.1');
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.on('error', () => {});
    stack.defer(() => void socket.destroy());
    await once(socket, 'connect');
    return { socket, got, text: () => Buffer.concat(got).toString() };
  };
  return { proxy, client, accepted, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('what passes through the proxy arrives whole, in whatever shape', async () => {
  await using world = await echo();
  const shapes: Partial<Shape>[] = [{}, { latencyMs: 20 }, { pieceBytes: 1 }, { pieceBytes: 3, pauseMs: 1 }];
  for (const shape of shapes) {
    world.proxy.shape(shape);
    const { socket, text } = await world.client();
    const before = performance.now();
    socket.write('some words, not many');
    await until(() => text().length === 20);
    expect(text()).toBe('some words, not many');
    const { latencyMs = 0 } = shape;
    expect(performance.now() - before).toBeGreaterThanOrEqual(2 * latencyMs - 2);
  }
});

test('a reset ends a connection at both ends, and new ones work', async () => {
  await using world = await echo();
  const { socket } = await world.client();
  await until(() => world.accepted.length === 1);
  world.proxy.reset();
  await until(() => socket.closed && world.accepted[0]!.closed);
  expect(world.proxy.open).toBe(0);
  const next = await world.client();
  next.socket.write('again');
  await until(() => next.text() === 'again');
});

test('a frozen connection stays for ever, also when one end gives it up, and new ones work', async () => {
  await using world = await echo();
  const frozen = await world.client();
  frozen.socket.write('before');
  await until(() => frozen.text() === 'before');
  world.proxy.freeze();
  frozen.socket.write('after');
  const next = await world.client();
  next.socket.write('new');
  await until(() => next.text() === 'new');
  expect(frozen.text()).toBe('before');
  expect(frozen.socket.closed).toBe(false);
  frozen.socket.destroy();
  next.socket.write(' and still');
  await until(() => next.text() === 'new and still');
  expect(world.accepted[0]!.closed).toBe(false);
});

test('a black hole swallows everything, and gives it back at its end', async () => {
  await using world = await echo();
  world.proxy.blackHole();
  const { socket, text } = await world.client();
  socket.write('lost?');
  const other = await world.client();
  other.socket.write('?');
  await sleep(20);
  expect(text() + other.text()).toBe('');
  world.proxy.heal();
  await until(() => text() === 'lost?' && other.text() === '?');
});
