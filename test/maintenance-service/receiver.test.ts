import { describe, expect, test } from 'vitest';
import { describe as describeTold, tellOf } from '../../examples/maintenance-service/report.ts';
import { hopTable, quantile } from '../../examples/maintenance-service/hop-statistics.ts';
import { receiveWebhooks } from '../../examples/maintenance-service/webhook-receiver.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { TableEvent } from '../../src/forward/cloud-event.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { signWebhook } from '../../src/runtime/webhook-signature.ts';
import { eventOf } from './fixture.ts';

const SECRET = 'a secret of the webhook';

async function receiver(onEvent: (event: TableEvent) => Promise<unknown> = () => Promise.resolve()) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await openHttpServer({ host: '127.0.0.1', port: 0 }, { log: silentLog }));
  const events: TableEvent[] = [];
  const problems: string[] = [];
  const take = async (event: TableEvent) => {
    events.push(event);
    await onEvent(event);
  };
  stack.use(receiveWebhooks(server.hooks, { secret: SECRET, onEvent: take, onProblem: (one) => problems.push(one) }));
  const post = (body: string, { secret = SECRET, timestamp = Date.now() } = {}) =>
    fetch(`http://127.0.0.1:${server.port}/events`, {
      method: 'POST',
      body,
      headers: { ...signWebhook(secret, { id: 'event-1', timestamp, body }) },
    });
  return { events, problems, post, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const BODY = JSON.stringify(eventOf({ timestamp: 1, location: 's3://lake/1.json' }));

describe('the webhook receiver', () => {
  test('answers 204 when the event is done with', async () => {
    await using it = await receiver();
    expect((await it.post(BODY)).status).toBe(204);
    expect(it.events).toEqual([JSON.parse(BODY)]);
  });

  test('answers 401 to a wrong signature, an old message, and no signature', async () => {
    await using it = await receiver();
    expect((await it.post(BODY, { secret: 'not the secret' })).status).toBe(401);
    expect((await it.post(BODY, { timestamp: Date.now() - 3_600_000 })).status).toBe(401);
    expect(it.events).toEqual([]);
    expect(it.problems).toHaveLength(2);
  });

  test('answers 400 to what is no event', async () => {
    await using it = await receiver();
    for (const body of ['not JSON', '{}', JSON.stringify({ ...eventOf({ timestamp: 1 }), specversion: '0.3' })])
      expect((await it.post(body)).status).toBe(400);
    expect(it.events).toEqual([]);
  });

  test('answers 413 to a huge body', async () => {
    await using it = await receiver();
    expect((await it.post('x'.repeat(100_000))).status).toBe(413);
  });

  test('answers 503, so that it comes again, when Polaris cannot be asked', async () => {
    await using it = await receiver(() => Promise.reject(new PushError('POLARIS_UNAVAILABLE', 'down')));
    const response = await it.post(BODY);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(it.problems).toEqual([expect.stringContaining('sales.orders')]);
  });
});

describe('what is told', () => {
  const handled = {
    event: eventOf({ timestamp: 1, table: { namespace: ['sales'], name: 'a\u001B[2Jb' } }),
    decision: { kind: 'skip', reason: 'no-policy', detail: 'none applies' },
    receivedAt: 1_003,
    policiesAt: 1_005,
    decidedAt: 1_006,
  } as const;

  test('counts the hops from the commit on', () => {
    expect(tellOf(handled).ms).toEqual({ visible: 40, received: 3, policies: 2, decided: 1, total: 46 });
  });

  test('moves no cursor, whatever a table is called', () => {
    expect(describeTold(tellOf(handled)).join('\n')).not.toContain('\u001B');
  });

  test('has percentiles that really occurred', () => {
    const values = Array.from({ length: 200 }, (_, i) => i + 11);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)]).toEqual(['110', '208', '210']);
    expect(quantile([], 0.5)).toBe('-');
    expect(hopTable([tellOf(handled).ms]).at(-1)).toMatch(/^commit → plan\s+46 ms\s+46 ms\s+46 ms$/);
  });
});
