import { describe, expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import type { ApplicablePolicy } from '../../src/polaris/policies.ts';
import { policyOrigins } from '../../src/polaris/policy-origins.ts';
import { PRIVILEGES } from '../../src/polaris/provisioning.ts';
import { containing, rejection } from './matchers.ts';
import { clientOf, COMPACTION, CONTENT, policiesOf, PolicyServer } from './policy-server.ts';
import { curlCalls } from './shell-commands.ts';
import { type Behaviour, polaris, polarisError, StandIn, TOKEN } from './stand-in.ts';

const never = new AbortController().signal;
const ORDERS = { namespace: ['sales', 'eu'], name: 'orders' };
const EXPIRY = 'system.snapshot-expiry';

/** `sales.eu.orders`, with a policy at the catalog, at each namespace, and one at the table. */
async function orders(): Promise<PolicyServer> {
  const server = await PolicyServer.open();
  await server.table(['sales', 'eu'], 'orders');
  const rules = ['sales'] as const;
  await server.define(rules, 'compact');
  await server.define(rules, 'compact-eu');
  await server.define(rules, 'expire', { type: EXPIRY, content: '{"enable":true}' });
  await server.define(rules, 'orphans', { type: 'system.orphan-file-removal', content: '{"enable":false}' });
  await server.attach([rules, 'compact'], 'catalog');
  await server.attach([rules, 'compact-eu'], 'namespace', ['sales', 'eu']);
  await server.attach([rules, 'expire'], 'namespace', ['sales']);
  await server.attach([rules, 'orphans'], 'table-like', ['sales', 'eu', 'orders']);
  return server;
}

const names = (policies: readonly ApplicablePolicy[]) =>
  policies.map(({ name, inherited }) => `${name}${inherited ? ' (inherited)' : ''}`).toSorted();

describe('the policies of a table', () => {
  test('are the nearest of each type, with who they are', async () => {
    await using server = await orders();
    await using client = await server.client();
    const policies = await client.applicable(ORDERS, {}, never);
    expect(names(policies)).toEqual(['compact-eu (inherited)', 'expire (inherited)', 'orphans']);
    expect(policies.find(({ type }) => type === COMPACTION)).toEqual({
      type: COMPACTION,
      inheritable: true,
      name: 'compact-eu',
      content: CONTENT,
      version: 0,
      inherited: true,
      namespace: ['sales'],
    });
  });

  test('can be asked for by type, also by one that Polaris does not know and therefore ignores', async () => {
    await using server = await orders();
    await using client = await server.client();
    expect(names(await client.applicable(ORDERS, { type: EXPIRY }, never))).toEqual(['expire (inherited)']);
    expect(await client.applicable(ORDERS, { type: 'system.nope' }, never)).toEqual([]);
  });

  test('count their versions', async () => {
    await using server = await orders();
    await using client = await server.client();
    await server.define(['sales'], 'expire', { content: '{"enable":false}', version: 1 });
    const [expire] = await client.applicable(ORDERS, { type: EXPIRY }, never);
    expect(expire).toMatchObject({ version: 1, content: '{"enable":false}' });
  });

  test('are lost with the table by a DROP, but for the inherited ones', async () => {
    await using server = await orders();
    await using client = await server.client();
    await server.notify([ORDERS.namespace, 'orders'], 'DROP', 2);
    await server.table(ORDERS.namespace, 'orders', 3);
    expect(names(await client.applicable(ORDERS, {}, never))).toEqual(['compact-eu (inherited)', 'expire (inherited)']);
  });

  test('can be asked for of a namespace and of the catalog as well', async () => {
    await using server = await orders();
    await using client = await server.client();
    expect(names(await client.applicableWithin(['sales'], {}, never))).toEqual(['compact (inherited)', 'expire']);
    expect(names(await client.applicableWithin([], {}, never))).toEqual(['compact']);
  });

  test('of a table with any name are asked for by that name', async () => {
    await using server = await PolicyServer.open();
    const odd = { namespace: ['ns.1', 'a&b=c'], name: 'ünï %1F/?#' };
    await server.table(odd.namespace, odd.name);
    await server.define(odd.namespace, 'p');
    await server.attach([odd.namespace, 'p'], 'table-like', [...odd.namespace, odd.name]);
    await using client = await server.client();
    expect(names(await client.applicable(odd, {}, never))).toEqual(['p']);
  });
});

const origins = async (server: PolicyServer, auth?: object) => {
  await using client = await server.client(auth);
  const policies = await client.applicable(ORDERS, {}, never);
  const found = await policyOrigins(client, { table: ORDERS, policies }, {}, never);
  return Object.fromEntries(policies.map(({ name }, i) => [name, found[i]]));
};

describe('where a policy is attached', () => {
  test('is found level by level', async () => {
    await using server = await orders();
    await server.define(['sales'], 'metadata', { type: 'system.metadata-compaction', content: '{"enable":true}' });
    await server.attach([['sales'], 'metadata'], 'catalog');
    expect(await origins(server)).toEqual({
      orphans: { kind: 'table' },
      'compact-eu': { kind: 'namespace', namespace: ['sales', 'eu'] },
      expire: { kind: 'namespace', namespace: ['sales'] },
      metadata: { kind: 'catalog' },
    });
  });

  test('is not asked for beyond what is needed', async () => {
    await using server = await orders();
    await using client = await server.client();
    const policies = await client.applicable(ORDERS, { type: COMPACTION }, never);
    const seen: string[] = [];
    server.session.emulator.onRequest(({ kind, path }) => void (kind === 'policy' && seen.push(path)));
    await policyOrigins(client, { table: ORDERS, policies }, { type: COMPACTION }, never);
    expect(seen.length).toBe(1);
  });

  test('stays unknown above the level that may not be looked at, with the commands that change this', async () => {
    await using server = await orders();
    const auth = await server.principal('reader', ['TABLE_READ_PROPERTIES']);
    const { orphans, expire } = await origins(server, auth);
    expect(orphans).toEqual({ kind: 'table' });
    expect(expire).toMatchObject({ kind: 'unknown', error: { code: 'POLARIS_FORBIDDEN' } });
    expect((expire as { error: PushError }).error.fix).toContain('NAMESPACE_READ_PROPERTIES');
  });

  test('is nothing when it was taken off meanwhile', async () => {
    await using server = await orders();
    await using client = await server.client();
    const policies = await client.applicable(ORDERS, { type: EXPIRY }, never);
    await server.must('DELETE', `${policiesOf(['sales'])}/expire?detach-all=true`);
    expect(await policyOrigins(client, { table: ORDERS, policies }, {}, never)).toEqual([{ kind: 'unknown' }]);
  });
});

describe('what Polaris refuses', () => {
  test('a table that is not there, and one that cannot be', async () => {
    await using server = await orders();
    await using client = await server.client();
    const ask = (namespace: string[], name: string) => rejection(client.applicable({ namespace, name }, {}, never));
    const missing = await ask(['sales', 'eu'], 'nope');
    expect(missing).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE', spec: { exitCode: 2 } });
    expect(missing).toMatchObject({ message: containing('Table does not exist: sales.eu.nope') });
    expect(await ask(['nope'], 'orders')).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE' });
    // Polaris would answer for the namespace.
    expect(await ask(['sales', 'eu'], '')).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE' });
    const within = await rejection(client.applicableWithin(['nope'], {}, never));
    expect(within).toMatchObject({ code: 'POLARIS_NO_SUCH_TABLE' });
  });

  test('a principal without the privilege, who gets the commands that grant it', async () => {
    await using server = await orders();
    const auth = await server.principal('nobody', []);
    await using client = await server.client(auth);
    const denied = (await rejection(client.applicable(ORDERS, {}, never))) as PushError;
    expect(denied).toMatchObject({ code: 'POLARIS_FORBIDDEN', spec: { exitCode: 4 } });
    expect(denied.message).toContain('principal nobody lacks TABLE_READ_PROPERTIES on ext');
    // The commands are run as they stand there.
    for (const { method, url, body } of curlCalls(denied.fix, 'unused')) {
      const reply = await server.send(
        method,
        url.slice(server.session.emulator.uri.length),
        JSON.parse(body ?? 'null'),
      );
      expect(reply.status).toBeLessThan(300);
    }
    expect(names(await client.applicable(ORDERS, {}, never))).toContain('orphans');
  });

  test('a reader of the table, and the agent itself, only what lies above the table', async () => {
    await using server = await orders();
    for (const [name, privileges] of [
      ['reader', ['TABLE_READ_PROPERTIES']],
      ['agent', PRIVILEGES],
    ] as const) {
      await using client = await server.client(await server.principal(name, privileges));
      expect(names(await client.applicable(ORDERS, {}, never))).toHaveLength(3);
      expect(await rejection(client.applicableWithin([], {}, never))).toMatchObject({
        code: 'POLARIS_FORBIDDEN',
        fix: containing('CATALOG_READ_PROPERTIES'),
      });
    }
  });

  test('a token that is no good', async () => {
    await using server = await orders();
    await using client = await server.client({ token: 'nonsense' });
    expect(await rejection(client.applicable(ORDERS, {}, never))).toMatchObject({ code: 'POLARIS_UNAUTHORIZED' });
  });

  test('nobody listening is unavailability', async () => {
    await using server = await orders();
    await using client = await server.client();
    await server.session.emulator.pause();
    expect(await rejection(client.applicable(ORDERS, {}, never))).toMatchObject({ code: 'POLARIS_UNAVAILABLE' });
  });

  test('an abort ends the asking with its reason', async () => {
    await using server = await StandIn.start(polaris(() => undefined));
    await using client = await clientOf(`http://127.0.0.1:${server.port}/api/catalog`, { token: TOKEN });
    const stopping = new AbortController();
    const asked = rejection(client.applicable(ORDERS, {}, stopping.signal));
    stopping.abort(new Error('enough'));
    expect(await asked).toMatchObject({ message: 'enough' });
  });
});

/** A policy as Polaris sends it. */
const wirePolicy = (name: string) => ({
  'policy-type': COMPACTION,
  inheritable: true,
  name,
  description: null,
  content: CONTENT,
  version: 3,
  inherited: true,
  namespace: ['rules'],
});

const asked = async (behaviour: Behaviour) => {
  await using server = await StandIn.start(polaris(behaviour));
  await using client = await clientOf(`http://127.0.0.1:${server.port}/api/catalog`, { token: TOKEN });
  const outcome = await client.applicable(ORDERS, { type: COMPACTION }, never).catch((error: unknown) => error);
  return { outcome, paths: server.paths(/applicable-policies/) };
};

/** Answers with one policy a page. */
const pages = (next: (token: string | null, at: number) => string | null): Behaviour => {
  let at = 0;
  return ({ path }) => {
    const token = new URL(path, 'http://x').searchParams.get('pageToken');
    at++;
    return { status: 200, json: { 'next-page-token': next(token, at), 'applicable-policies': [wirePolicy(`p${at}`)] } };
  };
};

describe('an answer that', () => {
  test('comes in pages is read to its end; the first request is the recorded one', async () => {
    const { outcome, paths } = await asked(
      pages((token) => (token === null ? 'a b&c' : token === 'a b&c' ? 'z' : null)),
    );
    expect(names(outcome as ApplicablePolicy[])).toEqual(['p1 (inherited)', 'p2 (inherited)', 'p3 (inherited)']);
    const asked1 = '/api/catalog/polaris/v1/ext/applicable-policies?namespace=sales%1Feu&target-name=orders';
    const first = `${asked1}&policyType=system.data-compaction`;
    expect(paths).toEqual([first, `${first}&pageToken=a%20b%26c`, `${first}&pageToken=z`]);
  });

  test.for([
    ['goes round in circles', pages((_, at) => ['a', 'b', 'a'][at - 1] ?? 'b'), 3, 'one that was read before'],
    ['never ends', pages((_, at) => `t${at}`), 100, 'no end after 100 pages'],
  ] as const)('%s is given up', async ([, behaviour, requests, why]) => {
    const { outcome, paths } = await asked(behaviour);
    expect(outcome).toMatchObject({ code: 'POLARIS_REFUSED', message: containing(why) });
    expect(paths.length).toBe(requests);
  });

  test('is larger than any policies are is cut off', async () => {
    const chunk = ' '.repeat(1024 * 1024);
    let sent = 0;
    const { outcome } = await asked((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        for (let room = true; room && sent < 200; sent++) room = response.write(chunk);
        if (sent < 200) response.once('drain', more);
        else response.end();
      };
      more();
      return undefined;
    });
    expect(outcome).toMatchObject({ code: 'POLARIS_REFUSED', message: containing('longer than 67108864 bytes') });
    expect(sent).toBeLessThan(200);
  });

  test.for([
    ['a web page', { status: 200, text: '<html><title>Log in</title></html>' }, 'it is not JSON'],
    ['no list', { status: 200, json: { policies: [] } }, 'no list of applicable policies'],
    ['an array', { status: 200, json: [] }, 'no list of applicable policies'],
    ['a nameless policy', { status: 200, json: { 'applicable-policies': [{ version: 1 }] } }, 'lacks a name'],
    [
      'a policy without a version',
      { status: 200, json: { 'applicable-policies': [{ ...wirePolicy('p'), version: '1' }] } },
      'lacks a name, type, version',
    ],
    [
      'a policy of nowhere',
      { status: 200, json: { 'applicable-policies': [{ ...wirePolicy('p'), namespace: 'ns' }] } },
      'or namespace',
    ],
  ] as const)('is %s is refused', async ([, answer, why]) => {
    expect((await asked(() => answer)).outcome).toMatchObject({ code: 'POLARIS_REFUSED', message: containing(why) });
  });

  test('says that there are no policies here tells what server has them', async () => {
    const noPath = 'Unable to find matching target resource method';
    const { outcome } = await asked(() => polarisError(404, 'NotFoundException', noPath));
    expect(outcome).toMatchObject({ code: 'POLARIS_REFUSED', fix: containing('since 1.0') });
  });

  test('has fields that are not known and lacks optional ones is read', async () => {
    const { 'policy-type': type, name, version, namespace } = wirePolicy('bare');
    const bare = { 'policy-type': type, name, version, namespace, 'next-thing': 1 };
    const { outcome } = await asked(() => ({ status: 200, json: { 'applicable-policies': [bare] } }));
    expect(outcome).toEqual([{ type, name, version, namespace, inheritable: false, inherited: false }]);
  });
});
