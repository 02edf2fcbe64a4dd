import { describe, expect, test } from 'vitest';
import type { Timestamp } from '../../src/core/types.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { aNumber, rejection } from './matchers.ts';
import {
  CONFIG_ANSWER,
  configured,
  KeptLog,
  notification,
  polaris,
  polarisError,
  StandIn,
  TOKEN,
  until,
} from './stand-in.ts';

const deps = { clock: systemClock, log: silentLog };
const never = new AbortController().signal;

describe('a notification', () => {
  test('goes to the table’s address with everything that Polaris wants to know', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    const { method, path, headers, body } = server.seen.at(-1)!;
    expect({ method, path }).toEqual({
      method: 'POST',
      path: '/api/catalog/v1/ext/namespaces/sales/tables/orders/notifications',
    });
    expect(headers).toMatchObject({ authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' });
    expect(headers).not.toHaveProperty('polaris-realm');
    expect(JSON.parse(body)).toEqual({
      'notification-type': 'CREATE',
      payload: {
        'table-name': 'orders',
        timestamp: 1_700_000_000_000,
        'table-uuid': '9b8b98df-5dc6-49da-8314-726b58fb1310',
        'metadata-location': 'file:///warehouse/ext/sales/orders/metadata/00000-a.metadata.json',
      },
    });
  });

  test('leaves out what a DROP has not', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    await target.notify(notification({ type: 'DROP', metadataLocation: undefined, tableUuid: undefined }), never);
    expect(server.seen.at(-1)!.body).toBe(
      '{"notification-type":"DROP","payload":{"table-name":"orders","timestamp":1700000000000}}',
    );
  });

  test('has its timestamp on the wire digit by digit, up to the greatest safe integer', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    await target.notify(notification({ timestamp: Number.MAX_SAFE_INTEGER as Timestamp }), never);
    expect(server.seen.at(-1)!.body).toContain('"timestamp":9007199254740991,');
  });

  test('carries the realm and the extra headers', async () => {
    await using server = await StandIn.start(polaris());
    const config = configured(server.port, { realm: 'PROD', headers: { 'X-Gateway-Key': 'g4teway' } });
    await using target = await openPolaris(config, deps);
    await target.notify(notification(), never);
    for (const { headers } of server.seen) {
      expect(headers).toMatchObject({ 'polaris-realm': 'PROD', 'x-gateway-key': 'g4teway' });
    }
    expect(server.seen).toHaveLength(2);
  });

  test('has a request id of its own, which the log has too', async () => {
    const log = new KeptLog();
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), { clock: systemClock, log });
    await target.notify(notification(), never);
    await target.notify(notification(), never);
    const sent = server.seen.map(({ headers }) => headers['x-request-id']);
    expect(new Set(sent).size).toBe(3);
    expect(sent.every((id) => typeof id === 'string' && /^[\w-]+$/.test(id))).toBe(true);
    const logged = log.lines.filter(({ event }) => event === 'polaris-request');
    expect(logged.map(({ fields }) => fields['requestId'])).toEqual(sent);
    expect(logged.at(-1)).toMatchObject({ level: 'debug', fields: { target: 'main', kind: 'notify', status: 204 } });
  });

  test('is counted with its status and duration', async () => {
    const seen: unknown[] = [];
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), { ...deps, onRequest: (one) => seen.push(one) });
    await target.notify(notification(), never);
    expect(seen).toEqual([
      { kind: 'config', status: 200, ms: aNumber },
      { kind: 'notify', status: 204, ms: aNumber },
    ]);
  });

  test('is classified by its answer', async () => {
    await using server = await StandIn.start(
      polaris(() => polarisError(409, 'AlreadyExistsException', 'View already exists: sales.orders')),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toEqual({
      kind: 'name-taken',
      by: 'view',
      message: 'View already exists: sales.orders',
    });
  });

  test('is sent once, whatever the answer', async () => {
    await using server = await StandIn.start(polaris(() => ({ status: 503, headers: { 'retry-after': '3' } })));
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable', retryAfterMs: 3000 });
    expect(server.paths(/notifications$/)).toHaveLength(1);
  });

  test('of a table that no path leads to never leaves', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    const outcome = await target.notify(notification({ table: { namespace: ['a', '..'], name: 't' } }), never);
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'name-not-addressable', status: 0 });
    expect(server.paths(/notifications/)).toEqual([]);
  });

  test('is bounded in what it reads of an answer', async () => {
    const refusal = JSON.stringify({ error: { message: 'm', type: 'T', filler: 'x'.repeat(10_000_000) } });
    await using server = await StandIn.start(polaris(() => ({ status: 418, text: refusal })));
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', reason: 'unrecognized' });
    // And the connection that was given up hurts nobody.
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', status: 418 });
  });
});

describe('the catalog’s address', () => {
  test('is asked for once, however many notifications wait for it', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    await Promise.all(Array.from({ length: 20 }, () => target.notify(notification(), never)));
    expect(server.paths(/config/)).toEqual(['/api/catalog/v1/config?warehouse=ext']);
    expect(server.paths(/notifications/)).toHaveLength(20);
  });

  test('is what the server says', async () => {
    await using server = await StandIn.start((seen) =>
      seen.path.includes('/v1/config')
        ? { status: 200, json: { overrides: { prefix: 'realm/cat 1', 'namespace-separator': '%2E' } } }
        : { status: 204 },
    );
    await using target = await openPolaris(configured(server.port), deps);
    await target.notify(notification({ table: { namespace: ['a', 'b'], name: 't' } }), never);
    expect(server.seen.at(-1)!.path).toBe('/api/catalog/v1/realm/cat%201/namespaces/a%2Eb/tables/t/notifications');
  });

  test('is the catalog’s name when the server says nothing', async () => {
    await using server = await StandIn.start((seen) =>
      seen.path.includes('/v1/config') ? { status: 200, json: { defaults: {}, overrides: {} } } : { status: 204 },
    );
    await using target = await openPolaris(configured(server.port, { catalog: 'my catalog' }), deps);
    await target.notify(notification(), never);
    expect(server.seen.map(({ path }) => path)).toEqual([
      '/api/catalog/v1/config?warehouse=my%20catalog',
      '/api/catalog/v1/my%20catalog/namespaces/sales/tables/orders/notifications',
    ]);
  });

  test('is asked for again when the catalog is not there any more', async () => {
    let prefix = 'old';
    await using server = await StandIn.start((seen) => {
      if (seen.path.includes('/v1/config')) return { status: 200, json: { overrides: { prefix } } };
      if (seen.path.includes('/old/'))
        return polarisError(404, 'NoSuchNamespaceException', "Namespace does not exist: ''");
      return { status: 204 };
    });
    await using target = await openPolaris(configured(server.port), deps);
    prefix = 'old';
    expect(await target.notify(notification(), never)).toMatchObject({ reason: 'no-such-catalog' });
    prefix = 'new';
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
  });

  test('can’t be had: its failure is the notification’s outcome, and nothing was sent', async () => {
    let answer = polarisError(404, 'NotFoundException', 'Unable to find warehouse ext');
    await using server = await StandIn.start(() => answer);
    await using target = await openPolaris(configured(server.port), deps);
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', reason: 'no-such-catalog' });
    answer = polarisError(404, 'MissingOrInvalidRealm', 'Missing or invalid realm');
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', reason: 'no-such-realm' });
    answer = polarisError(429, 'TooManyRequestsException', 'Rate exceeded');
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unavailable' });
    answer = { status: 200, text: '<title>Welcome</title>' };
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', reason: 'unrecognized' });
    expect(server.paths(/notifications/)).toEqual([]);
    answer = CONFIG_ANSWER;
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'refused', status: 200 });
    expect(server.paths(/notifications/)).toHaveLength(1);
  });
});

describe('an abort', () => {
  test('ends the wait at once and gives its reason', async () => {
    await using server = await StandIn.start(polaris(() => undefined));
    await using target = await openPolaris(configured(server.port), deps);
    const stop = new AbortController();
    const outcome = target.notify(notification(), stop.signal);
    const rejected = rejection(outcome);
    await until(() => server.paths(/notifications/).length === 1);
    stop.abort(new Error('enough'));
    expect(await rejected).toMatchObject({ message: 'enough' });
  });

  test('before the start sends nothing', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    await expect(target.notify(notification(), AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(server.seen).toEqual([]);
  });

  test('of one waiter leaves the others’ question for the address alone', async () => {
    let answer: (() => void) | undefined;
    await using server = await StandIn.start((seen) => {
      if (!seen.path.includes('/v1/config')) return { status: 204 };
      return new Promise((resolve) => {
        answer = () => resolve(CONFIG_ANSWER);
      });
    });
    await using target = await openPolaris(configured(server.port), deps);
    const stop = new AbortController();
    const first = rejection(target.notify(notification(), stop.signal));
    const second = target.notify(notification(), never);
    await until(() => answer !== undefined);
    stop.abort(new Error('enough'));
    expect(await first).toMatchObject({ message: 'enough' });
    answer?.();
    expect(await second).toEqual({ kind: 'admitted' });
    expect(server.paths(/config/)).toHaveLength(1);
  });
});
