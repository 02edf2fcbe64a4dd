import { createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { forwardConfig, type WebhookConfig } from '../../src/forward/config.ts';
import type { OutgoingEvent, Sink, SinkAnswer } from '../../src/forward/sink.ts';
import { openWebhook } from '../../src/forward/webhook.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { verifyWebhook } from '../../src/runtime/webhook-signature.ts';
import { freePort, StandIn, type Answer, type Seen } from '../polaris/stand-in.ts';

const KEY = Buffer.from('planted-key-of-32-bytes-exactly!');
const SECRET = `whsec_${KEY.toString('base64')}`;
const CERTIFICATE = fileURLToPath(new URL('../fixtures/tls/authority.pem', import.meta.url));

const eventOf = (name: string): OutgoingEvent => {
  const table = keyOf({ namespace: ['sales'], name });
  return { id: `main/1764032000123/${table}`, table, body: JSON.stringify({ subject: `sales.${name} – ü` }) };
};

function configOf(url: string, changes: Readonly<Record<string, unknown>> = {}): WebhookConfig {
  const [sink] = forwardConfig.parse([{ kind: 'webhook', url, secret: SECRET, timeout: '2s', ...changes }]);
  if (sink?.kind !== 'webhook') throw new Error('It is no webhook.');
  return sink;
}

const webhook = (url: string, changes?: Readonly<Record<string, unknown>>): Promise<Sink> =>
  openWebhook(configOf(url, changes), { clock: systemClock });

const send = async (sink: Sink, event: OutgoingEvent = eventOf('orders')): Promise<SinkAnswer> => {
  const [answer] = await sink.send([event], new AbortController().signal);
  if (answer === undefined) throw new Error('There was no answer.');
  return answer;
};

/** What a webhook makes of one answer. */
async function answerTo(answer: Answer | undefined, changes?: Readonly<Record<string, unknown>>): Promise<SinkAnswer> {
  await using receiver = await StandIn.start(() => answer);
  await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`, changes);
  return await send(sink);
}

const after = (text: string) => answerTo({ status: 429, headers: { 'retry-after': text } });

const header = ({ headers }: Seen, name: string): string => String(headers[name]);

describe('A webhook', () => {
  test('POSTs the event as it is, in structured CloudEvents mode, with the extra headers', async () => {
    await using receiver = await StandIn.start(() => ({ status: 202 }));
    await using sink = await webhook(`http://127.0.0.1:${receiver.port}/a/b`, {
      headers: { 'X-Gateway': 'let-me-in' },
    });
    expect(await send(sink)).toEqual({ kind: 'accepted' });
    const [request] = receiver.seen;
    expect(request).toMatchObject({ method: 'POST', path: '/a/b', body: eventOf('orders').body });
    expect(request?.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'x-gateway': 'let-me-in',
    });
  });

  test('signs each try as Standard Webhooks has it: the id stays, the time is that of the try', async () => {
    await using receiver = await StandIn.start(() => ({ status: 503 }));
    await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`);
    await send(sink);
    await send(sink);
    await send(sink, eventOf('items'));
    const ids = receiver.seen.map((request) => header(request, 'webhook-id'));
    expect(ids[0]).toBe(ids[1]);
    expect(ids[0]).not.toBe(ids[2]);
    for (const request of receiver.seen) {
      const [id, time] = [header(request, 'webhook-id'), header(request, 'webhook-timestamp')];
      const expected = createHmac('sha256', KEY).update(`${id}.${time}.${request.body}`).digest('base64');
      expect(header(request, 'webhook-signature')).toBe(`v1,${expected}`);
      expect(Math.abs(Number(time) * 1000 - Date.now())).toBeLessThan(5000);
      expect(verifyWebhook(SECRET, request.headers, request.body, Date.now())).toMatchObject({ kind: 'valid', id });
    }
  });

  test.for(['dotted.name', 'naïve', 'a\nb', 'x'.repeat(3000), '"'])(
    'gives a table called %j an id that a header can hold, always the same',
    async (name) => {
      await using receiver = await StandIn.start(() => ({ status: 200 }));
      await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`);
      await send(sink, eventOf(name));
      await send(sink, eventOf(name));
      const [first, second] = receiver.seen.map((request) => header(request, 'webhook-id'));
      expect(first).toMatch(/^[\x21-\x2d\x2f-\x7e]{1,200}$/);
      expect(second).toBe(first);
      const [request] = receiver.seen;
      expect(verifyWebhook(SECRET, request!.headers, request!.body, Date.now())).toMatchObject({ kind: 'valid' });
    },
  );

  test('trusts a certificate authority of its own', async () => {
    await using receiver = await StandIn.start(() => ({ status: 200 }), 'server');
    const url = `https://localhost:${receiver.port}/events`;
    await using trusting = await webhook(url, { tls: { ca_file: CERTIFICATE } });
    expect(await send(trusting)).toEqual({ kind: 'accepted' });
    await using doubting = await webhook(url);
    expect(await send(doubting)).toMatchObject({ kind: 'failed', detail: expect.stringContaining('TLS') as string });
  });

  test('names a file of authorities that is not there', async () => {
    const opening = webhook('https://localhost/events', { tls: { ca_file: '/nowhere/ca.pem' } });
    await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('The answer', () => {
  test.for([200, 201, 202, 204, 299])('%i: the receiver has the event', async (status) => {
    expect(await answerTo({ status })).toEqual({ kind: 'accepted' });
  });

  test.for([400, 402, 406, 409, 411, 413, 415, 422, 451])('%i: it never will', async (status) => {
    expect(await answerTo({ status, text: 'no,\n thank you' })).toEqual({
      kind: 'refused',
      detail: `HTTP ${status}: no, thank you`,
    });
  });

  test.for([401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503, 504])('%i: not now', async (status) => {
    expect(await answerTo({ status })).toMatchObject({ kind: 'failed', detail: `HTTP ${status}` });
  });

  test.for([301, 302, 303, 307, 308])(
    '%i: a redirect is not followed, as the signature is for one receiver',
    async (status) => {
      await using other = await StandIn.start(() => ({ status: 200 }));
      const headers = { location: `http://127.0.0.1:${other.port}/` };
      const answer = await answerTo({ status, headers });
      expect(answer).toMatchObject({
        kind: 'failed',
        detail: expect.stringContaining('redirects are not followed') as string,
      });
      expect(other.seen).toEqual([]);
    },
  );

  test('says when to come back, in seconds or as a date', async () => {
    expect(await after('7')).toMatchObject({ retryAfterMs: 7000 });
    const { retryAfterMs = 0 } = (await after(new Date(Date.now() + 30_000).toUTCString())) as {
      retryAfterMs?: number;
    };
    expect(retryAfterMs).toBeGreaterThan(20_000);
    expect(retryAfterMs).toBeLessThanOrEqual(30_000);
    expect(await after('soon')).toMatchObject({ kind: 'failed', retryAfterMs: undefined });
  });

  test('that is endless is not read', async () => {
    await using receiver = await StandIn.start((_, response) => {
      response.writeHead(200);
      const pour = () => void (response.write('x'.repeat(65_536)) ? setImmediate(pour) : response.once('drain', pour));
      pour();
      return undefined;
    });
    await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`);
    expect(await send(sink)).toEqual({ kind: 'accepted' });
  });

  test('that never comes is waited for so long as `timeout` says', async () => {
    const startedMs = performance.now();
    const answer = await answerTo(undefined, { timeout: '300ms' });
    expect(answer).toMatchObject({ kind: 'failed' });
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });

  test('that breaks off is none', async () => {
    await using receiver = await StandIn.start((seen) => {
      seen.cut();
      return undefined;
    });
    await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`);
    expect(await send(sink)).toMatchObject({ kind: 'failed' });
  });

  test('of nobody says so', async () => {
    await using sink = await webhook(`http://127.0.0.1:${await freePort()}/events`);
    expect(await send(sink)).toMatchObject({
      kind: 'failed',
      detail: expect.stringContaining('nothing listens') as string,
    });
  });

  test('that repeats the secret or a header is told without them', async () => {
    const text = `bad: ${SECRET} and planted-header-value`;
    const answer = await answerTo({ status: 400, text }, { headers: { 'X-Key': 'planted-header-value' } });
    expect(answer).toEqual({ kind: 'refused', detail: 'HTTP 400: bad: *** and ***' });
  });
});

test('The end of the process ends a request that is under way', async () => {
  await using receiver = await StandIn.start(() => undefined);
  await using sink = await webhook(`http://127.0.0.1:${receiver.port}/events`, { timeout: '60s' });
  const killing = new AbortController();
  const sending = sink.send([eventOf('orders')], killing.signal);
  setTimeout(() => killing.abort(new Error('the end')), 50);
  await expect(sending).rejects.toThrow('the end');
});
