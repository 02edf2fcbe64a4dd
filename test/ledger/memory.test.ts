import { describe, expect, test } from 'vitest';
import type { EntryRecord, TableIdentifier } from '../../src/core/types.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';
import { ledgerContract } from '../contract/ledger.contract.ts';

ledgerContract(
  'In memory',
  async () => {
    let ledger: MemoryLedger | undefined;
    return {
      async open() {
        ledger = ledger?.crash() ?? new MemoryLedger();
        return ledger;
      },
      submit: (order) => {
        if (ledger === undefined) throw new Error('open() comes first');
        return ledger.submit(order);
      },
      async [Symbol.asyncDispose]() {},
    };
  },
  300,
);

const orders: TableIdentifier = { namespace: ['sales'], name: 'orders' };
const seen: EntryRecord = { kind: 'seen', target: 'main', table: orders, count: 1 };
const position = (at: string) => ({ kind: 'position', source: 'a', position: at }) as const;

/** A ledger whose commits wait until the test lets them through. */
function delayed() {
  const commits: (() => void)[] = [];
  const ledger = new MemoryLedger({ schedule: (commit) => commits.push(commit) });
  const commit = () => commits.splice(0).forEach((run) => run());
  return { ledger, commit };
}

describe('A ledger in memory', () => {
  test('resolves an append when the commit that it waits for is let through', async () => {
    const { ledger, commit } = delayed();
    let durable = false;
    const done = ledger.append([seen]).then(() => (durable = true));
    await Promise.resolve();
    expect(durable).toBe(false);
    commit();
    await done;
    expect(durable).toBe(true);
  });

  test('loses at a crash what was not durable, all of it', async () => {
    const { ledger, commit } = delayed();
    const first = ledger.append([seen, position('1')]);
    commit();
    await first;
    void ledger.append([seen, seen, position('2'), { ...seen, target: 'second' }]);
    expect(ledger.entry('main', orders)?.seen).toBe(3);
    fixtureRequest(ledger);
    const survivor = ledger.crash();
    commit();
    expect(survivor.entry('main', orders)?.seen).toBe(1);
    expect(survivor.position('a')).toBe('1');
    expect(survivor.targets()).toEqual(['main']);
    expect(survivor.totals('main')).toEqual({ entries: 1, delivered: 0, pending: 1, parked: 0, skipped: 0 });
    expect(survivor.takeRequests()).toHaveLength(1);
  });

  test('takes nothing more after a crash', async () => {
    const ledger = new MemoryLedger();
    const survivor = ledger.crash();
    await expect(ledger.append([seen])).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
    await survivor.append([seen]);
    expect(survivor.entry('main', orders)?.seen).toBe(1);
  });

  test('rejects everything that waits when it fails', async () => {
    const { ledger, commit } = delayed();
    const waiting = [ledger.append([seen]), ledger.append([seen])];
    ledger.fail();
    commit();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
    await expect(ledger.append([seen])).rejects.toMatchObject({ code: 'LEDGER_FAILED' });
    expect(ledger.crash().entry('main', orders)).toBeUndefined();
  });
});

/** A request that was taken, but whose deletion isn't durable. */
function fixtureRequest(ledger: MemoryLedger): void {
  ledger.submit({ kind: 'retry' });
  expect(ledger.takeRequests()).toHaveLength(1);
}
