import { describe, expect, test } from 'vitest';
import { openPolaris } from '../../src/polaris/client.ts';
import { etagOf } from '../../src/polaris/etag.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { containing } from './matchers.ts';
import { type Behaviour, configured, polaris, polarisError, StandIn } from './stand-in.ts';

const deps = { clock: systemClock, log: silentLog };
const never = new AbortController().signal;
const TABLE = { namespace: ['sales'], name: 'orders' };
const LOCATION = 'file:///warehouse/ext/sales/orders/metadata/00001-ä".metadata.json';

/** What the client makes of one kind of answer to the conditional load. */
async function served(answer: Behaviour, location: string = LOCATION): Promise<{ served: string; server: StandIn }> {
  await using server = await StandIn.start(polaris(answer));
  await using target = await openPolaris(configured(server.port), deps);
  return { served: await target.serves(TABLE, location, never), server };
}

test('the ETag of a location is the SHA-256 of its bytes, in the weak form', () => {
  // printf 'file:///a' | sha256sum
  expect(etagOf('file:///a')).toBe('W/"49f9160320a550b553674d8f187473b19e1860dc993baa6b556069a4c195c652"');
});

const body = (location: string) => ({ status: 200, json: { 'metadata-location': location, metadata: {} } });

describe('whether Polaris serves a table at a location', () => {
  test('is asked by a conditional load with the location’s ETag', async () => {
    const { served: answer, server } = await served(() => ({ status: 304 }));
    expect(answer).toBe('this');
    const { method, path, headers } = server.seen.at(-1)!;
    expect({ method, path }).toEqual({ method: 'GET', path: '/api/catalog/v1/ext/namespaces/sales/tables/orders' });
    expect(headers['if-none-match']).toBe(etagOf(LOCATION));
  });

  test('is told by the body where a server makes its ETags in another way', async () => {
    expect((await served(() => body(LOCATION))).served).toBe('this');
    expect((await served(() => body('file:///elsewhere.metadata.json'))).served).toBe('other');
  });

  test('needs only the beginning of a large answer', async () => {
    const text = JSON.stringify({ 'metadata-location': LOCATION, metadata: { filler: 'x'.repeat(20_000_000) } });
    const { served: answer, server } = await served(() => ({ status: 200, text }));
    expect(answer).toBe('this');
    expect(server.paths(/tables\/orders$/)).toHaveLength(1);
  });

  test('is found at the end of a large answer, too', async () => {
    const text = JSON.stringify({ metadata: { filler: 'x'.repeat(1_000_000) }, 'metadata-location': LOCATION });
    const { served: answer, server } = await served(() => ({ status: 200, text }));
    expect(answer).toBe('this');
    expect(server.paths(/tables\/orders$/)).toHaveLength(2);
  });

  test.each([
    [polarisError(404, 'NoSuchTableException', 'Table does not exist: sales.orders'), 'nothing'],
    [polarisError(404, 'NotFoundException', 'Failed to open input stream for file: file:/w/m.json'), 'other'],
    [polarisError(400, 'NotFoundException', 'Location does not exist: s3://b/m.json'), 'other'],
    [polarisError(503, 'RuntimeIOException', 'Failed to read file: file:/w/m.json'), 'other'],
    [polarisError(400, 'IllegalArgumentException', 'Cannot parse missing int: format-version'), 'other'],
  ])('by %j is %s', async (answer, expected) => {
    expect((await served(() => answer)).served).toBe(expected);
  });

  test.each([
    [polarisError(404, 'NoSuchNamespaceException', "Namespace does not exist: ''"), 'POLARIS_NO_SUCH_CATALOG', 2],
    [polarisError(404, 'MissingOrInvalidRealm', 'Missing or invalid realm'), 'POLARIS_NO_SUCH_REALM', 2],
    [polarisError(404, 'NotFoundException', 'Unable to find matching target resource method'), 'POLARIS_REFUSED', 1],
    [
      polarisError(403, 'ForbiddenException', "Principal 'p' is not authorized for op LOAD_TABLE"),
      'POLARIS_FORBIDDEN',
      4,
    ],
    [polarisError(429, 'TooManyRequestsException', 'Rate exceeded'), 'POLARIS_UNAVAILABLE', 4],
    [{ status: 401 }, 'POLARIS_UNAUTHORIZED', 4],
    [{ status: 502, text: '<title>Bad Gateway</title>' }, 'POLARIS_UNAVAILABLE', 4],
    [{ status: 200, text: '<title>Sign in</title>' }, 'POLARIS_REFUSED', 1],
    [{ status: 204 }, 'POLARIS_REFUSED', 1],
  ])('can’t be said by %j', async (answer, code, exitCode) => {
    const error: unknown = await served(() => answer).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'PushError', code, spec: { exitCode } });
    expect(error).toHaveProperty('message', containing('Target main: '));
  });

  test('can’t be said without an answer', async () => {
    const cut = served((seen) => {
      seen.cut();
      return undefined;
    });
    await expect(cut).rejects.toMatchObject({ code: 'POLARIS_UNAVAILABLE' });
  });

  test('can’t be asked of a table that no path leads to', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    const asked = target.serves({ namespace: ['a'], name: '..' }, LOCATION, never);
    await expect(asked).rejects.toMatchObject({ code: 'POLARIS_REFUSED', message: containing('".."') });
  });

  test('ends with the caller’s abort', async () => {
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), deps);
    const asked = target.serves(TABLE, LOCATION, AbortSignal.abort(new Error('enough')));
    await expect(asked).rejects.toThrow('enough');
  });
});
