import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { forwardConfig, type KafkaConfig } from '../../src/forward/config.ts';
import { openKafka } from '../../src/forward/kafka.ts';
import type { OutgoingEvent } from '../../src/forward/sink.ts';
import { freePort } from '../polaris/stand-in.ts';

// What a real broker does is looked at in test/real/kafka.

const PASSWORD = 'planted-kafka-password';

const eventOf = (name: string): OutgoingEvent => {
  const table = keyOf({ namespace: ['sales'], name });
  return { id: `main/1/${table}`, table, body: '{}' };
};

function configOf(port: number, changes: Readonly<Record<string, unknown>> = {}): KafkaConfig {
  const sasl = { mechanism: 'plain', username: 'agent', password: PASSWORD };
  const [sink] = forwardConfig.parse([
    { kind: 'kafka', brokers: [`127.0.0.1:${port}`], topic: 'events', timeout: '300ms', sasl, ...changes },
  ]);
  if (sink?.kind !== 'kafka') throw new Error('It is no Kafka.');
  return sink;
}

/** A server that says what the test lets it say to whoever connects. */
async function brokerLike(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
  return { port, [Symbol.asyncDispose]: close };
}

const STRANGERS: readonly (readonly [does: string, onConnection: (socket: Socket) => void])[] = [
  ['says nothing', () => {}],
  ['hangs up', (socket) => socket.destroy()],
  ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
];

describe('A Kafka sink', () => {
  test('of brokers that are away fails for each event, with the reason', async () => {
    await using sink = await openKafka(configOf(await freePort()));
    const answers = await sink.send([eventOf('a'), eventOf('b')], new AbortController().signal);
    const failed = { kind: 'failed', detail: expect.stringContaining('ECONNREFUSED') as string };
    expect(answers).toMatchObject([failed, failed]);
  });

  test.for(STRANGERS)('at something that %s fails in time, and says no secret', async ([, onConnection]) => {
    await using broker = await brokerLike(onConnection);
    await using sink = await openKafka(configOf(broker.port));
    const startedMs = performance.now();
    const answers = await sink.send([eventOf('a')], new AbortController().signal);
    expect(answers).toMatchObject([{ kind: 'failed' }]);
    expect(JSON.stringify(answers)).not.toContain(PASSWORD);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  test('ends what is under way at the end of the process', async () => {
    await using broker = await brokerLike(() => {});
    await using sink = await openKafka(configOf(broker.port, { timeout: '60s' }));
    const killing = new AbortController();
    const sending = sink.send([eventOf('a')], killing.signal);
    setTimeout(() => killing.abort(new Error('the end')), 50);
    await expect(sending).rejects.toThrow('the end');
  });

  test('names a file of its tls section that is not there', async () => {
    const tls = { cert_file: '/nowhere/agent.pem', key_file: '/nowhere/agent.key' };
    await expect(openKafka(configOf(1, { tls }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('tls.cert_file /nowhere/agent.pem') as string,
    });
  });
});

test('The client of Kafka is loaded by a sink only, not with the program', async () => {
  const app = new URL('../../src/app.ts', import.meta.url).href;
  const kafka = new URL('../../src/forward/kafka.ts', import.meta.url).href;
  const script = `
    import { registerHooks } from 'node:module';
    let loaded = 0;
    registerHooks({ resolve(specifier, context, next) { if (specifier === '@platformatic/kafka') loaded++; return next(specifier, context); } });
    await import('${app}');
    const before = loaded;
    const { openKafka } = await import('${kafka}');
    const sink = await openKafka({ kind: 'kafka', name: 'k', brokers: ['127.0.0.1:1'], topic: 't', clientId: 'c', timeoutMs: 1000, limit: 0, attempts: 1 });
    await sink[Symbol.asyncDispose]();
    console.log(before, loaded);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  expect(stdout.trim()).toBe('0 1');
});
