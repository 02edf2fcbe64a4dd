import { describe, expect, test } from 'vitest';
import { Hand, absent, at, delivered, other, present, view } from './fixtures.ts';

const stale = { kind: 'stale', message: 'newer' } as const;
const unknown = { kind: 'unknown', message: 'no answer' } as const;
const refused = (reason: 'metadata-invalid' | 'metadata-missing' | 'not-authorized') =>
  ({ kind: 'refused', reason, status: 400, message: 'no' }) as const;

describe('the path of a change', () => {
  test('a new table is read, validated, recorded as an intent, created and settled', () => {
    const hand = new Hand().hint();
    expect(hand.take()).toEqual(['record seen', 'resolve']);
    expect(hand.read(present(1)).take()).toEqual(['notify VALIDATE']);
    expect(hand.admit().take()).toEqual(['record intent', 'notify CREATE']);
    expect(hand.admit().take()).toEqual(['record outcome', 'record settled']);
    expect(hand.lane.phase).toBe('idle');
    expect(hand.ledger.delivered).toMatchObject({ type: 'CREATE', metadataLocation: 's3://m/1', timestamp: 1000 });
  });

  test('a known table is updated without a VALIDATE', () => {
    expect(new Hand(delivered).hint().read(present(2)).admit().take()).toEqual([
      'record seen',
      'resolve',
      'record intent',
      'notify UPDATE',
      'record outcome',
      'record settled',
    ]);
  });

  test('prechecks: always and never are followed', () => {
    expect(new Hand(delivered, { prechecks: 'always' }).hint().read(present(2)).take()).toContain('notify VALIDATE');
    expect(new Hand(undefined, { prechecks: 'never' }).hint().read(present(2)).take()).toContain('notify CREATE');
  });

  test('hints that come before the read begins need no read of their own', () => {
    const hand = new Hand(delivered).hint().hint().hint();
    hand.read(present(2)).admit();
    expect(hand.lane.phase).toBe('idle');
    expect(hand.ledger).toMatchObject({ seen: 4, settled: 4 });
  });

  test('a hint that comes while the read or the notification is under way gets a read of its own', () => {
    for (const moment of ['reading', 'sending']) {
      const hand = new Hand(delivered).hint().feed({ kind: 'reading' });
      if (moment === 'reading') hand.hint();
      hand.feed({ kind: 'resolved', state: present(2), mayDrop: true, nowMs: 1, random: 0 });
      if (moment === 'sending') hand.hint();
      hand.take();
      expect(hand.admit().take()).toEqual(['record outcome', 'record settled', 'resolve']);
      expect(hand.ledger).toMatchObject({ seen: 3, settled: 2 });
    }
  });

  test('what Polaris holds already is not sent again', () => {
    expect(new Hand(delivered).hint().read(present(1)).take()).toEqual(['record seen', 'resolve', 'record settled']);
  });

  test('a source that could not say is asked again, and nothing is sent', () => {
    const hand = new Hand(delivered).hint().feed({ kind: 'reading' });
    hand.take();
    expect(hand.feed({ kind: 'unresolved', nowMs: 1, random: 0.5 }).takeEffects()).toEqual([
      { kind: 'wait', delayMs: 50 },
    ]);
    expect(hand.due().take()).toEqual(['resolve']);
  });
});

describe('what may have been applied', () => {
  test('nothing is skipped on the strength of older knowledge after an answer was lost', () => {
    const hand = new Hand(delivered).hint().read(present(2)).answer(unknown).due();
    hand.take();
    // The source went back to what was delivered before; Polaris may hold version 2.
    expect(hand.read(present(1)).take()).toEqual(['record intent', 'notify UPDATE']);
  });

  test('a refusal of a later intent does not clear the doubt that an earlier one left', () => {
    const hand = new Hand(delivered).hint().read(present(2)).answer(unknown).due();
    hand.read(present(1)).answer(refused('not-authorized')).due();
    hand.take();
    expect(hand.read(present(1)).take()).toEqual(['record intent', 'notify UPDATE']);
  });

  test('a table that vanished after a CREATE without an answer is dropped', () => {
    const hand = new Hand().hint().read(present(1)).admit().answer(unknown).due();
    hand.take();
    expect(hand.read(absent).take()).toEqual(['record intent', 'notify DROP']);
  });

  test('a table that vanished before Polaris was told of it needs no DROP', () => {
    expect(new Hand().hint().read(absent).take()).toEqual(['record seen', 'resolve', 'record settled']);
  });

  test('what Polaris was seen to hold counts more than what the ledger says', () => {
    const hand = new Hand(delivered).feed({ kind: 'changed', count: 1, doubt: true });
    hand.take();
    expect(hand.read(present(1)).take()).toEqual(['record intent', 'notify UPDATE']);
    expect(hand.admit().ledger.doubt).toBe(false);
    const foreign = new Hand().feed({ kind: 'changed', count: 1, doubt: true }).read(absent);
    expect(foreign.take()).toContain('notify DROP');
    expect(new Hand().feed({ kind: 'changed', count: 1, doubt: true }).read(absent, false).take()).toContain(
      'record parked',
    );
  });

  test('an open intent is taken up by a restart', () => {
    const before = new Hand(delivered).hint().read(present(2));
    const after = new Hand(before.ledger);
    after.lane = { ...after.lane, phase: 'waiting' };
    after.due().take();
    after.read(present(2));
    expect(after.notification()).toMatchObject({ type: 'UPDATE', timestamp: 1001 });
  });
});

describe('timestamps', () => {
  test('every notification has a greater one than the last, whatever the clock says', () => {
    const hand = new Hand({ ...delivered, lastTimestamp: at(9000) }).hint().read(present(2, '1', 10));
    expect(hand.notification().timestamp).toBe(9001);
  });

  test('they survive a DROP and the re-creation', () => {
    const hand = new Hand({ ...delivered, lastTimestamp: at(9000) }).hint().read(absent).admit();
    expect(hand.ledger.lastTimestamp).toBe(9001);
    hand.hint().read(present(3, '2')).admit();
    expect(hand.notification()).toMatchObject({ type: 'CREATE', timestamp: 9002 });
  });
});

describe('a 409', () => {
  test('with a newer timestamp is settled when Polaris serves what was sent', () => {
    const hand = new Hand(delivered).hint().read(present(2)).answer(stale);
    expect(hand.take().at(-1)).toBe('probe');
    expect(hand.probed('this').take()).toEqual(['record outcome', 'record settled']);
    expect(hand.ledger.delivered?.metadataLocation).toBe('s3://m/2');
  });

  test('with a newer timestamp is climbed over in growing steps, then parked as TIMESTAMP_AHEAD', () => {
    const leapsMs = [0, 10, 1000];
    const hand = new Hand(delivered, { leapsMs }).hint();
    const sent: number[] = [];
    for (let round = 0; round <= leapsMs.length; round++) {
      hand.read(present(2));
      sent.push(hand.notification().timestamp);
      hand.answer(stale).probed('other');
    }
    expect(sent).toEqual([1000, 1001, 1012, 2013]);
    expect(hand.lane.phase).toBe('idle');
    expect(hand.ledger.parked).toMatchObject({ code: 'TIMESTAMP_AHEAD', type: 'UPDATE' });
    // The next hint tries once, without climbing again.
    hand.hint().read(present(2));
    expect(hand.notification().timestamp).toBe(2014);
    expect(hand.answer(stale).probed('other').ledger.parked?.code).toBe('TIMESTAMP_AHEAD');
  });

  test('from a lost race is sent again, read anew', () => {
    const hand = new Hand(delivered).hint().read(present(2)).answer({ kind: 'lost-race', message: 'modified' });
    expect(hand.take().at(-1)).toBe('wait');
    hand.due().read(present(3));
    expect(hand.notification()).toMatchObject({ metadataLocation: 's3://m/3', timestamp: 1001 });
  });

  test('for a name that a view holds is parked, and the next hint tries again', () => {
    const hand = new Hand().hint().read(present(1)).admit();
    hand.answer({ kind: 'name-taken', by: 'view', message: 'View already exists: sales.orders' });
    expect(hand.ledger.parked).toMatchObject({ code: 'NAME_TAKEN', detail: 'View already exists: sales.orders' });
    hand.take();
    expect(hand.hint().take()).toEqual(['record seen', 'resolve']);
  });
});

describe('refusals', () => {
  test('of the table are parked, those that may pass after bounded retries', () => {
    const hand = new Hand(delivered).hint().read(present(2)).answer(refused('metadata-invalid'));
    expect(hand.ledger.parked?.code).toBe('METADATA_INVALID');
    const slow = new Hand(delivered).hint();
    for (let i = 0; i < 3; i++)
      expect(slow.read(present(2)).answer(refused('metadata-missing')).lane.phase).toBe('waiting');
    for (let i = 3; i < 3; i++) slow.due();
    slow.due().read(present(2)).answer(refused('metadata-missing'));
    expect(slow.lane.phase).toBe('waiting');
  });

  test('of the whole target park nobody', () => {
    const hand = new Hand(delivered).hint();
    for (let i = 0; i < 50; i++) hand.read(present(2)).answer(refused('not-authorized')).due();
    expect(hand.ledger.parked).toBe(undefined);
    expect(hand.read(present(2)).admit().lane.phase).toBe('idle');
  });

  test('a refused VALIDATE parks the table before anything is written', () => {
    const hand = new Hand().hint().read(present(1));
    hand.answer({ kind: 'refused', reason: 'location-not-allowed', status: 403, message: 'Invalid locations' });
    expect(hand.take()).toEqual(['record seen', 'resolve', 'notify VALIDATE', 'record parked']);
    expect(hand.ledger.parked).toMatchObject({ code: 'LOCATION_NOT_ALLOWED', type: 'VALIDATE' });
  });

  test('retries wait at least as long as the server asks', () => {
    const hand = new Hand(delivered).hint().read(present(2));
    hand.takeEffects();
    hand.answer({ kind: 'unavailable', retryAfterMs: 7000, message: '429' });
    expect(hand.takeEffects().at(-1)).toEqual({ kind: 'wait', delayMs: 7000 });
  });
});

describe('DROPs', () => {
  test('a retried DROP reads the source again, so a table that came back is not dropped', () => {
    const hand = new Hand(delivered).hint().read(absent).answer(unknown).due();
    hand.take();
    expect(hand.read(present(2, '2')).take()).toEqual(['record intent', 'notify UPDATE']);
  });

  test('wait for their grace, so that a table that is re-created within it is updated', () => {
    const hand = new Hand(delivered, { dropGraceMs: 5000 }).hint().read(absent);
    expect(hand.takeEffects().at(-1)).toEqual({ kind: 'wait', delayMs: 5000 });
    const again = new Hand(delivered, { dropGraceMs: 5000 }).hint().read(absent).due().read(present(2, '2'));
    expect(again.take()).toContain('notify UPDATE');
    hand.due();
    expect(hand.read(absent).take()).toEqual(['resolve', 'record intent', 'notify DROP']);
    hand.admit().hint().read(present(3, '3')).admit().admit().hint().read(absent);
    expect(hand.takeEffects().at(-1)).toEqual({ kind: 'wait', delayMs: 5000 });
  });

  test('over the budget are held and say so', () => {
    const hand = new Hand(delivered).hint().read(absent, false);
    expect(hand.take()).toEqual(['record seen', 'resolve', 'record parked']);
    expect(hand.ledger.parked).toMatchObject({ code: 'DROP_HELD', type: 'DROP' });
  });

  test('drops: report holds every one, never keeps the table', () => {
    const report = new Hand(delivered, { drops: 'report' }).hint().read(absent, false);
    expect(report.ledger.parked).toMatchObject({
      code: 'DROP_HELD',
      detail: expect.stringMatching(/report/) as string,
    });
    expect(new Hand(delivered, { drops: 'never' }).hint().read(absent).ledger.skipped).toMatch(/never/);
  });

  test('a table whose Iceberg markers were stripped is never dropped, one that a view replaced is', () => {
    const stripped = new Hand(delivered).hint().read(view('1'));
    expect(stripped.take()).toEqual(['record seen', 'resolve', 'record settled']);
    expect(stripped.ledger.skipped).toBe('a view');
    expect(new Hand(delivered).hint().read(view('2')).take()).toContain('notify DROP');
  });

  test('a re-created table is updated, or with recreate: replace dropped and created', () => {
    expect(new Hand(delivered).hint().read(present(2, '2')).take()).toContain('notify UPDATE');
    const hand = new Hand(delivered, { recreate: 'replace' }).hint().read(present(2, '2'));
    expect(hand.take()).toContain('notify DROP');
    expect(hand.admit().take()).toEqual(['record outcome', 'resolve']);
    expect(hand.read(present(2, '2')).admit().take()).toContain('notify CREATE');
  });
});

describe('renames', () => {
  test('the old name waits until the new one has settled, then the source is read again', () => {
    const hand = new Hand(delivered).hint(other).read(absent);
    expect(hand.takeEffects().at(-1)).toEqual({ kind: 'await', table: other });
    expect(hand.feed({ kind: 'released' }).take()).toEqual(['resolve']);
    expect(hand.read(absent).take()).toEqual(['record intent', 'notify DROP']);
  });

  test('a name that was released once waits again when it is renamed again', () => {
    const hand = new Hand(delivered).hint(other).read(absent).feed({ kind: 'released' }).hint(other);
    hand.take();
    expect(hand.read(absent).take()).toEqual(['await']);
  });

  test('a table that was dropped after its rename waits for nothing', () => {
    const hand = new Hand(delivered).hint(other).hint();
    expect(hand.read(absent).take()).toContain('notify DROP');
  });
});

describe('adoption', () => {
  test('what Polaris already serves is recorded as delivered without sending it', () => {
    const hand = new Hand(undefined, { adopt: true }).hint().read(present(1));
    expect(hand.take().at(-1)).toBe('probe');
    expect(hand.probed('this').take()).toEqual(['record intent', 'record outcome', 'record settled']);
    expect(hand.ledger.delivered?.metadataLocation).toBe('s3://m/1');
    expect(hand.ledger.lastTimestamp).toBe(1000);
  });

  test('what Polaris does not serve is validated and sent', () => {
    for (const served of ['other', 'nothing'] as const) {
      expect(new Hand(undefined, { adopt: true }).hint().read(present(1)).probed(served).take()).toContain(
        'notify VALIDATE',
      );
    }
  });
});
