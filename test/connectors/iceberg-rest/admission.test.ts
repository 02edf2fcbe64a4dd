import { describe, expect, test } from 'vitest';
import { Admission, type Rank } from '../../../connectors/iceberg-rest/admission.ts';
import { ManualClock, settled } from '../../runtime/manual-clock.ts';
import { never } from './world.ts';

function open(options: { readonly perSecond?: number; readonly concurrency?: number } = {}) {
  const clock = new ManualClock();
  const admission = new Admission({ perSecond: 2, concurrency: 100, clock, ...options });
  const admitted: string[] = [];
  const enter = async (name: string, rank: Rank = 'later', signal = never) => {
    const place = await admission.enter(rank, signal);
    admitted.push(name);
    return place;
  };
  return { clock, admission, admitted, enter };
}

describe('Admission', () => {
  test('lets in as many as a second has at once, and then that many a second', async () => {
    const { clock, admitted, enter } = open();
    for (const name of ['a', 'b', 'c', 'd', 'e']) void enter(name);
    await settled();
    expect(admitted).toEqual(['a', 'b']);
    await clock.advance(500);
    await settled();
    expect(admitted).toEqual(['a', 'b', 'c']);
    await clock.advance(1000);
    await settled();
    expect(admitted).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('lets in one after the other where less than one a second is allowed', async () => {
    const { clock, admitted, enter } = open({ perSecond: 0.5 });
    for (const name of ['a', 'b']) void enter(name);
    await settled();
    expect(admitted).toEqual(['a']);
    await clock.advance(1999);
    await settled();
    expect(admitted).toEqual(['a']);
    await clock.advance(1);
    await settled();
    expect(admitted).toEqual(['a', 'b']);
  });

  test('lets in no more than may be inside at once', async () => {
    const { admitted, enter } = open({ perSecond: 100, concurrency: 2 });
    const first = enter('a');
    for (const name of ['b', 'c', 'd']) void enter(name);
    await settled();
    expect(admitted).toEqual(['a', 'b']);
    const place = await first;
    place[Symbol.dispose]();
    place[Symbol.dispose]();
    await settled();
    expect(admitted).toEqual(['a', 'b', 'c']);
  });

  test('lets in what is urgent before what can wait, but starves nobody', async () => {
    const { clock, admitted, enter } = open({ perSecond: 1 });
    void enter('first');
    await settled();
    void enter('poll');
    for (let i = 0; i < 20; i++) void enter('urgent', 'urgent');
    await clock.advance(3000);
    for (let i = 0; i < 20; i++) {
      await clock.advance(1000);
      await settled();
    }
    expect(admitted.slice(0, 3)).toEqual(['first', 'urgent', 'urgent']);
    expect(admitted.indexOf('poll')).toBeGreaterThan(2);
    expect(admitted.indexOf('poll')).toBeLessThanOrEqual(8);
  });

  test('lets in before all others what is asked again', async () => {
    const { clock, admitted, enter } = open({ perSecond: 1 });
    void enter('a');
    await settled();
    void enter('later');
    void enter('urgent', 'urgent');
    void enter('again', 'first');
    for (let i = 0; i < 3; i++) {
      await clock.advance(1000);
      await settled();
    }
    expect(admitted).toEqual(['a', 'again', 'urgent', 'later']);
  });

  test('forgets whom an abort took away while waiting, and costs nothing for them', async () => {
    const { clock, admitted, enter } = open({ perSecond: 1 });
    void enter('a');
    const stop = new AbortController();
    const waiting = enter('b', 'later', stop.signal);
    void enter('c');
    stop.abort(new Error('not wanted'));
    await expect(waiting).rejects.toThrow('not wanted');
    await clock.advance(1000);
    await settled();
    expect(admitted).toEqual(['a', 'c']);
    await expect(enter('d', 'later', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });

  test('lets nobody in while the catalog wants to be left alone', async () => {
    const { clock, admission, admitted, enter } = open({ perSecond: 100 });
    admission.rest(5000);
    void enter('a', 'urgent');
    await clock.advance(4999);
    await settled();
    expect(admitted).toEqual([]);
    await clock.advance(2);
    await settled();
    expect(admitted).toEqual(['a']);
  });
});
