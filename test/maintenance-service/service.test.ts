import { describe, expect, test } from 'vitest';
import { MaintenanceService, type Decision } from '../../examples/maintenance-service/service.ts';
import { PushError } from '../../src/errors/errors.ts';
import type { TableEvent } from '../../src/forward/cloud-event.ts';
import type { ApplicablePolicy } from '../../src/polaris/policies.ts';
import { PolicyCache } from '../../src/polaris/policy-cache.ts';
import { MovableClock } from '../polaris/stand-in.ts';
import { enabled, eventOf, metadataOf, never, ORDERS, policy } from './fixture.ts';

const MINUTE = 60_000;

/** A service before a Polaris whose policies and table are given by the test. */
class Lab {
  readonly clock = new MovableClock();
  policies: readonly ApplicablePolicy[] = [policy(enabled())];
  location = 's3://lake/1.json';
  metadata: object = metadataOf(12, 1200);
  /** Thrown by the next questions. */
  failure: PushError | undefined;
  readonly asked = { policies: 0, tables: 0 };
  readonly service: MaintenanceService;

  constructor(maxTables?: number) {
    const client = {
      applicable: async () => {
        this.asked.policies += 1;
        if (this.failure !== undefined) throw this.failure;
        return this.policies;
      },
      loadTable: async () => {
        this.asked.tables += 1;
        if (this.failure !== undefined) throw this.failure;
        const metadata = { ...this.metadata };
        return { metadataLocation: this.location, metadata, config: {}, storageCredentials: [] };
      },
    };
    const policies = new PolicyCache(client, { clock: this.clock, maxAgeMs: MINUTE });
    this.service = new MaintenanceService({
      target: 'main',
      catalog: 'mirror',
      policies,
      client,
      sparkCatalog: 'hive',
      maxTables,
    });
  }

  async decide(event: TableEvent): Promise<Decision> {
    return (await this.service.handle(event, never)).decision;
  }

  /** An event of the state that Polaris serves; what came of it, in short. */
  async at(timestamp: number, location = this.location): Promise<string> {
    this.location = location;
    return gist(await this.decide(eventOf({ timestamp, location })));
  }
}

const gist = (decision: Decision): string =>
  decision.kind === 'skip' ? decision.reason : `plan at ${decision.plan.metadataLocation}`;

describe('an event leads to a plan', () => {
  test('for the state that Polaris serves, by the policy that applies', async () => {
    const lab = new Lab();
    const decision = await lab.decide(eventOf({ timestamp: 1, location: lab.location }));
    expect(decision).toMatchObject({
      kind: 'plan',
      plan: { table: ORDERS, metadataLocation: 's3://lake/1.json', policy: { name: 'sales.small-files', version: 0 } },
    });
  });

  test('again when the location has changed', async () => {
    const lab = new Lab();
    expect(await lab.at(1)).toBe('plan at s3://lake/1.json');
    expect(await lab.at(2, 's3://lake/2.json')).toBe('plan at s3://lake/2.json');
  });

  test('again when the version of the policy has, once the cache lets it be seen', async () => {
    const lab = new Lab();
    await lab.at(1);
    lab.policies = [policy(enabled({ 'min-input-files': 2 }), { version: 1 })];
    expect(await lab.at(1)).toBe('unchanged');
    lab.clock.advance(MINUTE);
    expect(await lab.at(1)).toBe('plan at s3://lake/1.json');
  });

  test('for a policy that was dropped and created anew, whose version begins at 0 again', async () => {
    const lab = new Lab();
    await lab.at(1);
    lab.clock.advance(MINUTE);
    lab.policies = [policy(enabled({ 'min-input-files': 2 }))];
    expect(await lab.at(1)).toBe('plan at s3://lake/1.json');
  });
});

describe('an event is skipped', () => {
  test('when it comes again, without a question', async () => {
    const lab = new Lab();
    await lab.at(1);
    const before = { ...lab.asked };
    expect(await lab.at(1)).toBe('unchanged');
    expect(lab.asked).toEqual(before);
  });

  test('when the table was ahead of its events already', async () => {
    const lab = new Lab();
    lab.location = 's3://lake/3.json';
    const of = async (timestamp: number, location: string) => gist(await lab.decide(eventOf({ timestamp, location })));
    expect(await of(1, 's3://lake/1.json')).toBe('plan at s3://lake/3.json');
    expect(await of(2, 's3://lake/2.json')).toBe('unchanged');
    expect(await of(3, 's3://lake/3.json')).toBe('unchanged');
  });

  test('when a later one of the table was handled before', async () => {
    const lab = new Lab();
    await lab.at(5);
    expect(await lab.at(4, 's3://lake/0.json')).toBe('overtaken');
  });

  test('when the table moved on by a rewrite, as a compaction does; a new policy is a reason nevertheless', async () => {
    const lab = new Lab();
    await lab.at(1);
    lab.metadata = metadataOf(1, 1200, 'replace');
    expect(await lab.at(2, 's3://lake/2.json')).toBe('rewritten');
    expect(await lab.at(2)).toBe('unchanged');
    lab.clock.advance(MINUTE);
    lab.policies = [policy(enabled(), { version: 1 })];
    expect(await lab.at(3, 's3://lake/3.json')).toBe('plan at s3://lake/3.json');
  });

  test.each<[why: string, policies: readonly ApplicablePolicy[], reason: string]>([
    ['no policy applies', [], 'no-policy'],
    ['policies of other types apply only', [policy(enabled(), { type: 'system.snapshot-expiry' })], 'no-policy'],
    ['the policy is disabled', [policy('{"enable":false}')], 'policy-disabled'],
    ['its content is no JSON', [policy('{enable')], 'policy-unreadable'],
    ['its content makes no sense', [policy(enabled({ 'min-input-files': 'many' }))], 'policy-unreadable'],
  ])('when %s, and no table is loaded for it', async (_, policies, reason) => {
    const lab = new Lab();
    lab.policies = policies;
    expect(await lab.at(1)).toBe(reason);
    expect(lab.asked.tables).toBe(0);
  });

  test('when the table has no data', async () => {
    const lab = new Lab();
    lab.metadata = { 'current-snapshot-id': -1, snapshots: [] };
    expect(await lab.at(1)).toBe('no-data');
  });

  test('when it is to be sorted by nothing; an order of the table is one', async () => {
    const lab = new Lab();
    lab.policies = [policy(enabled({ compaction_strategy: 'sort' }))];
    lab.metadata = { ...metadataOf(12, 1200), 'default-sort-order-id': 0 };
    expect(await lab.at(1)).toBe('no-sort-order');
    lab.metadata = { ...metadataOf(12, 1200), 'default-sort-order-id': 1 };
    expect(await lab.at(2)).toBe('plan at s3://lake/1.json');
  });

  test('when it is of another catalog or target', async () => {
    const lab = new Lab();
    expect(gist(await lab.decide(eventOf({ timestamp: 1, catalog: 'other' })))).toBe('other-catalog');
    expect(gist(await lab.decide(eventOf({ timestamp: 1, target: 'other' })))).toBe('other-catalog');
    expect(lab.asked).toEqual({ policies: 0, tables: 0 });
  });
});

describe('a dropped table', () => {
  test('is forgotten with its policies: what takes its name is planned for by its own', async () => {
    const lab = new Lab();
    await lab.at(1);
    expect(gist(await lab.decide(eventOf({ timestamp: 2, type: 'DROP' })))).toBe('table-dropped');
    expect(await lab.at(1)).toBe('overtaken');
    lab.policies = [];
    expect(await lab.at(3)).toBe('no-policy');
  });

  test('of which Polaris knows before its DROP is told is skipped, too', async () => {
    const lab = new Lab();
    lab.failure = new PushError('POLARIS_NO_SUCH_TABLE', 'sales.orders');
    expect(await lab.at(1)).toBe('table-dropped');
  });
});

describe('events', () => {
  test('fail when Polaris cannot be asked, and lead to a plan when they come again', async () => {
    const lab = new Lab();
    lab.failure = new PushError('POLARIS_UNAVAILABLE', 'down');
    await expect(lab.at(1)).rejects.toMatchObject({ code: 'POLARIS_UNAVAILABLE' });
    lab.failure = undefined;
    expect(await lab.at(1)).toBe('plan at s3://lake/1.json');
  });

  test('of one table are handled in turn, also when they come together', async () => {
    const lab = new Lab();
    const gists = await Promise.all([1, 1, 1].map((timestamp) => lab.at(timestamp)));
    expect(gists).toEqual(['plan at s3://lake/1.json', 'unchanged', 'unchanged']);
    expect(lab.asked).toEqual({ policies: 1, tables: 1 });
  });

  test('of more tables than are remembered lead to plans anew', async () => {
    const lab = new Lab(2);
    const of = (name: string) =>
      lab.decide(eventOf({ table: { namespace: ['sales'], name }, timestamp: 1, location: lab.location }));
    for (const name of ['a', 'b', 'c']) await of(name);
    expect([gist(await of('c')), gist(await of('a'))]).toEqual(['unchanged', 'plan at s3://lake/1.json']);
  });

  test('are timed hop by hop', async () => {
    const { receivedAt, policiesAt, decidedAt } = await new Lab().service.handle(eventOf({ timestamp: 1 }), never);
    expect(policiesAt).toBeGreaterThanOrEqual(receivedAt);
    expect(decidedAt).toBeGreaterThanOrEqual(policiesAt ?? Number.NaN);
  });
});
