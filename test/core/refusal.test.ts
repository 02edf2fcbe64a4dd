import { expect, test } from 'vitest';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { REFUSALS } from '../../src/core/refusal.ts';
import { Hand, present } from './fixtures.ts';

const reasons = Object.keys(REFUSALS) as (keyof typeof REFUSALS)[];
const ofTable = reasons.filter((reason) => REFUSALS[reason].scope === 'table');

test('what concerns one table alone is told from what concerns the whole target', () => {
  expect(ofTable).toEqual([
    'metadata-missing',
    'metadata-unreadable',
    'metadata-invalid',
    'location-not-allowed',
    'name-not-addressable',
    'unrecognized',
  ]);
});

/** Refuses a CREATE for this reason until the entry is parked, and counts the tries. */
function refused(
  reason: keyof typeof REFUSALS,
  tries: number,
): { readonly sent: number; readonly code?: string | undefined } {
  const hand = new Hand(undefined, { prechecks: 'never' }).hint();
  let sent = 0;
  for (; sent < tries && hand.ledger.parked === undefined; sent++) {
    hand.feed({ kind: 'reading' });
    hand.feed({ kind: 'resolved', state: present(1), mayDrop: true, nowMs: 5000, random: 0.5 });
    const outcome = { kind: 'refused', reason, status: 400, message: 'no' } as const;
    hand.feed({ kind: 'answered', outcome, nowMs: 5000, random: 0.5 });
    hand.feed({ kind: 'due' });
  }
  return { sent, code: hand.ledger.parked?.code };
}

test.each([
  ['metadata-missing', 4, 'METADATA_MISSING'],
  ['metadata-unreadable', 4, 'METADATA_UNREADABLE'],
  ['metadata-invalid', 1, 'METADATA_INVALID'],
  ['location-not-allowed', 1, 'LOCATION_NOT_ALLOWED'],
  ['name-not-addressable', 1, 'NAME_NOT_ADDRESSABLE'],
  ['unrecognized', 6, 'REFUSED'],
] as const)('%s: parked after %i tries as %s', (reason, sent, code) => {
  expect(refused(reason, 50)).toEqual({ sent, code });
});

test.each(['not-authorized', 'internal-catalog', 'no-such-catalog', 'no-such-realm'] as const)(
  '%s: tried until somebody acts, and never parked',
  (reason) => {
    expect(refused(reason, 50)).toEqual({ sent: 50, code: undefined });
  },
);

test('leaps above a foreign timestamp grow from nothing to a day', () => {
  const { leapsMs } = DEFAULT_POLICY;
  expect(leapsMs.toSorted((a, b) => a - b)).toEqual(leapsMs);
  expect([leapsMs.at(0), leapsMs.at(-1)]).toEqual([0, 86_400_000]);
});
