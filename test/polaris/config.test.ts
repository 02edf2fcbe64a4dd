import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { targetConfig } from '../../src/polaris/config.ts';

const MINIMAL = {
  name: 'main',
  uri: 'https://polaris.example.com/api/catalog',
  catalog: 'hive_mirror',
  auth: { client_id: 'sync_agent', client_secret: 's3cr3t' },
};

const issuesOf = (config: unknown): readonly string[] =>
  (targetConfig.safeParse(config).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a target', () => {
  test('needs name, uri, catalog and auth; the rest has defaults', () => {
    expect(targetConfig.parse(MINIMAL)).toEqual({
      ...MINIMAL,
      auth: {
        kind: 'client-credentials',
        clientId: 'sync_agent',
        clientSecret: 's3cr3t',
        scope: 'PRINCIPAL_ROLE:ALL',
        tokenUri: undefined,
      },
      tls: { caFile: undefined },
      timeouts: { connectMs: 5000, headersMs: 30_000, bodyMs: 10_000, totalMs: 60_000 },
      concurrency: { min: 1, max: 64 },
      headers: {},
    });
    expect(issuesOf({}).map((issue) => issue.split(':')[0])).toEqual(['name', 'uri', 'catalog', 'auth']);
  });

  test('may say everything', () => {
    const config = targetConfig.parse({
      ...MINIMAL,
      realm: 'PROD',
      tls: { ca_file: '/etc/ca.pem' },
      timeouts: { connect: '1s', headers: '2s', body: '500ms', total: '1m' },
      concurrency: { min: 2, max: 8 },
      headers: { 'X-Gateway-Key': 'abc' },
    });
    expect(config).toMatchObject({
      realm: 'PROD',
      tls: { caFile: '/etc/ca.pem' },
      timeouts: { connectMs: 1000, headersMs: 2000, bodyMs: 500, totalMs: 60_000 },
      concurrency: { min: 2, max: 8 },
      headers: { 'X-Gateway-Key': 'abc' },
    });
  });

  test('has an address without trailing slash, wherever it leads', () => {
    expect(targetConfig.parse({ ...MINIMAL, uri: 'http://h:8181/api/catalog//' }).uri).toBe(
      'http://h:8181/api/catalog',
    );
    expect(targetConfig.parse({ ...MINIMAL, uri: 'http://h:8181' }).uri).toBe('http://h:8181');
  });

  test.each([
    ['ftp://h/api/catalog', 'uri: expected an http:// or https:// address'],
    ['polaris:8181/api/catalog', 'uri: expected an http:// or https:// address'],
    ['not an address', 'uri: expected an http:// or https:// address'],
    ['https://user:planted@h/api/catalog', 'uri: put credentials under auth, not into the address'],
    ['https://h/api/catalog?x=planted', 'uri: expected an address without ? and #'],
  ])('refuses the address %s', (uri, issue) => {
    expect(issuesOf({ ...MINIMAL, uri })).toEqual([issue]);
    expect(issue).not.toContain('planted');
  });

  test.each([
    ['a name that is none', { name: 'no spaces' }, /^name: expected 1 to 63 letters/],
    ['an empty catalog', { catalog: '' }, /^catalog: /],
    ['an unknown key', { catalogue: 'x' }, /Unrecognized key: "catalogue"/],
    ['a bare number of seconds', { timeouts: { total: 60 } }, /^timeouts\.total: expected a duration with a unit/],
    ['no concurrency', { concurrency: { max: 0 } }, /^concurrency\.max: /],
    ['limits the wrong way round', { concurrency: { min: 9, max: 8 } }, /^concurrency\.min: min is greater than max/],
    ['a header of its own', { headers: { Authorization: 'x' } }, /^headers\.Authorization: this header is set/],
    ['a header that is none', { headers: { 'a b': 'x' } }, /^headers\.a b: not the name of a header/],
    ['a header value with a line break', { headers: { a: 'x\r\ny: z' } }, /^headers\.a: has characters/],
    ['a realm with a line break', { realm: 'a\nb' }, /^realm: has characters/],
  ])('refuses %s', (_, change, issue) => {
    const issues = issuesOf({ ...MINIMAL, ...change });
    expect(issues).toHaveLength(1);
    expect(issues[0]).toMatch(issue);
  });
});

const auth = (config: unknown) => targetConfig.parse({ ...MINIMAL, auth: config }).auth;
const issues = (config: unknown) => issuesOf({ ...MINIMAL, auth: config });

describe('auth', () => {
  test('is a token, a file with a token, or client credentials', () => {
    expect(auth({ token: 'abc' })).toEqual({ kind: 'token', token: 'abc' });
    expect(auth({ token_file: '/run/token' })).toEqual({ kind: 'token-file', path: '/run/token' });
    expect(auth({ client_id: 'i', client_secret: 's', scope: '', token_uri: 'https://idp.example.com/token' })).toEqual(
      {
        kind: 'client-credentials',
        clientId: 'i',
        clientSecret: 's',
        scope: '',
        tokenUri: 'https://idp.example.com/token',
      },
    );
  });

  test('is exactly one of them', () => {
    expect(issues({})).toEqual([
      'auth: expected exactly one of client_id and client_secret, token, or token_file, got none of them',
    ]);
    expect(issues({ client_id: 'i', client_secret: 's', token: 'planted' })).toEqual([
      'auth: expected exactly one of client_id and client_secret, token, or token_file, got client_id and client_secret beside token',
    ]);
    expect(issues({ token: 'planted', token_file: '/run/token' })).toHaveLength(1);
  });

  test('names the half that is missing', () => {
    expect(issues({ client_id: 'i' })).toEqual([
      'auth.client_secret: missing; client_id needs it (or client_secret_file)',
    ]);
    expect(issues({ client_secret: 's' })).toEqual(['auth.client_id: missing; client_secret needs it']);
  });

  test('takes scope and token_uri only where they mean something', () => {
    expect(issues({ token: 'abc', scope: 'x' })).toEqual(['auth.scope: goes with client_id and client_secret only']);
    expect(issues({ token_file: '/t', token_uri: 'https://idp.example.com' })).toHaveLength(1);
  });

  test('takes no token that a header cannot carry', () => {
    expect(issues({ token: 'planted\n' })).toEqual([
      'auth.token: has blanks or other characters that no bearer token holds',
    ]);
  });
});

test('every key has a description, and secrets are marked', () => {
  const schema = z.toJSONSchema(targetConfig, { io: 'input' });
  const bare: string[] = [];
  const secrets: string[] = [];
  type Node = { readonly description?: string; readonly secret?: boolean; readonly properties?: Record<string, Node> };
  const visit = (node: Node, path: string): void => {
    if (path !== '' && node.description === undefined) bare.push(path);
    if (node.secret === true) secrets.push(path);
    for (const [key, child] of Object.entries(node.properties ?? {})) visit(child, `${path}.${key}`);
  };
  visit(schema as Node, '');
  expect(bare).toEqual([]);
  expect(secrets).toEqual(['.auth.client_secret', '.auth.token']);
});
