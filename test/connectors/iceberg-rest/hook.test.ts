import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { signWebhook } from '../../../src/runtime/webhook-signature.ts';
import { eventually } from '../../pipeline/world.ts';
import { HOOK_SECRET, HookWorld } from './hook-world.ts';
import { table } from './world.ts';

const orders = { namespace: ['sales'], table: 'orders' };
const ghost = (name: string) => ({ namespace: ['nowhere'], table: name });
const sign = (id: string, body: string, timestamp = Date.now()) => ({
  ...signWebhook(HOOK_SECRET, { id, timestamp, body }),
});
const signAsPolaris = (body: string) => ({
  'x-polaris-signature-256': `sha256=${createHmac('sha256', HOOK_SECRET).update(body).digest('hex')}`,
});

/** Whether it is still open after everything that can go on has gone on. */
async function isOpen(answer: Promise<Response>): Promise<boolean> {
  const open = new Promise<'open'>((resolve) => setTimeout(() => resolve('open'), 50));
  return (await Promise.race([answer, open])) === 'open';
}

test('answers 202 when the hint is acknowledged, and not before', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const next = watch.next();
  const answer = world.post(ghost('a'));
  const delivery = await next;
  expect(delivery.changes).toEqual([{ kind: 'upserted', table: table('nowhere', 'a') }]);
  expect(await isOpen(answer)).toBe(true);
  await delivery.ack();
  expect((await answer).status).toBe(202);
});

test('hands over when the event says that it happened', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const next = watch.next();
  const event = { specversion: '1.0', type: 'com.example.commit', time: '2026-01-02T03:04:05Z', data: ghost('a') };
  void world.post([event, { ...event, time: '2026-01-02T03:04:06Z' }]).catch(() => {});
  expect((await next).committedAt).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
});

test('makes one hint of many deliveries about one table, and answers all of them', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const answers = Array.from({ length: 20 }, () => world.post([ghost('a'), ghost('b')]));
  const first = await watch.next();
  const taken = () => world.catalog.log.lines.filter(({ event }) => event === 'webhook-taken').length;
  await eventually(async () => (taken() === 20 ? undefined : `${taken()} taken`));
  await first.ack();
  const second = await watch.next();
  expect(second.changes.map(({ table: { name } }) => name)).toEqual(['a', 'b']);
  await second.ack();
  expect(await Promise.all(answers.map(async (answer) => (await answer).status))).toEqual(answers.map(() => 202));
});

test.each<[string, (body: string) => Record<string, string>]>([
  ['no signature', () => ({})],
  [
    'the signature of another secret',
    (body) => ({ ...signWebhook('another', { id: 'm', timestamp: Date.now(), body }) }),
  ],
  ['the signature of another body', () => sign('m', '{}')],
  ['a signature of ten minutes ago', (body) => sign('m', body, Date.now() - 600_000)],
  ['a signature of Polaris’s form over another body', () => signAsPolaris('{}')],
  ['a signature of Polaris’s form without a time in the body', signAsPolaris],
])('refuses a delivery with %s, and says nothing of it to the source', async (_, headersOf) => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const body = JSON.stringify(orders);
  const refused = await world.post(body, headersOf(body));
  expect(refused.status).toBe(401);
  expect(await refused.text()).not.toContain(HOOK_SECRET);
  expect(world.catalog.log.lines.filter(({ event }) => event === 'webhook-refused')).toHaveLength(1);
  expect(JSON.stringify(world.catalog.log.lines)).not.toContain(HOOK_SECRET);
  void world.post(ghost('later')).catch(() => {});
  expect(await watch.until('upserted nowhere.later')).toEqual(['upserted nowhere.later']);
});

test('ignores a delivery that is sent again, and answers it like the first one', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const body = JSON.stringify(ghost('a'));
  const headers = sign('msg_1', body);
  const [first, second] = [world.post(body, headers), world.post(body, headers)];
  const delivery = await watch.next();
  expect(await isOpen(second)).toBe(true);
  await delivery.ack();
  expect([(await first).status, (await second).status]).toEqual([202, 202]);
  // The recorded one, sent by somebody who has listened.
  expect((await world.post(body, headers)).status).toBe(202);
  void world.post(ghost('b')).catch(() => {});
  expect(await watch.until('upserted nowhere.b')).toEqual(['upserted nowhere.a', 'upserted nowhere.b']);
});

test('answers 503 while nothing watches, and to what the watch did not record; both are taken when sent again', async () => {
  await using world = await HookWorld.start();
  const body = JSON.stringify(ghost('a'));
  const headers = sign('msg_1', body);
  const early = await world.post(body, headers);
  expect([early.status, early.headers.get('retry-after')]).toEqual([503, '5']);
  const watch = await world.watch();
  const next = watch.next();
  const unrecorded = world.post(body, headers);
  await next;
  await watch[Symbol.asyncDispose]();
  expect((await unrecorded).status).toBe(503);
  await using again = await world.watch();
  const delivered = again.until('upserted nowhere.a');
  const resent = world.post(body, headers);
  await delivered;
  // It came back with the new watch, or with the delivery: once it is recorded, the sender hears so.
  void again
    .next()
    .then((delivery) => delivery.ack())
    .catch(() => {});
  expect((await resent).status).toBe(202);
});

test('answers 413 to a huge body, and 400 to one that says nothing', async () => {
  await using world = await HookWorld.start();
  await using _ = await world.watch();
  expect((await world.post('x'.repeat(70_000))).status).toBe(413);
  for (const body of ['<html>', '{}', '[1]', JSON.stringify({ namespace: 'a' })])
    expect((await world.post(body)).status).toBe(400);
  expect((await fetch(world.uri)).status).toBe(405);
});

test('answers 413 to a delivery that names more tables than may ever wait, as sending it again would not help', async () => {
  await using world = await HookWorld.start({ webhook: { secret: HOOK_SECRET, max_body: '1MiB' } });
  await using _ = await world.watch();
  const answer = await world.post(Array.from({ length: 10_001 }, (_none, i) => ghost(`t${i}`)));
  expect(answer.status).toBe(413);
  expect(await answer.text()).toContain('10000 tables');
});

test('takes what Polaris’s own webhook listener sends and signs, once', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const body = JSON.stringify({
    event_type: 'AFTER_UPDATE_TABLE',
    timestamp: Date.now(),
    table_identifier: 'nowhere.a',
    realm_id: 'POLARIS',
  });
  const headers = { ...signAsPolaris(body), 'x-polaris-event': 'AFTER_UPDATE_TABLE' };
  const answer = world.post(body, headers);
  await watch.until('upserted nowhere.a');
  expect((await answer).status).toBe(202);
  expect((await world.post(body, headers)).status).toBe(202);
  const old = JSON.stringify({
    event_type: 'AFTER_UPDATE_TABLE',
    timestamp: Date.now() - 600_000,
    table_identifier: 'nowhere.b',
  });
  expect((await world.post(old, signAsPolaris(old))).status).toBe(401);
  const loaded = JSON.stringify({
    event_type: 'AFTER_LOAD_TABLE',
    timestamp: Date.now(),
    table_identifier: 'nowhere.c',
  });
  expect((await world.post(loaded, signAsPolaris(loaded))).status).toBe(202);
  void world.post(ghost('d')).catch(() => {});
  expect(await watch.until('upserted nowhere.d')).toEqual(['upserted nowhere.a', 'upserted nowhere.d']);
});

test('asks for few of many names that nobody knows, and finds the others by looking at the names', async () => {
  await using world = await HookWorld.start({ poll: { list: '1h', requests_per_second: 40, max_age: '1h' } });
  await using watch = await world.watch();
  await world.catalog.create(table('sales', 'real'));
  const flood = Array.from({ length: 1_000 }, (_, i) => ghost(`t${i}`));
  const answer = world.post([...flood, { namespace: 'sales', table: 'real' }]);
  const hints = await watch.until('upserted sales.real');
  expect((await answer).status).toBe(202);
  expect(hints.length).toBeLessThan(150);
});

test('refuses for the moment what more than enough others wait for', async () => {
  await using world = await HookWorld.start();
  await using watch = await world.watch();
  const first = watch.next();
  const answers = Array.from({ length: 300 }, () => world.post(ghost('a')));
  const delivery = await first;
  const refused = await Promise.any(
    answers.map(async (answer) => {
      const { status } = await answer;
      return status === 503 ? status : await Promise.reject(new Error(`It was ${status}.`));
    }),
  );
  expect(refused).toBe(503);
  await delivery.ack();
  void (async () => {
    for (;;) await (await watch.next()).ack();
  })().catch(() => {});
  const statuses = await Promise.all(answers.map(async (answer) => (await answer).status));
  expect(statuses.filter((status) => status === 202).length).toBeGreaterThanOrEqual(250);
});
