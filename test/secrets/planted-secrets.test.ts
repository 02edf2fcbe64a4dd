import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectors } from '../../connectors/index.ts';
import { runCli } from '../../src/cli/program.ts';
import { configSchema } from '../../src/config/schema.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { recordingIo, run } from '../cli/command-line.ts';
import { id } from '../connector/fake-source.ts';
import { freePort, type StandIn } from '../polaris/stand-in.ts';
import { echoHttp, echoPostgres, type Manners } from './echo-servers.ts';
import { planted, type Ports } from './planted.ts';
import { markedKeys, secretKeys } from './secret-keys.ts';

const MARK = 'MARKED';

let postgres: Awaited<ReturnType<typeof echoPostgres>>;
beforeAll(async () => {
  postgres = await echoPostgres();
  // The session token goes out with each request, as a header.
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'MARKED-aws-secret');
  vi.stubEnv('AWS_SESSION_TOKEN', 'MARKED-aws-session');
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await postgres[Symbol.asyncDispose]();
});

/** Every command that reads a configuration, but those that a person answers. */
const COMMANDS: readonly (readonly string[])[] = [
  ['config', 'print'],
  ['check'],
  ['validate'],
  ['diff'],
  ['backfill'],
  ['status'],
  ['events', 'list'],
  ['drops', 'list'],
  ['policies', '--table', 'sales.orders'],
  ['wait', '--table', 'sales.orders', '--timeout', '500ms'],
  ['notify', '--table', 'sales.orders', '--type', 'UPDATE', '--metadata-location', 'file:///warehouse/ext/x.json'],
  ['reconcile'],
];

/** What everybody could read when each command was run on a configuration, for people and for programs. */
async function everythingSaid(config: string): Promise<string> {
  const said: string[] = [];
  for (const command of COMMANDS) {
    for (const more of [[], ['--json', '--log-format', 'text']]) {
      const { stdout, stderr, exitCode } = await run([...command, '--config', config, '--log-level', 'debug', ...more]);
      said.push(`${command.join(' ')}: ${exitCode}`, stdout, stderr);
    }
  }
  return said.join('\n');
}

/** Makes an agent go on although everybody refuses it, as one does that has worked before. */
async function pretendPast(path: string): Promise<void> {
  await using ledger = await openLedger({ path }, { clock: systemClock, log: silentLog });
  await ledger.append([{ kind: 'seen', target: 'main', table: id('sales.orders'), count: 1 }]);
}

/** An answer with all its parts; of a stream what came within a moment; nothing when nobody listens. */
async function answerOf(origin: string, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  let said = '';
  try {
    const answer = await fetch(`${origin}${path}`, { headers, signal: AbortSignal.timeout(200) });
    said = `${path}: ${answer.status} ${JSON.stringify([...answer.headers])} `;
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) said += decoder.decode(chunk as Uint8Array, { stream: true });
  } catch {
    // The stream goes on, or the agent has ended.
  }
  return said;
}

/** `run` for some seconds, and what its HTTP server says meanwhile to people with and without the tokens. */
async function runAndAsk(config: string, port: number): Promise<string> {
  const { io, written } = recordingIo();
  const args = ['run', '--config', config, '--json', '--log-level', 'debug', '--once', '--within', '2s'];
  const over = new AbortController();
  const running = runCli(args, io).finally(() => over.abort());
  const said: string[] = [];
  const tokens = ['MARKED-http-token-0123456789', 'MARKED-http-token-wrong-one', undefined];
  const paths = [
    '/',
    '/metrics',
    '/livez',
    '/readyz',
    '/api/v1/drops/release',
    '/api/v1/events',
    '/api/v1/history',
    '/api/v1/notifications',
    '/api/v1/openapi.json',
    '/api/v1/retry',
    '/api/v1/status',
    '/api/v1/table',
    '/api/v1/tables',
    '/api/v1/tables/search',
    '/hooks/iceberg-rest',
    '/nowhere',
  ];
  while (!over.signal.aborted) {
    for (const token of tokens) {
      for (const path of paths) {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        said.push(await answerOf(`http://127.0.0.1:${port}`, path, headers));
      }
    }
    await systemClock.sleep(300, over.signal);
  }
  await running;
  return [...said, written.stdout, written.stderr].join('\n');
}

/** Lines with the mark, so that a failure says where it stood. */
const found = (said: string) => said.split('\n').filter((line) => line.includes(MARK));

async function world(manners: Manners) {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-secrets-'));
  opened.defer(() => rmSync(folder, { recursive: true }));
  const server: StandIn = opened.use(await echoHttp(manners));
  const ports: Ports = {
    http: server.port,
    postgres: postgres.port,
    listen: await freePort(),
    nowhere: await freePort(),
  };
  const configs = planted(folder, ports);
  const parts = opened.move();
  return { folder, server, ports, configs, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test('a marked value is planted under every secret key that a configuration may have', async () => {
  await using here = await world('none');
  const marked = new Set<string>();
  for (const content of Object.values(here.configs)) {
    for (const key of markedKeys(content, /headers$/)) marked.add(key);
  }
  const keys = new Set<string>();
  for (const load of Object.values(connectors)) {
    for (const key of secretKeys(configSchema((await load()).config))) keys.add(key);
  }
  expect(keys.size).toBeGreaterThan(10);
  expect([...marked].toSorted()).toEqual([...keys].toSorted());
});

describe.each<Manners>(['none', 'tokens'])('Of servers that repeat what they refuse, and obey in: %s', (manners) => {
  test.each(['hive', 'bearer', 'oauth2', 'token-exchange', 'glue', 'file', 'secret files'])(
    'no command says a secret, on a source or target of: %s',
    async (name) => {
      await using here = await world(manners);
      const config = join(here.folder, `${name.replace(' ', '-')}.yaml`);
      writeFileSync(config, JSON.stringify(here.configs[name])); // JSON is YAML
      const commands = await everythingSaid(config);
      await pretendPast(join(here.folder, `${name.replace(' ', '-')}.db`));
      const agent = await runAndAsk(config, here.ports.listen);
      const said = `${commands}\n${agent}\n${await everythingSaid(config)}`;
      expect(found(said)).toEqual([]);
      // And it would have: the servers were asked, with secrets, and what they said is there.
      const asked = here.server.seen.map(({ headers, body }) => JSON.stringify(headers) + body).join('\n');
      expect(`${asked} ${postgres.heard.join(' ')}`).toContain(MARK);
      expect(said).toContain('***');
      expect(agent).toContain('/metrics: 200');
      expect(agent).toContain('/metrics: 401');
    },
    60_000,
  );
});

test.each([
  ['a connection of another database', 'source: { kind: hive, connection: "mysql://me:MARKED@db/metastore" }'],
  ['a text that YAML does not take', 'source: { kind: hive, connection: "postgresql://me:MARKED@db/x }'],
  ['a misspelt key', 'source: { kind: hive, conection: "postgresql://me:MARKED@db/x" }'],
  ['a list instead of a text', 'source: { kind: hive, connection: ["postgresql://me:MARKED@db/x"] }'],
  ['a short token', 'http: { listen: "127.0.0.1:1", token: MARKED }'],
  ['a token with a blank', 'http: { listen: "127.0.0.1:1", token: "MARKED token with blanks" }'],
  ['a header that is none', 'targets: [{ name: a, uri: "http://a", catalog: b, headers: { X-Key: "MARKED\\n" } }]'],
  ['an address with credentials', 'targets: [{ name: a, uri: "http://me:MARKED@a", catalog: b }]'],
  ['two secrets where one belongs', 'targets: [{ name: a, auth: { token: MARKED1, client_secret: MARKED2 } }]'],
  ['a signing key of another form', 'forward: [{ kind: webhook, url: "http://a", secret: whsec_MARKED }]'],
  ['a secret and its file', 'forward: [{ kind: webhook, secret: MARKED, secret_file: /nowhere/at/all }]'],
  ['a variable with a secret in it', 'source: { kind: "${SECRET_KIND}" }'],
])('a configuration with %s is refused without what is in it', async (_, text) => {
  await using here = await world('none');
  const config = join(here.folder, 'invalid.yaml');
  writeFileSync(config, text);
  const options = { env: { SECRET_KIND: 'MARKED-value-of-a-variable' } };
  for (const more of [[], ['--json']]) {
    const { exitCode, stdout, stderr } = await run(['config', 'print', '--config', config, ...more], options);
    expect(exitCode).toBe(2);
    expect(found(`${stdout}\n${stderr}`)).toEqual([]);
  }
});
