import { describe, expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import type { TableIdentifier } from '../../src/core/types.ts';
import { PolicyCache, type CachedPolicy } from '../../src/polaris/policy-cache.ts';
import type { ApplicablePolicy, PolicyClient } from '../../src/polaris/policies.ts';
import { containing, rejection } from './matchers.ts';
import { COMPACTION, CONTENT, policiesOf, PolicyServer } from './policy-server.ts';
import { MovableClock } from './stand-in.ts';

const never = new AbortController().signal;
const MINUTE = 60_000;
const table = (name: string): TableIdentifier => ({ namespace: ['ns'], name });

const policy = (changes: Partial<ApplicablePolicy> = {}): ApplicablePolicy => ({
  type: COMPACTION,
  inheritable: true,
  name: 'compact',
  content: CONTENT,
  version: 0,
  inherited: true,
  namespace: ['ns'],
  ...changes,
});

/** A Polaris whose answers are given by the test, one at a time if it likes. */
class Answers implements Pick<PolicyClient, 'applicable'> {
  readonly asked: string[] = [];
  answer: (table: TableIdentifier, signal: AbortSignal) => Promise<readonly ApplicablePolicy[]>;

  constructor(policies: readonly ApplicablePolicy[] = [policy()]) {
    this.answer = () => Promise.resolve(policies);
  }

  applicable(of: TableIdentifier, _: object, signal: AbortSignal): Promise<readonly ApplicablePolicy[]> {
    this.asked.push(of.name);
    return this.answer(of, signal);
  }
}

function cacheOf(client: Pick<PolicyClient, 'applicable'>, options: { maxTables?: number; maxAgeMs?: number } = {}) {
  const clock = new MovableClock();
  return { clock, cache: new PolicyCache(client, { clock, maxAgeMs: MINUTE, ...options }) };
}

const only = ([first]: readonly CachedPolicy[]): CachedPolicy => {
  if (first === undefined) throw new Error('No policy applies.');
  return first;
};

describe('a table is asked about', () => {
  test('once within the greatest age, for all types', async () => {
    const client = new Answers([policy(), policy({ type: 'system.snapshot-expiry', name: 'expire' })]);
    const { cache, clock } = cacheOf(client);
    const names = async (type?: string) => (await cache.get(table('t'), { type }, never)).map(({ name }) => name);
    expect(await names()).toEqual(['compact', 'expire']);
    expect(await names(COMPACTION)).toEqual(['compact']);
    expect(await names('system.snapshot-expiry')).toEqual(['expire']);
    expect(await names('system.nope')).toEqual([]);
    clock.advance(MINUTE - 1000);
    expect(await names()).toHaveLength(2);
    expect(client.asked).toEqual(['t']);
    clock.advance(1001);
    await names();
    expect(client.asked).toEqual(['t', 't']);
  });

  test('once by all who ask together', async () => {
    const client = new Answers();
    const { cache } = cacheOf(client, { maxAgeMs: 0 });
    const all = await Promise.all(Array.from({ length: 50 }, () => cache.get(table('t'), {}, never)));
    expect(client.asked).toEqual(['t']);
    expect(new Set(all.map((policies) => policies[0])).size).toBe(1);
    await cache.get(table('t'), {}, never);
    expect(client.asked).toEqual(['t', 't']);
  });

  test('anew after it was forgotten, even while the answer is under way', async () => {
    const client = new Answers();
    const { cache } = cacheOf(client);
    const gate = Promise.withResolvers<readonly ApplicablePolicy[]>();
    client.answer = () => gate.promise;
    const early = cache.get(table('t'), {}, never);
    cache.forget(table('t'));
    client.answer = () => Promise.resolve([]);
    expect(await cache.get(table('t'), {}, never)).toEqual([]);
    gate.resolve([policy()]);
    expect(await early).toHaveLength(1);
    // The late answer has not taken the place of the newer one.
    expect(await cache.get(table('t'), {}, never)).toEqual([]);
    expect(client.asked).toEqual(['t', 't']);
    cache.forget(table('t'));
    cache.forget(table('nobody-asked'));
    await cache.get(table('t'), {}, never);
    expect(client.asked).toHaveLength(3);
  });

  test('anew after a failure, which all who waited get', async () => {
    const client = new Answers();
    const { cache } = cacheOf(client);
    client.answer = () => Promise.reject(new PushError('POLARIS_UNAVAILABLE', 'gone'));
    const failures = await Promise.all([1, 2].map(() => rejection(cache.get(table('t'), {}, never))));
    expect(failures).toMatchObject([{ code: 'POLARIS_UNAVAILABLE' }, { code: 'POLARIS_UNAVAILABLE' }]);
    expect(client.asked).toEqual(['t']);
    client.answer = () => Promise.resolve([]);
    expect(await cache.get(table('t'), {}, never)).toEqual([]);
  });

  test('anew when others were asked for since and there is no room for all', async () => {
    const client = new Answers();
    const { cache } = cacheOf(client, { maxTables: 2 });
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await cache.get(table(name), {}, never);
    expect(client.asked).toEqual(['a', 'b', 'c', 'b']);
  });
});

test('an abort ends the waiting of one and not of the others', async () => {
  const client = new Answers();
  const { cache } = cacheOf(client);
  const gate = Promise.withResolvers<readonly ApplicablePolicy[]>();
  client.answer = () => gate.promise;
  const stopping = new AbortController();
  const impatient = rejection(cache.get(table('t'), {}, stopping.signal));
  const patient = cache.get(table('t'), {}, never);
  stopping.abort(new Error('enough'));
  expect(await impatient).toMatchObject({ message: 'enough' });
  gate.resolve([policy()]);
  expect(await patient).toHaveLength(1);
});

test('closing the cache ends the request under way', async () => {
  const client = new Answers();
  const { cache } = cacheOf(client);
  client.answer = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  const waiting = rejection(cache.get(table('t'), {}, never));
  cache[Symbol.dispose]();
  expect(await waiting).toMatchObject({ message: 'The cache of policies was closed.' });
});

/** Each table has a policy of its own with a million characters, of which 64 MiB hold 67. */
const large = () => {
  const client = new Answers();
  let version = 0;
  const content = JSON.stringify('x'.repeat(1000 * 1000));
  client.answer = ({ name }) => Promise.resolve([policy({ name, content, version: version++ })]);
  const asked = async (cache: PolicyCache, name: string) => {
    const before = client.asked.length;
    await cache.get(table(name), {}, never);
    return client.asked.length > before;
  };
  /** Whether 60 tables are held together. */
  const holds = async (cache: PolicyCache) => {
    for (let i = 0; i < 60; i++) await cache.get(table(`t${i}`), {}, never);
    return !(await asked(cache, 't0'));
  };
  return { client, asked, holds };
};

describe('the content of a policy', () => {
  test('is parsed once per version, and shared by all tables that it applies to', async () => {
    const client = new Answers();
    const { cache, clock } = cacheOf(client);
    const value = async (name: string) => {
      const { parsed } = only(await cache.get(table(name), {}, never));
      return parsed.kind === 'json' ? parsed.value : parsed;
    };
    const first = await value('a');
    expect(first).toMatchObject({ enable: true });
    expect(await value('b')).toBe(first);
    clock.advance(2 * MINUTE);
    expect(await value('a')).toBe(first);
    client.answer = () => Promise.resolve([policy({ version: 1, content: '{"enable":false}' })]);
    clock.advance(2 * MINUTE);
    expect(await value('a')).toEqual({ enable: false });
  });

  test('that is not JSON is an error of that policy alone', async () => {
    const broken = policy({
      name: 'broken',
      type: 'custom.rules',
      namespace: ['a', 'b'],
      version: 7,
      content: 'enable: yes',
    });
    const { cache } = cacheOf(new Answers([broken, policy(), policy({ name: 'bare', content: undefined })]));
    const [first, second, third] = await cache.get(table('t'), {}, never);
    expect(first?.parsed).toMatchObject({
      kind: 'invalid',
      error: { code: 'POLICY_CONTENT_INVALID', message: containing('policy a.b.broken, version 7, is not JSON') },
    });
    expect(first?.content).toBe('enable: yes');
    expect(second?.parsed).toMatchObject({ kind: 'json', value: { enable: true } });
    expect(third?.parsed).toEqual({ kind: 'none' });
  });

  test('that is huge is named and not kept', async () => {
    const huge = policy({ name: 'huge', content: JSON.stringify('x'.repeat(1024 * 1024)) });
    const { cache } = cacheOf(new Answers([huge, policy()]));
    const [first, second] = await cache.get(table('t'), {}, never);
    expect(first).toMatchObject({ content: undefined, parsed: { kind: 'invalid' } });
    expect(first?.parsed).toMatchObject({ error: { message: containing('more than the 1048576 that are read') } });
    expect(second?.parsed.kind).toBe('json');
  });

  describe('is bounded in sum', () => {
    test('so that tables give way whose policies are large', async () => {
      const { client, asked, holds } = large();
      const { cache } = cacheOf(client);
      expect(await holds(cache)).toBe(true);
      for (let i = 60; i < 80; i++) await cache.get(table(`t${i}`), {}, never);
      // t0 was looked at last of the first 60.
      expect(await asked(cache, 't79')).toBe(false);
      expect(await asked(cache, 't40')).toBe(false);
      expect(await asked(cache, 't1')).toBe(true);
    });

    test('and what is replaced does not count any more', async () => {
      const { client, holds } = large();
      const { cache, clock } = cacheOf(client);
      for (let i = 0; i < 80; i++) {
        await cache.get(table('changing'), {}, never);
        clock.advance(2 * MINUTE);
      }
      expect(await holds(cache)).toBe(true);
    });

    test('nor does what was forgotten, even while its answer was under way', async () => {
      const { client, holds } = large();
      const { cache } = cacheOf(client);
      for (let i = 0; i < 40; i++) {
        const late = cache.get(table('forgotten'), {}, never);
        cache.forget(table('forgotten'));
        await late;
        await cache.get(table('forgotten'), {}, never);
        cache.forget(table('forgotten'));
      }
      expect(await holds(cache)).toBe(true);
    });
  });
});

const revisionOf = async (of: ApplicablePolicy) =>
  only(await cacheOf(new Answers([of])).cache.get(table('t'), {}, never)).revision;

describe('a revision', () => {
  test('tells policies, versions, and a policy from a later one of the same name', async () => {
    const revisions = await Promise.all(
      [
        policy(),
        policy({ version: 1 }),
        policy({ name: 'other' }),
        policy({ namespace: ['ns', 'b'] }),
        policy({ namespace: [], name: 'ns","compact' }),
        // Dropped and created anew: version 0 again.
        policy({ content: '{"enable":false}' }),
      ].map(revisionOf),
    );
    expect(new Set(revisions).size).toBe(revisions.length);
    expect(await revisionOf(policy({ inherited: false, description: 'new' }))).toBe(revisions[0]);
  });
});

test('1,000 events on 100 tables are 100 requests, and a changed policy is noticed when the answers are too old', async () => {
  await using server = await PolicyServer.open();
  for (let i = 0; i < 100; i++) await server.table(['ns'], `t${i}`);
  await server.define(['ns'], 'compact');
  await server.attach([['ns'], 'compact'], 'catalog');
  await using client = await server.client();
  const { cache, clock } = cacheOf(client);
  let requests = 0;
  server.session.emulator.onRequest(({ kind }) => void (kind === 'policy' && requests++));
  const round = () =>
    Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        const { version, revision } = only(await cache.get(table(`t${i % 100}`), { type: COMPACTION }, never));
        return `${version} ${revision}`;
      }),
    );
  const before = new Set(await round());
  await round();
  expect({ requests, revisions: before.size }).toEqual({ requests: 100, revisions: 1 });
  await server.must('DELETE', `${policiesOf(['ns'])}/compact?detach-all=true`);
  await server.define(['ns'], 'compact', { content: '{"enable":false}' });
  await server.attach([['ns'], 'compact'], 'catalog');
  expect(new Set(await round())).toEqual(before);
  clock.advance(MINUTE + 1);
  const after = new Set(await round());
  expect([...after, ...before].map((text) => text.slice(0, 2))).toEqual(['0 ', '0 ']);
  expect(after).not.toEqual(before);
});
