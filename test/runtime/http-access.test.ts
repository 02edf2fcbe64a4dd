import { request } from 'node:http';
import { expect, test } from 'vitest';
import { isLoopback, type HttpAccessConfig } from '../../src/runtime/http-access.ts';
import { openHttpServer, type HttpHandler, type HttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { RateLimit } from '../../src/runtime/rate-limit.ts';

const TOKEN = 'a-token-of-32-characters-or-more';

const handler: HttpHandler = async ({ trusted }) => ({ status: 200, body: String(trusted) });

/** A server with a route of each area, and a hook; each answers whether it was trusted. */
async function open(access: HttpAccessConfig) {
  const server = await openHttpServer({ host: '127.0.0.1', port: 0, ...access }, { log: silentLog });
  server.route('GET', '/livez', handler, 'health');
  server.route('GET', '/metrics', handler, 'metrics');
  server.route('GET', '/', handler);
  server.hooks.route('POST', '/hook', handler);
  return server;
}

const ask = async ({ port }: HttpServer, path: string, headers: Record<string, string> = {}, method = 'GET') => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers });
  return `${answer.status} ${await answer.text()}`.trim().slice(0, 9);
};

/** `fetch` sets the Host header itself. */
const statusFor = ({ port }: HttpServer, host: string, path = '/', method = 'GET') =>
  new Promise<number | undefined>((resolve, reject) => {
    request({ port, path, method, headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });

test('with a token everything needs it but open areas and signed hooks, and only whoever has it is trusted', async () => {
  await using server = await open({ token: TOKEN, open: ['health'] });
  expect(await ask(server, '/livez')).toBe('200 false');
  expect(await ask(server, '/metrics')).toContain('401');
  expect(await ask(server, '/')).toContain('401');
  expect(await ask(server, '/hook', {}, 'POST')).toBe('200 false');
  const authorization = `Bearer ${TOKEN}`;
  for (const path of ['/livez', '/metrics', '/']) expect(await ask(server, path, { authorization })).toBe('200 true');
});

test.each([
  ['Bearer', 'another-token'],
  ['Bearer', `${TOKEN}x`],
  ['Bearer', TOKEN.slice(0, -1)],
  ['Bearer', ''],
  ['Digest', TOKEN],
  ['Basic', TOKEN],
  ['Basic', Buffer.from(TOKEN).toString('base64')],
])('%s %s is not the token', async (scheme, value) => {
  await using server = await open({ token: TOKEN });
  expect(await ask(server, '/', { authorization: `${scheme} ${value}` })).toContain('401');
});

test('a browser may give the token as the password of HTTP Basic, and is asked for it', async () => {
  await using server = await open({ token: TOKEN });
  const refused = await fetch(`http://127.0.0.1:${server.port}/`);
  expect(refused.headers.get('www-authenticate')).toContain('Basic');
  expect(await refused.text()).toContain('http.token');
  const authorization = `Basic ${Buffer.from(`anybody:${TOKEN}`).toString('base64')}`;
  expect(await ask(server, '/', { authorization })).toBe('200 true');
});

test('what is there is not told to whoever may not ask', async () => {
  await using server = await open({ token: TOKEN, open: ['health', 'metrics'] });
  expect(await ask(server, '/nothing')).toContain('401');
  expect(await ask(server, '/', {}, 'DELETE')).toContain('401');
});

test('without a token a web page whose name was made to lead here gets nothing, but signed hooks are taken', async () => {
  await using server = await open({});
  for (const host of ['127.0.0.1', 'localhost:9184', 'LOCALHOST', '127.9.9.9:1', '[::1]:9184'])
    expect([host, await statusFor(server, host)]).toEqual([host, 200]);
  for (const host of ['evil.example', 'evil.example:9184', '192.168.0.1', 'localhost.evil.example', '[::2]'])
    expect([host, await statusFor(server, host)]).toEqual([host, 403]);
  expect(await statusFor(server, 'hooks.example', '/hook', 'POST')).toBe(200);
});

test('with a token any name will do', async () => {
  await using server = await open({ token: TOKEN, open: ['health'] });
  expect(await statusFor(server, 'agent.example', '/livez')).toBe(200);
});

test.each([
  ['127.0.0.1', true],
  ['127.255.0.3', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['agent.example', false],
  ['127.0.0.1.example', false],
])('%s is of this machine alone: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test('a limit lets a burst through, then so many a second', () => {
  const limit = new RateLimit({ perSecond: 10, burst: 3 });
  const taken = (nowMs: number) => [1, 2, 3, 4].map(() => limit.take(nowMs));
  expect(taken(5_000)).toEqual([true, true, true, false]);
  expect(taken(5_100)).toEqual([true, false, false, false]);
  expect(taken(60_000)).toEqual([true, true, true, false]);
});

test('whoever asks too often waits for a refusal, and others are answered again a moment later', async () => {
  await using server = await open({});
  const before = performance.now();
  const answers = await Promise.all(Array.from({ length: 400 }, () => ask(server, '/')));
  const refused = answers.filter((answer) => answer.startsWith('429'));
  expect(refused.length).toBeGreaterThan(50);
  expect(answers.length - refused.length).toBeGreaterThanOrEqual(200);
  expect(performance.now() - before).toBeGreaterThan(900);
  expect(await ask(server, '/livez')).toBe('200 true');
  expect(await ask(server, '/hook', {}, 'POST')).toBe('200 false');
});
