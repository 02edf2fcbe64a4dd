import { describe, expect, test } from 'vitest';
import { vanished } from '../../src/core/decide.ts';
import { blank } from '../../src/core/fold.ts';
import { Hand, absent, at, delivered, other, present, view } from '../core/fixtures.ts';

const unknown = { kind: 'unknown', message: 'no answer' } as const;
const stale = { kind: 'stale', message: 'newer' } as const;

describe('a DROP', () => {
  test('is not decided on a read that began before the last hint', () => {
    const hand = new Hand(delivered).hint().feed({ kind: 'reading' }).hint();
    hand.take();
    hand.feed({ kind: 'resolved', state: absent, mayDrop: true, nowMs: 1, random: 0 });
    expect(hand.take()).toEqual(['resolve']);
    expect(hand.read(present(2, '2')).take()).toEqual(['record intent', 'notify UPDATE']);
  });

  test('that was not sent after all leaves no doubt, uses up its timestamp, and reads the source again', () => {
    const hand = new Hand(delivered).hint().read(absent);
    hand.take();
    expect(hand.feed({ kind: 'withdrawn' }).take()).toEqual(['record outcome', 'resolve']);
    expect(hand.ledger).toMatchObject({ doubt: false, open: undefined, lastTimestamp: 1000 });
    expect(hand.ledger.delivered).toEqual(delivered.delivered);
  });

  test('without an answer is repeated when a view has taken the name meanwhile', () => {
    const hand = new Hand().hint().read(present(1)).admit().answer(unknown).due().read(absent).answer(unknown).due();
    hand.take();
    // Both the CREATE and the DROP may or may not have been applied.
    expect(hand.read(view('2')).take()).toEqual(['record intent', 'notify DROP']);
  });
});

describe('an intent without an answer that is left behind', () => {
  test('is no work any more, but a doubt', () => {
    const hand = new Hand(delivered, { drops: 'never' }).hint().read(present(2)).answer(unknown).due().read(absent);
    expect(hand.ledger).toMatchObject({ seen: 2, settled: 2, open: undefined, doubt: true });
    hand.hint();
    hand.take();
    expect(hand.read(present(1)).take()).toEqual(['record intent', 'notify UPDATE']);
  });

  test('still lets the table be dropped once something else has its name', () => {
    const hand = new Hand().hint().read(present(1)).admit().answer(unknown).due().read(view('1'));
    expect(hand.ledger).toMatchObject({ open: undefined, doubt: true, skipped: 'a view' });
    expect(vanished(hand.ledger, view('1'))).toBe(false);
    expect(vanished(hand.ledger, view('2'))).toBe(true);
  });
});

describe('the climb over a foreign timestamp', () => {
  test('leaps once per refusal, not once per lost answer', () => {
    const hand = new Hand(delivered, { leapsMs: [1000, 86_400_000] }).hint().read(present(2));
    hand.answer(stale).probed('other').read(present(2)).answer(stale).probed('other').read(present(2));
    const top = hand.notification().timestamp;
    expect(top).toBeGreaterThan(86_400_000);
    for (let lost = 1; lost <= 20; lost++) {
      hand.answer(unknown).due().read(present(2));
      expect(hand.notification().timestamp).toBe(top + lost);
    }
  });

  test('does not go on with a lost answer to the one try of a parked table', () => {
    const parked = { code: 'TIMESTAMP_AHEAD', detail: '', since: 1, type: 'UPDATE' } as const;
    const hand = new Hand({ ...delivered, lastTimestamp: at(5000), parked }).hint().read(present(2));
    expect(hand.notification().timestamp).toBe(5001);
    hand.answer(unknown).due().read(present(2));
    expect(hand.notification().timestamp).toBe(5002);
    expect(hand.answer(stale).probed('other').ledger.parked?.code).toBe('TIMESTAMP_AHEAD');
  });
});

test('a server that asks to be left alone for years is asked again within minutes', () => {
  const hand = new Hand(delivered).hint().read(present(2));
  hand.takeEffects();
  hand.answer({ kind: 'unavailable', retryAfterMs: 999_999_999_000, message: '503' });
  expect(hand.takeEffects().at(-1)).toEqual({ kind: 'wait', delayMs: 300_000 });
});

test('what is found parked again has been parked since the first time', () => {
  const hand = new Hand(delivered).hint().read(absent, false);
  const since = hand.ledger.parked?.since;
  hand.hint().feed({ kind: 'reading' });
  hand.feed({ kind: 'resolved', state: absent, mayDrop: false, nowMs: 999_999, random: 0 });
  expect(hand.ledger.parked).toMatchObject({ code: 'DROP_HELD', since });
});

test('a hint that carries on a rename keeps it, one that follows it ends it', () => {
  const renamed = new Hand(delivered).hint(other);
  expect(renamed.hint(other).ledger.after).toEqual(other);
  expect(new Hand(blank('main', delivered.table)).hint(other).hint().ledger.after).toBe(undefined);
});
