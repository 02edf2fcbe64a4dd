import { describe, expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import type { Log, LogFields } from '../../src/runtime/log.ts';
import { supervise } from '../../src/runtime/supervisor.ts';
import { ManualClock, settled } from './manual-clock.ts';

class Lines implements Log {
  readonly lines: { readonly level: string; readonly event: string; readonly fields: LogFields }[] = [];
  debug = (event: string, fields: LogFields = {}) => void this.lines.push({ level: 'debug', event, fields });
  info = (event: string, fields: LogFields = {}) => void this.lines.push({ level: 'info', event, fields });
  warn = (event: string, fields: LogFields = {}) => void this.lines.push({ level: 'warn', event, fields });
  error = (event: string, fields: LogFields = {}) => void this.lines.push({ level: 'error', event, fields });
  child = () => this;
}

const backoff = { baseMs: 100, maxMs: 60_000, healthyMs: 10_000 };

function setUp(run: (signal: AbortSignal, healthy: () => void) => Promise<void>, random = 0.5) {
  const clock = new ManualClock();
  const log = new Lines();
  const controller = new AbortController();
  const ended = supervise('watch', run, { signal: controller.signal, clock, random: () => random, log, backoff });
  return { clock, log, controller, ended };
}

const delays = (log: Lines) =>
  log.lines.flatMap(({ fields }) => (fields['retryInMs'] === undefined ? [] : [fields['retryInMs']]));

describe('A supervised task', () => {
  test('that ends by itself ends its supervision', async () => {
    const { ended, log } = setUp(async () => {});
    await expect(ended).resolves.toBeUndefined();
    expect(log.lines).toEqual([]);
  });

  test('is started again with growing delays, drawn from the whole range', async () => {
    let starts = 0;
    const { ended, clock, log } = setUp(async () => {
      starts++;
      if (starts < 5) throw new Error('broken');
    });
    for (const delayMs of [50, 100, 200, 400]) {
      await settled();
      await clock.advance(delayMs - 1);
      expect(clock.sleeping).toBe(1);
      await clock.advance(1);
    }
    await ended;
    expect(starts).toBe(5);
    expect(delays(log)).toEqual([50, 100, 200, 400]);
  });

  test('is not started again after an error that trying cannot help', async () => {
    const { ended } = setUp(async () => {
      throw new PushError('USAGE', 'Wrong.');
    });
    await expect(ended).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('ends at an abort, running or waiting, without an error', async () => {
    const running = setUp(
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
        ),
    );
    running.controller.abort();
    await expect(running.ended).resolves.toBeUndefined();

    const waiting = setUp(async () => {
      throw new Error('broken');
    });
    await settled();
    waiting.controller.abort();
    await expect(waiting.ended).resolves.toBeUndefined();
  });

  test('that ran long enough starts counting its failures anew', async () => {
    let starts = 0;
    const { clock, log, controller, ended } = setUp(async () => {
      starts++;
      if (starts === 3) await clock.sleep(backoff.healthyMs);
      throw new Error('broken');
    });
    await settled();
    await clock.advance(50);
    await clock.advance(100);
    await clock.advance(backoff.healthyMs);
    controller.abort();
    await ended;
    expect(delays(log)).toEqual([50, 100, 50]);
  });

  test.for([
    ['and stays so for a while starts counting anew', 5000, [50, 50]],
    ['and fails at once is not', 4999, [50, 100]],
  ] as const)('that says it is healthy %s', async ([, lastsMs, expected]) => {
    let starts = 0;
    const { clock, log, controller, ended } = setUp(async (_, healthy) => {
      starts++;
      if (starts === 2) {
        healthy();
        await clock.sleep(lastsMs);
      }
      throw new Error('broken');
    });
    await settled();
    await clock.advance(50);
    await clock.advance(lastsMs);
    controller.abort();
    await ended;
    expect(log.lines.map(({ event }) => event)).toEqual(['task-failed', 'task-recovered', 'task-failed']);
    expect(delays(log)).toEqual(expected);
  });

  test('is logged the louder the longer it fails', async () => {
    const { clock, log, controller, ended } = setUp(async () => {
      throw new Error('broken');
    }, 0.001);
    await settled();
    for (let tries = 0; tries < 11; tries++) await clock.advance(60_000 + tries);
    controller.abort();
    await ended;
    const levels = log.lines.map(({ level }) => level);
    expect(levels.slice(0, 5)).toEqual(Array(5).fill('info'));
    expect(levels.slice(5, 8)).toEqual(Array(3).fill('warn'));
    expect(levels.slice(8)).toEqual(Array(levels.length - 8).fill('error'));
  });
});
