import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { PushError } from '../../src/errors/errors.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { connectors } from './stub-connector.ts';

const SOURCE = `source:
  kind: stub
  connection: db://me@host/x
`;
const TARGETS = `targets:
  - name: main
    uri: http://127.0.0.1:8181/api/catalog
    catalog: mirror
    auth: { client_id: agent, client_secret: s3cr3t-value }
`;
const LEDGER = `ledger: { path: /tmp/ledger.db }
`;
const MINIMAL = SOURCE + TARGETS + LEDGER;

/** A folder with a configuration file and others. */
async function folder(files: Readonly<Record<string, string>>) {
  const path = await mkdtemp(join(tmpdir(), 'polaris-push-config-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function load(text: string, env: Record<string, string> = {}, secrets: Secrets = new Secrets()) {
  await using place = await folder({ 'agent.yaml': text });
  return await loadConfig(join(place.path, 'agent.yaml'), { env, connectors, secrets });
}

/** The problems of a configuration, without the name of its file. */
async function problems(text: string, env: Record<string, string> = {}): Promise<readonly string[]> {
  const error: unknown = await load(text, env).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PushError) || error.code !== 'CONFIG_INVALID')
    throw new Error('The configuration is valid.', { cause: error });
  return error.detail
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.*agent\.yaml:/, ''));
}

const one = async (text: string) => (await problems(text)).join(' | ');
const withFile = (key: string) => MINIMAL.replace('client_secret: s3cr3t-value', key);

describe('A configuration', () => {
  test('is normalised: camelCase, milliseconds, bytes, defaults', async () => {
    const { config } = await load(MINIMAL);
    expect(config).toMatchObject({
      source: { kind: 'stub', port: 5432, bufferBytes: 64 * 1024 ** 2, timeoutMs: 90_000 },
      targets: [{ name: 'main', catalog: 'mirror', auth: { clientId: 'agent' } }],
      reconcile: { everyMs: 900_000 },
      prechecks: 'new',
      recreate: 'keep',
      drops: { mode: 'fenced', budget: { floor: 20, share: 0.2, perMs: 600_000 } },
      shutdown: { drainMs: 30_000 },
      log: { level: 'info' },
    });
    expect(config.http).toBeUndefined();
  });

  test('takes every key of the documented example', async () => {
    const { config } = await load(`${MINIMAL}tables:
  include: ["sales.*", "finance.*"]
  exclude: ["*.tmp_*"]
  locations: [{ from: "s3a://", to: "s3://" }]
  namespace: { prefix: [lake, raw], flatten: __, case: lower }
reconcile: { every: 1h }
prechecks: always
recreate: replace
drops: { mode: report, budget: off }
http: { listen: "[::1]:9184" }
shutdown: { drain: 5s }
log: { level: debug, format: json }
`);
    expect(config).toMatchObject({
      tables: { include: [{ text: 'sales.*' }, { text: 'finance.*' }], namespace: { prefix: ['lake', 'raw'] } },
      drops: { mode: 'report', budget: undefined },
      http: { host: '::1', port: 9184 },
    });
  });

  test('may use anchors and aliases, and knows where they stand', async () => {
    const text = `x-auth: &auth { client_id: a, client_secret: b, tokn: c }\n${SOURCE}${LEDGER}targets:
  - { name: one, uri: "http://h/api", catalog: c, auth: *auth }
`;
    expect(await problems(text)).toEqual([
      '1: targets[0].auth.tokn: unknown key, did you mean token?',
      expect.stringContaining('1: x-auth: unknown key') as string,
    ]);
  });
});

describe('A variable', () => {
  test('is replaced in any value; a default is for an unset or empty one, and $${ stays', async () => {
    const text = MINIMAL.replace('db://me@host/x', () => '${HOST}/${NONE:-fallback}/${EMPTY:-full}/$${HOST}');
    const { config } = await load(text, { HOST: 'db://h', EMPTY: '' });
    expect(config.source).toMatchObject({ connection: 'db://h/fallback/full/${HOST}' });
  });

  test('becomes the number or switch that its key wants, and stays text elsewhere', async () => {
    const text = MINIMAL.replace('db://me@host/x', '"${PORT}"\n  port: ${PORT}\n  tls: ${TLS}');
    const { config } = await load(text, { PORT: '15432', TLS: 'true' });
    expect(config.source).toMatchObject({ connection: '15432', port: 15_432, tls: true });
  });

  test('that is not set is named with its key, once', async () => {
    const text = MINIMAL.replace('s3cr3t-value', '"${NOT_SET}"').replace('db://me@host/x', '${NOR_THIS}');
    expect(await problems(text)).toEqual([
      '3: source.connection: the environment variable NOR_THIS is not set',
      '8: targets[0].auth.client_secret: the environment variable NOT_SET is not set',
    ]);
  });

  test.for(['${', '${}', '${1X}', '${A-b}'])('%s is not one', async (value) => {
    expect(await problems(MINIMAL.replace('db://me@host/x', `"${value}"`))).toEqual([
      '3: source.connection: expected ${NAME} or ${NAME:-default}; write $${ for a literal ${',
    ]);
  });

  test('is not replaced by what another one holds', async () => {
    const { config } = await load(MINIMAL.replace('db://me@host/x', '${A}'), { A: '${B}', B: 'x' });
    expect(config.source).toMatchObject({ connection: '${B}' });
  });
});

describe('A secret', () => {
  test('may come from a file, whose trailing line feed does not count', async () => {
    await using place = await folder({ secret: 'from-a-file\n' });
    const secrets = new Secrets();
    const { config } = await load(withFile(`client_secret_file: ${place.path}/secret`), {}, secrets);
    expect(config.targets[0]?.auth).toMatchObject({ clientSecret: 'from-a-file' });
    expect(secrets.mask('is from-a-file')).toBe('is ***');
  });

  test('has a file for connectors, too, and the file may be named by a variable', async () => {
    await using place = await folder({ secret: 'pw' });
    const text = MINIMAL.replace('db://me@host/x', 'x\n  password_file: ${FOLDER}/secret');
    expect((await load(text, { FOLDER: place.path })).config.source).toMatchObject({ password: 'pw' });
  });

  test('whose file is missing, empty, a folder or unreadable says so', async () => {
    await using place = await folder({ empty: '\n', locked: 'x' });
    await chmod(join(place.path, 'locked'), 0o000);
    const reason = async (name: string) =>
      (await problems(withFile(`client_secret_file: ${place.path}${name}`))).join();
    const at = '8: targets[0].auth.client_secret_file: the file';
    expect(await reason('/none')).toBe(`${at} ${place.path}/none cannot be read: it does not exist`);
    expect(await reason('')).toBe(`${at} ${place.path} cannot be read: it is a directory`);
    expect(await reason('/empty')).toBe(`${at} ${place.path}/empty is empty`);
  });

  test('is given once: beside its file it is an error', async () => {
    expect(await problems(withFile('client_secret: x, client_secret_file: /none'))).toEqual([
      '8: targets[0].auth.client_secret_file: given together with client_secret; keep one of them',
    ]);
  });

  test('is learnt, so that later output can be masked', async () => {
    const secrets = new Secrets();
    await load(MINIMAL.replace('db://me@host/x', 'db://me:url-password@host/x'), {}, secrets);
    expect(secrets.mask('s3cr3t-value and url-password')).toBe('*** and ***');
  });

  test('never shows in a problem, wherever it was put', async () => {
    expect((await problems(withFile('client_secret: 918273'))).join()).not.toContain('918273');
    const marked = 'MARKED-SECRET';
    for (const auth of [
      `auth: ${marked}`,
      `auth: [${marked}]`,
      `auth: { client_id: a, client_secret: [${marked}] }`,
      `auth: { client_id: a, client_secrt: ${marked} }`,
      `auth: { token: "${marked} x" }`,
      `auth: { client_id: a, client_secret: "${marked}`,
      `auth: { client_id: a, client_secret: x, client_secret_file: [${marked}] }`,
      `uri: "https://me:${marked}@host"`,
      `concurrency: { min: "\${SECRET}" }`,
      `uri: "\${SECRET}"`,
      `auth: { client_id: a, client_secret: *${marked} }`,
      `auth: { client_id: a, client_secret: !${marked} }`,
      `auth: { client_id: a, client_secret: !!${marked} x }`,
      `auth: { client_id: a, client_secret: "a" ${marked} }`,
      `auth: { client_id: a, client_secret: "\\${marked}" }`,
      `auth: { client_id: a, client_secret: @${marked} }`,
      `auth: { client_id: a, client_secret: %${marked} }`,
      `auth: { client_id: a, ${marked}: 1, ${marked}: 2 }`,
      `auth: { client_id: a } ${marked}`,
      `auth: { client_id: a }\n${marked}`,
      `auth: &${marked} *${marked}`,
    ]) {
      const text = MINIMAL.replace(/ {4}auth: .*/, `    ${auth}`);
      const found = (await problems(text, { SECRET: marked })).join('\n');
      expect(found).not.toContain(marked.slice(2));
    }
  });
});

describe('A mistake', () => {
  test('is told with file, line and path', async () => {
    const error: unknown = await load(`${MINIMAL}nonsense: 1`).catch((thrown: unknown) => thrown);
    expect((error as PushError).detail).toMatch(
      /^\n\/.*agent\.yaml:10: nonsense: unknown key; known here: source, tables, /,
    );
    expect((error as PushError).spec.exitCode).toBe(2);
  });

  test('is told together with all others, in the order of the file', async () => {
    const text = `${SOURCE.replace('kind', 'kind').replace('connection', 'conection')}${LEDGER}targets: []
reconcile: { every: 15 }
prechecks: sometimes
tables: { include: [sales] }
`;
    expect(await problems(text)).toEqual([
      '3: source.conection: unknown key, did you mean connection?',
      '5: targets: expected at least one target (found a list)',
      '6: reconcile.every: expected a duration with a unit, such as 500ms, 30s, 15m, 1h or 7d; write the unit: "15s"? (found the number 15)',
      '7: prechecks: expected new, always or never (found "sometimes")',
      '8: tables.include[0]: a pattern names a namespace and a table, such as "sales.*" (found "sales")',
    ]);
  });

  test.for([
    ['reconcile: { evry: 1m }', 'reconcile.evry: unknown key, did you mean every?'],
    ['drops: { budget: { flor: 1 } }', 'drops.budget.flor: unknown key, did you mean floor?'],
    ['drops: { budget: on }', 'drops.budget: expected off, or a section with floor, share and per (found text)'],
    ['drops: { budget: { share: 20 } }', 'drops.budget.share: expected at most 1 (found the number 20)'],
    ['drops: { budget: { share: high } }', 'drops.budget.share: expected a number (found "high")'],
    ['drops: { budget: { floor: 1.5 } }', 'drops.budget.floor: expected a whole number (found the number 1.5)'],
    ['tables: [a]', 'tables: expected a section (found a list)'],
    ['tables: { include: sales.* }', 'tables.include: expected a list (found text)'],
    ['tables:', 'tables: expected a section (found nothing after the colon)'],
    ['http: { listen: 9184 }', 'http.listen: expected text (found the number 9184)'],
    ['http: { listen: "9184" }', 'http.listen: expected an address and a port, such as 127.0.0.1:9184 (found "9184")'],
    [
      'http: { listen: "0.0.0.0:9184" }',
      'http.listen: non-loopback bind without a token: other machines can reach 0.0.0.0; set http.token or http.token_file, or listen on 127.0.0.1 (found "0.0.0.0:9184")',
    ],
    [
      'http: { listen: "[::]:9184" }',
      'http.listen: non-loopback bind without a token: other machines can reach ::; set http.token or http.token_file, or listen on 127.0.0.1 (found "[::]:9184")',
    ],
    [
      'http: { listen: "0.0.0.0:9184", token: "qwerty" }',
      'http.token: too short to be safe: at least 16 characters (found text)',
    ],
    ['http: { listen: "h:99999" }', 'http.listen: a port is at most 65535 (found "h:99999")'],
    [
      'shutdown: { drain: 5 minutes }',
      'shutdown.drain: expected a duration with a unit, such as 500ms, 30s, 15m, 1h or 7d (found "5 minutes")',
    ],
    ['log: { level: verbose }', 'log.level: expected debug, info, warn or error (found "verbose")'],
  ] as const)('%s', async ([text, expected]) => {
    expect(await one(`${MINIMAL}${text}\n`)).toBe(`10: ${expected}`);
  });

  test('in the source is told by its connector', async () => {
    expect(await one(MINIMAL.replace('db://me@host/x', 'x\n  port: many\n  buffer: 64'))).toBe(
      '4: source.port: expected a number (found "many") | 5: source.buffer: expected a size with a unit, such as 512KiB, 64MiB or 1GiB; write the unit: "64KiB"? (found the number 64)',
    );
  });

  test('in the kind of the source suggests the nearest, and the rest is checked all the same', async () => {
    expect(await one(`${MINIMAL.replace('stub', 'stubb')}log: { level: x }`)).toBe(
      '2: source.kind: no connector has this name, did you mean stub? | 10: log.level: expected debug, info, warn or error (found "x")',
    );
    expect(await one(MINIMAL.replace('kind: stub', 'kind: 7'))).toContain('no connector has this name, known: stub');
    expect(await one(MINIMAL.replace('  kind: stub\n', ''))).toContain(
      '1: source.kind: missing; expected one of: stub',
    );
    expect(await one(TARGETS + LEDGER)).toContain('1: source: missing; it names the connector with kind: stub');
  });

  test('of a missing key names it, at the line of its section', async () => {
    expect(await one(MINIMAL.replace('    catalog: mirror\n', ''))).toBe('5: targets[0].catalog: missing');
    expect(await one(SOURCE + LEDGER)).toBe('1: targets: missing');
  });

  test('of two targets with one name is told at the second', async () => {
    expect(await one(SOURCE + LEDGER + TARGETS + TARGETS.replace('targets:\n', ''))).toBe(
      '10: targets[1].name: another target has the same name (found "main")',
    );
  });

  test('in the YAML is told by line and column', async () => {
    expect(await one(`${SOURCE}targets: [\n`)).toMatch(/^\d+: not valid YAML at column \d+: /);
    expect(await one(`${MINIMAL}prechecks: new\nprechecks: new\n`)).toContain(
      '11: not valid YAML at column 1: Map keys must be unique',
    );
    expect(await one(MINIMAL.replace('s3cr3t-value', '${SECRET}'))).toContain('a ${NAME} needs quotes');
    expect(await one(MINIMAL.replace('s3cr3t-value', '*star'))).toBe(
      '8: not valid YAML: Unresolved alias (the anchor must be set before the alias); text that begins with * needs quotes',
    );
    expect(await one('\ttabs: 1')).toContain('not valid YAML');
    expect(await one(`${MINIMAL}---\na: 1\n`)).toContain('not valid YAML');
  });

  test('of a file that holds no section at all', async () => {
    for (const text of ['', '# nothing', 'text', '- a'])
      expect(await one(text)).toBe('1: expected a section with the keys source, targets and ledger');
  });

  test('in the path of the file is told by its reason', async () => {
    const options = { env: {}, connectors, secrets: new Secrets() };
    await expect(loadConfig('/none/agent.yaml', options)).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      detail: '/none/agent.yaml: it does not exist.',
    });
    await expect(loadConfig(tmpdir(), options)).rejects.toMatchObject({ detail: `${tmpdir()}: it is a directory.` });
  });
});
