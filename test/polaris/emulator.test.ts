import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../src/core/table.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import type { AnsweredRequest } from '../../src/polaris/emulator/options.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { Session } from './emulator-session.ts';

/** What a client calls a connection that was cut. */
const CUT = /^(ECONNRESET|UND_ERR_SOCKET)$/;
const T = keyOf({ namespace: ['ns'], name: 't' });

/** The code of the error that a request ends with. */
const failureOf = (request: Promise<unknown>): Promise<string> =>
  request.then(
    () => 'answered',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );

describe('What the emulator serves', () => {
  test('is seen by a test with its exact timestamp', async () => {
    await using session = await Session.open();
    const { uri, uuid } = session.metadata('t');
    await session.notify('t', 'CREATE', '9223372036854775807', uri);
    expect(session.emulator.tables('ext').get(T)).toMatchObject({
      metadataLocation: uri,
      timestamp: 9_223_372_036_854_775_807n,
      uuid,
    });
    expect(() => session.emulator.tables('nope')).toThrow(/no catalog nope/);
  });

  test('keeps the 64-bit snapshot ids of a metadata file', async () => {
    await using session = await Session.open();
    const { path, uri } = session.metadata('t');
    const exact = readFileSync(path, 'utf8').replace(
      '"current-snapshot-id":-1',
      '"current-snapshot-id":8416942997898052134',
    );
    writeFileSync(path, exact);
    await session.notify('t', 'CREATE', 1, uri);
    expect((await session.send('GET', session.path('t'))).text).toContain('8416942997898052134');
  });

  test('has an ETag that is the hash of the metadata location', async () => {
    await using session = await Session.open();
    const { uri } = session.metadata('t');
    await session.notify('t', 'CREATE', 1, uri);
    const etag = `W/"${createHash('sha256').update(uri).digest('hex')}"`;
    const loaded = await session.send('GET', session.path('t'));
    expect(loaded.headers['etag']).toBe(etag);
    const again = await session.send('GET', session.path('t'), { headers: { 'if-none-match': `"x", ${etag}` } });
    expect(again.status).toBe(304);
  });

  test('does not depend on metadata files where they are not to be read', async () => {
    await using session = await Session.open({
      readMetadata: 'never',
      catalogs: [{ name: 's3', baseLocation: 's3://bucket/wh' }],
    });
    const local = `file://${session.warehouse}/ns/t/metadata/0.metadata.json`;
    expect(await session.notify('t', 'CREATE', 1, local)).toMatchObject({ status: 204 });
    expect(await session.send('GET', session.path('t'))).toMatchObject({ status: 200 });
  });

  test('on an object store is checked for its location and not read', async () => {
    await using session = await Session.open({ catalogs: [{ name: 's3', baseLocation: 's3://bucket/wh' }] });
    const create = (location: string) => session.notify('t', 'CREATE', 1, location, 's3');
    expect(await create('s3://bucket/wh2/t/metadata/0.metadata.json')).toMatchObject({ status: 403 });
    expect(await create('s3a://bucket/wh/t/metadata/0.metadata.json')).toMatchObject({ status: 204 });
    const loaded = await session.send('GET', session.path('t', 's3'));
    expect(JSON.parse(loaded.text)).toMatchObject({
      'metadata-location': 's3a://bucket/wh/t/metadata/0.metadata.json',
      metadata: { location: 's3a://bucket/wh/t' },
    });
  });

  test('may be called as parts of the API are', async () => {
    await using session = await Session.open({
      readMetadata: 'never',
      catalogs: [{ name: 'config', baseLocation: 'file:///elsewhere' }],
    });
    const location = 'file:///elsewhere/ns/t/metadata/0.metadata.json';
    expect(await session.notify('t', 'CREATE', 1, location, 'config')).toMatchObject({ status: 204 });
  });
});

describe('A paused emulator', () => {
  test('refuses connections, and is back at the same address with what it had', async () => {
    await using session = await Session.open();
    const { uri } = session.metadata('t');
    await session.notify('t', 'CREATE', 1, uri);
    const address = session.emulator.uri;
    await session.emulator.pause();
    await expect(session.send('GET', session.path('t'))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await session.emulator.resume();
    expect(session.emulator.uri).toBe(address);
    expect(await session.send('GET', session.path('t'))).toMatchObject({ status: 200 });
  });

  test('leaves a request under way without an answer, though it may be applied', async () => {
    await using session = await Session.open({ latencyMs: { notification: 50 } });
    const { uri } = session.metadata('t');
    const arrived = Promise.withResolvers<void>();
    session.emulator.intercept(() => {
      arrived.resolve();
      return 'pass';
    });
    const pending = session.notify('t', 'CREATE', 1, uri);
    await arrived.promise;
    await session.emulator.pause();
    expect(await failureOf(pending)).toMatch(CUT);
    await expect.poll(() => session.emulator.tables('ext').has(T)).toBe(true);
  });
});

test('A restart kills every token and keeps tables and their timestamps', async () => {
  await using session = await Session.open();
  const { uri } = session.metadata('t');
  await session.notify('t', 'CREATE', 5, uri);
  await session.emulator.restart();
  expect(await session.notify('t', 'UPDATE', 6, uri)).toMatchObject({ status: 401, text: '' });
  await session.login();
  expect(await session.notify('t', 'UPDATE', 5, uri)).toMatchObject({ status: 409 });
  expect(await session.notify('t', 'UPDATE', 6, uri)).toMatchObject({ status: 204 });
});

describe('A fault that a test injects', () => {
  test('cuts the connection before anything is done', async () => {
    await using session = await Session.open();
    const { uri } = session.metadata('t');
    const stop = session.emulator.intercept(({ type }) => (type === 'CREATE' ? 'reset' : 'pass'));
    expect(await failureOf(session.notify('t', 'CREATE', 1, uri))).toMatch(CUT);
    expect(session.emulator.tables('ext').size).toBe(0);
    stop();
    expect(await session.notify('t', 'CREATE', 1, uri)).toMatchObject({ status: 204 });
  });

  test('cuts the connection after the request had its effect', async () => {
    await using session = await Session.open();
    session.emulator.intercept(() => 'apply-then-reset');
    const cut = session.notify('t', 'CREATE', 1, session.metadata('t').uri);
    expect(await failureOf(cut)).toMatch(CUT);
    expect(session.emulator.tables('ext').has(T)).toBe(true);
  });

  test('answers in its place', async () => {
    await using session = await Session.open();
    session.emulator.intercept(() => ({ status: 503, body: { error: 'down' }, headers: { 'retry-after': '7' } }));
    const reply = await session.notify('t', 'CREATE', 1, session.metadata('t').uri);
    expect(reply).toMatchObject({ status: 503, text: '{"error":"down"}' });
    expect(reply.headers['retry-after']).toBe('7');
    expect(session.emulator.tables('ext').size).toBe(0);
  });

  test('delays', async () => {
    const clock = new ManualClock();
    await using session = await Session.open({ clock });
    session.emulator.intercept(({ kind }) => (kind === 'load' ? { delayMs: 60 } : 'pass'));
    const loading = session.send('GET', session.path('t'));
    await expect.poll(() => clock.sleeping).toBe(1);
    await clock.advance(60);
    expect(await loading).toMatchObject({ status: 404 });
  });
});

describe('A listener', () => {
  test('hears of every request what it was and how it ended', async () => {
    await using session = await Session.open();
    const heard: AnsweredRequest[] = [];
    const stop = session.emulator.onRequest((request) => heard.push(request));
    const { uri } = session.metadata('t');
    await session.notify('t', 'CREATE', 7, uri);
    await session.notify('t', 'UPDATE', 7, uri);
    session.emulator.intercept(({ type }) => (type === 'DROP' ? 'reset' : 'pass'));
    await session.notify('t', 'DROP', 8, undefined).catch(() => 'reset');
    const table = { namespace: ['ns'], name: 't' };
    expect(heard).toMatchObject([
      {
        kind: 'notification',
        catalog: 'ext',
        table,
        type: 'CREATE',
        timestamp: 7n,
        metadataLocation: uri,
        status: 204,
      },
      { type: 'UPDATE', status: 409, error: 'AlreadyExistsException' },
      { type: 'DROP', status: undefined },
    ]);
    stop();
    await session.send('GET', session.path('t'));
    expect(heard).toHaveLength(3);
  });
});

describe('Time', () => {
  test('refills what a burst used up', async () => {
    const clock = new ManualClock();
    // One of them for the token.
    await using session = await Session.open({ clock, rateLimitPerSecond: 4 });
    const load = async () => (await session.send('GET', session.path('t'))).status;
    expect([await load(), await load(), await load(), await load()]).toEqual([404, 404, 404, 429]);
    await clock.advance(500);
    expect([await load(), await load(), await load()]).toEqual([404, 404, 429]);
  });

  test('ends the life of a token', async () => {
    const clock = new ManualClock();
    await using session = await Session.open({ clock, tokenLifetimeSeconds: 60 });
    await clock.advance(59_999);
    expect(await session.send('GET', session.path('t'))).toMatchObject({ status: 404 });
    await clock.advance(1);
    expect(await session.send('GET', session.path('t'))).toMatchObject({ status: 401 });
  });
});

test('A port in use is an error of the start', async () => {
  await using first = await startEmulator();
  const port = Number(new URL(first.uri).port);
  await expect(startEmulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
