import assert from 'node:assert/strict';
import { differences } from './comparison.ts';
import type { Request, SourceTable } from './driver.ts';
import { Witness } from './witness.ts';

const TABLE: SourceTable = { table: 'a.t', metadataLocation: 'm', tableUuid: 'u', snapshotId: '1', columns: 2 };

const sent = (...timestamps: bigint[]) => timestamps.map((timestamp) => ({ type: 'UPDATE', timestamp }) as const);

/** Shows that the comparison and the witness can fail, before a run relies on their silence. */
export function tryJudges(): void {
  const equal = new Map([['a.t', TABLE]]);
  assert.deepEqual(differences([TABLE], equal, []), []);
  assert.deepEqual(differences([], equal, ['a.t']), []);
  const unequal = [
    differences([TABLE], new Map(), []),
    differences([], equal, []),
    differences([], new Map(), ['a.t']),
    differences([{ ...TABLE, metadataLocation: 'n' }], equal, []),
    differences([{ ...TABLE, tableUuid: 'v' }], equal, []),
    differences([{ ...TABLE, snapshotId: null }], equal, []),
    differences([{ ...TABLE, columns: 3 }], equal, []),
  ];
  for (const found of unequal) assert.equal(found.length, 1);

  const dropped = [{ type: 'DROP', timestamp: 1n }] as const;
  assert.equal(witnessOf(dropped).violations([{ command: 'append', table: 'a.t' }], [TABLE]).length, 1);
  const innocent: readonly Request[][] = [
    [{ command: 'drop', table: 'a.t' }],
    [{ command: 'rename', table: 'a.t', to: 'a.u' }],
    [{ command: 'cascade_by_server', namespace: 'a' }],
    [{ command: 'parallel', writers: [[{ command: 'drop', table: 'a.t' }]] }],
  ];
  for (const requests of innocent) assert.deepEqual(witnessOf(dropped).violations(requests, [TABLE]), []);
  assert.deepEqual(witnessOf(dropped).violations([], []), []);
  assert.deepEqual(witnessOf(sent(1n, 2n)).timestampViolations(), []);
  for (const wrong of [sent(1n, 1n), sent(2n, 1n)]) assert.equal(witnessOf(wrong).timestampViolations().length, 1);
}

function witnessOf(
  notifications: readonly { readonly type: 'UPDATE' | 'DROP'; readonly timestamp: bigint }[],
): Witness {
  return new Witness({
    onRequest: (listener) => {
      for (const { type, timestamp } of notifications) {
        const table = { namespace: ['a'], name: 't' };
        listener({
          kind: 'notification',
          method: 'POST',
          path: '',
          requestId: '',
          table,
          type,
          timestamp,
          status: 204,
        });
      }
      return () => {};
    },
  });
}
