import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBody, decodeEvent, type Origin } from '../../../connectors/glue/decode.ts';
import * as samples from './samples.ts';

const OURS: Origin = { region: 'eu-west-1', accounts: ['123456789012'], catalogId: undefined };

const decode = (event: unknown, origin = OURS) => decodeBody(JSON.stringify(event), origin);

/** `upserted sales.orders`, or `ignored WHY`. */
function told(event: unknown, origin = OURS): string[] {
  const decoded = decode(event, origin);
  if (decoded.kind === 'unreadable') return [`unreadable: ${decoded.detail}`];
  return [
    ...decoded.announcements.map(({ kind, database, tables, whole }) =>
      [kind, `${database}.${tables.join('+')}`, ...(whole ? ['and all others'] : [])].join(' '),
    ),
    ...decoded.ignored.map(({ kind, detail }) => `ignored ${kind}: ${detail}`),
  ];
}

describe('Glue’s own events', () => {
  test.each([
    ['CreateTable under the database', samples.createTable, ['upserted sales.orders']],
    ['UpdateTable under the table', samples.updateTable, ['upserted sales.orders']],
    ['UpdateTable under the database', samples.updateUnderDatabase, ['upserted sales.orders']],
    ['UpdateTable with both members', samples.updateWithBoth, ['upserted sales.orders+returns']],
    ['DeleteTable', samples.deleteTable, ['dropped sales.orders']],
    ['DeleteDatabase, which names no table', samples.deleteDatabase, ['dropped sales. and all others']],
    ['CreateDatabase, which concerns no table', samples.createDatabase, ['ignored other-operation: CreateDatabase']],
    ['a crawler’s', samples.crawler, ['ignored other-type: Glue Crawler State Change']],
  ])('%s', (_name, event, expected) => expect(told(event)).toEqual(expected));

  test('all 100 names of a BatchDeleteTable are in one announcement', () => {
    const decoded = decode(samples.batchDelete);
    expect(decoded).toMatchObject({ announcements: [{ kind: 'dropped', database: 'sales' }] });
    expect(decoded.kind === 'event' && decoded.announcements[0]?.tables).toHaveLength(100);
  });

  test.each(samples.partitions)('partitions are dropped, however they are written: %j', (event) => {
    expect(told(event)).toEqual(['ignored other-operation: BatchCreatePartition']);
  });

  test('names come from the detail, never from an ARN', () => {
    expect(told(samples.updateWithOddArn)).toEqual(['upserted sales.orders']);
  });

  test('the time, in whole seconds, and the id of the event come along', () => {
    expect(decode(samples.updateTable)).toMatchObject({
      announcements: [{ at: Date.UTC(2026, 3, 25, 15, 40, 7), id: '5089ddb8-2ab5-4739-7323-8519741f53d7' }],
    });
  });

  test('an operation of tables that is not known yet is a hint all the same', () => {
    const detail = { databaseName: 'sales', typeOfChange: 'RenameTable', tableName: 'orders' };
    expect(told({ ...samples.updateTable, detail })).toEqual(['upserted sales.orders']);
  });

  test('a name with upper case or odd characters is handed on as it is', () => {
    const detail = { databaseName: 'Säles-1', typeOfChange: 'UpdateTable', tableName: 'Or ders/…' };
    expect(told({ ...samples.updateTable, detail })).toEqual(['upserted Säles-1.Or ders/…']);
  });
});

describe('CloudTrail’s records', () => {
  test.each([
    ['update', ['upserted sales.orders']],
    ['create', ['upserted sales.orders']],
    ['delete', ['dropped sales.orders']],
    ['batchDelete', ['dropped sales.orders+returns']],
    ['deleteDatabase', ['dropped sales. and all others']],
    ['createDatabase', ['ignored other-operation: CreateDatabase']],
    ['failed', ['ignored failed-call: UpdateTable: ConcurrentModificationException']],
    ['cut', ['ignored nameless: UpdateTable']],
    ['optimizer', ['ignored other-operation: UpdateTableOptimizer']],
    ['grant', ['ignored other-type: AWS API Call via CloudTrail: lakeformation.amazonaws.com']],
    ['ofAnotherCatalog', ['ignored foreign: catalog 123456789012:s3tablescatalog/bucket']],
  ] as const)('%s', (name, expected) => expect(told(samples.trail[name])).toEqual(expected));

  test('the call’s own time and id count, not those of the envelope', () => {
    expect(decode(samples.trail.update)).toMatchObject({
      announcements: [{ at: Date.UTC(2026, 3, 25, 15, 41, 12), id: '2617428d-715f-edef-70b8-d210da0317a0' }],
    });
  });
});

describe('Wrappers', () => {
  test.each([
    ['SNS', samples.inSns(samples.updateTable)],
    ['SNS as fauxqs writes it', samples.inSns(samples.updateTable, { Subject: null, MessageAttributes: {} })],
    ['SNS with raw delivery', samples.updateTable],
    ['a record of SQS, from a pipe', [samples.record(JSON.stringify(samples.updateTable))]],
    ['records of Lambda', { Records: [samples.record(JSON.stringify(samples.updateTable))] }],
    [
      'SNS in a record in a record',
      {
        Records: [samples.record(JSON.stringify([samples.record(JSON.stringify(samples.inSns(samples.updateTable)))]))],
      },
    ],
  ])('%s', (_name, body) => expect(told(body)).toEqual(['upserted sales.orders']));

  test('several records are several announcements', () => {
    const bodies = [samples.createTable, samples.deleteDatabase].map((event) => samples.record(JSON.stringify(event)));
    expect(told({ Records: bodies })).toEqual(['upserted sales.orders', 'dropped sales. and all others']);
  });

  test('a body that is the detail alone is read only where the configuration says so', () => {
    const detail = JSON.stringify(samples.updateTable.detail);
    expect(decodeBody(detail, OURS).kind).toBe('unreadable');
    expect(decodeBody(detail, OURS, 'detail')).toMatchObject({ announcements: [{ tables: ['orders'] }] });
  });

  test('an event that Lambda hands over as an object needs no text', () => {
    expect(decodeEvent(samples.updateTable, OURS)).toEqual(decode(samples.updateTable));
  });

  test('wrappers that never end are not followed', () => {
    const nested = [1, 2, 3, 4, 5].reduce<object>((inner) => samples.inSns(inner), samples.updateTable);
    expect(told(nested)).toEqual(['unreadable: Envelopes are nested more than 3 deep.']);
  });
});

describe('Events of others', () => {
  test.each([
    ['another account', { ...samples.updateTable, account: '999999999999' }, 'account 999999999999'],
    ['another region', { ...samples.updateTable, region: 'us-east-1' }, 'region us-east-1'],
    [
      'another catalog',
      { ...samples.updateTable, detail: { ...samples.updateTable.detail, catalogId: '999999999999' } },
      'catalog 999999999999',
    ],
  ])('of %s are told apart', (_name, event, detail) => expect(told(event)).toEqual([`ignored foreign: ${detail}`]));

  test('before the account is known, any is taken, as a hint does no harm', () => {
    const event = { ...samples.updateTable, account: '999999999999' };
    expect(told(event, { ...OURS, accounts: undefined })).toEqual(['upserted sales.orders']);
  });

  test('the catalog’s own events are taken whichever account made them, if they name the catalog', () => {
    const detail = { ...samples.updateTable.detail, catalogId: '123456789012' };
    const event = { ...samples.updateTable, account: '999999999999', detail };
    expect(told(event)).toEqual(['upserted sales.orders']);
    expect(told(event, { ...OURS, catalogId: '123456789012' })).toEqual(['upserted sales.orders']);
  });

  test('a nested catalog takes its own events, and those that name no catalog', () => {
    const nested: Origin = { ...OURS, catalogId: '123456789012:s3tablescatalog/bucket' };
    expect(told(samples.trail.ofAnotherCatalog, nested)).toEqual(['upserted sales.orders']);
    expect(told(samples.trail.delete, nested)).toEqual(['ignored foreign: catalog 123456789012']);
    expect(told(samples.updateTable, nested)).toEqual(['upserted sales.orders']);
  });
});

describe('What is no event', () => {
  test.each(['', 'hello', '{', '[1]', '12', 'null', '"text"', '{}', '{"Records":[{"body":"{"}]}'])(
    '%j is unreadable',
    (body) => expect(decodeBody(body, OURS).kind).toBe('unreadable'),
  );

  test('an event without names or type of change is unreadable', () => {
    expect(told({ ...samples.updateTable, detail: {} })[0]).toMatch(/^unreadable/);
  });

  test('whatever JSON comes, nothing is thrown', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('event', 'detail'), (body, format) => {
        expect(['event', 'unreadable']).toContain(decodeBody(body, OURS, format).kind);
      }),
    );
  });

  test('whatever is put in the place of a member, nothing is thrown', () => {
    const events = [samples.updateTable, samples.trail.update, samples.batchDelete, samples.inSns(samples.createTable)];
    fc.assert(
      fc.property(fc.constantFrom(...events), fc.jsonValue(), fc.nat(), fc.boolean(), (event, value, at, inDetail) => {
        const changed = structuredClone(event) as Record<string, unknown>;
        const target = inDetail && 'detail' in changed ? (changed['detail'] as Record<string, unknown>) : changed;
        const keys = Object.keys(target);
        target[keys[at % keys.length] ?? ''] = value;
        expect(['event', 'unreadable']).toContain(decode(changed).kind);
      }),
    );
  });
});
