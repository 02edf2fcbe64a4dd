import { expect, test } from 'vitest';
import { COMPACTION, CONTENT, policiesOf, PolicyServer } from './policy-server.ts';

// What the recording holds is replayed by test/conformance; this is what Polaris's source says beyond it.

const NS = ['ns'];

test('one policy of a type is attached to a thing at a time, and it can be taken off', async () => {
  await using server = await PolicyServer.open();
  await server.table(NS, 't');
  for (const name of ['a', 'b']) await server.define(NS, name);
  const target = { type: 'table-like', path: ['ns', 't'] };
  const mapping = (method: string, name: string) =>
    server.send(method, `${policiesOf(NS)}/${name}/mappings`, { target });
  expect((await mapping('PUT', 'a')).status).toBe(204);
  const second = await mapping('PUT', 'b');
  expect([second.status, second.error]).toEqual([409, 'PolicyMappingAlreadyExistsException']);
  expect(second.text).toContain(`The policy mapping of same type (${COMPACTION}) for ext.ns.t already exists`);
  expect((await mapping('POST', 'b')).status).toBe(500);
  expect((await mapping('POST', 'a')).status).toBe(204);
  expect((await mapping('PUT', 'b')).status).toBe(204);
});

test.for([
  ['', 'Policy is empty'],
  ['{"enable"', 'The content is not JSON'],
  ['7', 'Invalid policy: 7'],
  ['{}', 'The content needs a boolean'],
  ['{"enable":true,"version":"2020-01-01"}', 'Invalid policy version'],
])('a policy with the content %j is refused', async ([content, message]) => {
  await using server = await PolicyServer.open();
  await server.table(NS, 't');
  const reply = await server.send('POST', policiesOf(NS), { name: 'p', type: COMPACTION, content });
  expect([reply.status, reply.error]).toEqual([400, 'InvalidPolicyException']);
  expect(reply.text).toContain(message);
  const missing = await server.send('GET', `${policiesOf(NS)}/p`);
  expect([missing.status, missing.error]).toEqual([404, 'NoSuchPolicyException']);
});

test('an update names the version that it is based on; the same text again is no new version', async () => {
  await using server = await PolicyServer.open();
  await server.table(NS, 't');
  await server.define(NS, 'p');
  const update = async (seen: number, content: string) => {
    const body = { content, 'current-policy-version': seen };
    const reply = await server.send('PUT', `${policiesOf(NS)}/p`, body);
    return reply.error ?? (JSON.parse(reply.text) as { policy: { version: number } }).policy.version;
  };
  expect(await update(1, '{"enable":false}')).toBe('PolicyVersionMismatchException');
  expect(await update(0, CONTENT)).toBe(0);
  expect(await update(0, '{"enable":false}')).toBe(1);
  expect(await update(0, CONTENT)).toBe('PolicyVersionMismatchException');
});

test('a namespace with a policy is not empty', async () => {
  await using server = await PolicyServer.open();
  await server.must('POST', '/api/catalog/v1/ext/namespaces', { namespace: NS });
  await server.define(NS, 'p');
  const path = '/api/catalog/v1/ext/namespaces/ns';
  expect((await server.send('DELETE', path)).error).toBe('NamespaceNotEmptyException');
  await server.must('DELETE', `${policiesOf(NS)}/p`);
  await server.must('DELETE', path);
});

test('what is attached to nothing that exists is refused', async () => {
  await using server = await PolicyServer.open();
  await server.table(NS, 't');
  await server.define(NS, 'p');
  const attach = async (target: unknown) => {
    const reply = await server.send('PUT', `${policiesOf(NS)}/p/mappings`, { target });
    return reply.error ?? reply.status;
  };
  expect(await attach({ type: 'table-like', path: ['ns', 'none'] })).toBe('NoSuchTableException');
  expect(await attach({ type: 'namespace', path: ['none'] })).toBe('NoSuchNamespaceException');
  expect(await attach({ type: 'view', path: ['ns', 'v'] })).toBe(400);
  expect(await attach('catalog')).toBe(400);
});

test('lists are filtered by a type that is known, and not at all by another', async () => {
  await using server = await PolicyServer.open();
  await server.table(NS, 't');
  await server.define(NS, 'compaction');
  await server.define(NS, 'expiry', { type: 'system.snapshot-expiry' });
  const names = async (query: string) => {
    const reply = await server.must('GET', `${policiesOf(NS)}${query}`);
    const { identifiers } = JSON.parse(reply.text) as { identifiers: readonly { name: string }[] };
    return identifiers.map(({ name }) => name).toSorted();
  };
  expect(await names('')).toEqual(['compaction', 'expiry']);
  expect(await names(`?policyType=${COMPACTION}`)).toEqual(['compaction']);
  expect(await names('?policyType=system.nope')).toEqual(['compaction', 'expiry']);
});
