import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PushError } from '../../src/errors/errors.ts';
import { createLog, type LogOptions } from '../../src/observe/log.ts';
import { textLine } from '../../src/observe/text-line.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { ROOT } from '../docs/root.ts';
import { configured, notification, polaris, StandIn } from '../polaris/stand-in.ts';
import { ManualClock } from '../runtime/manual-clock.ts';

function setUp(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const secrets = new Secrets();
  const clock = new ManualClock();
  const stream = { write: (text: string) => written.push(text) };
  const log = createLog({ level: 'info', format: 'json', stream, secrets, clock, ...options });
  const lines = () => written.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, written, secrets, clock, lines };
}

describe('A line of the log', () => {
  test('is one JSON object with level, time, event and fields', () => {
    const { log, written } = setUp();
    log.info('slot-created', { slot: 'polaris_push', tables: 3 });
    expect(written).toEqual([
      '{"level":"info","time":"2026-01-01T12:00:00.000Z","slot":"polaris_push","tables":3,"event":"slot-created"}\n',
    ]);
  });

  test('carries the fields of the logs that it was made from', () => {
    const { log, lines } = setUp();
    log.child({ target: 'main' }).child({ table: 'a.b' }).info('delivered');
    expect(lines()[0]).toMatchObject({ target: 'main', table: 'a.b', event: 'delivered' });
  });

  test('is left out below the level', () => {
    const { log, lines } = setUp({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines().map(({ event }) => event)).toEqual(['c', 'd']);
  });

  test('tells an error by its code, message, fix and cause, and its stack only at level debug', () => {
    const error = new PushError('USAGE', 'Wrong.', { cause: new TypeError('deep') });
    const { log, lines } = setUp();
    log.error('failed', { error });
    expect(lines()[0]?.['error']).toEqual({
      code: 'USAGE',
      message: 'The command line is not valid. Wrong.',
      fix: 'See `polaris-push --help`.',
      cause: { name: 'TypeError', message: 'deep' },
    });
    const debug = setUp({ level: 'debug' });
    debug.log.error('failed', { error });
    expect(debug.lines()[0]?.['error']).toHaveProperty('stack');
  });

  test('can hold what JSON cannot', () => {
    const { log, lines } = setUp();
    const loop: Record<string, unknown> = {};
    loop['loop'] = loop;
    log.info('odd', {
      big: 10n,
      set: new Set([1]),
      map: new Map([['a', 1]]),
      when: new Date(0),
      none: undefined,
      loop,
      call: () => 1,
    });
    expect(lines()[0]).toMatchObject({ big: '10', set: [1], map: { a: 1 }, when: '1970-01-01T00:00:00.000Z' });
    expect(lines()[0]).not.toHaveProperty('none');
  });
});

describe('Secrets in the log', () => {
  test('are masked by value wherever they stand', () => {
    const { log, written, secrets } = setUp({ level: 'debug' });
    secrets.add('MARKED-SECRET');
    log.child({ bound: 'MARKED-SECRET' }).error('x', {
      text: 'with MARKED-SECRET inside',
      deep: { list: ['MARKED-SECRET'] },
      error: new Error('MARKED-SECRET', { cause: new Error('MARKED-SECRET') }),
    });
    expect(written.join('')).not.toContain('MARKED-SECRET');
    expect(written.join('')).toContain('with *** inside');
  });

  test('are masked by the name of their key', () => {
    const { log, lines } = setUp();
    log.info('x', { password: 'abc', auth: { client_secret: 'def', tokenUri: 'https://idp' } });
    expect(lines()[0]).toMatchObject({ password: '***', auth: { client_secret: '***', tokenUri: 'https://idp' } });
  });

  test('are masked in connection URLs that nobody registered', () => {
    const { log, lines } = setUp();
    log.info('x', { url: 'postgresql://me:pw@db/x' });
    expect(lines()[0]).toMatchObject({ url: 'postgresql://me:***@db/x' });
  });
});

describe('Repeats', () => {
  test('of a warning are limited a minute, each event for itself, and what was left out is counted', async () => {
    const { log, lines, clock } = setUp();
    for (let i = 0; i < 50; i++) log.warn('parked', { i });
    log.warn('other');
    expect(lines()).toHaveLength(21);
    await clock.advance(60_000);
    log.warn('parked', { i: 50 });
    expect(lines().slice(21)).toMatchObject([
      { event: 'log-repeats', of: 'parked', left: 30 },
      { event: 'parked', i: 50 },
    ]);
  });

  test('of an information are all written', () => {
    const { log, lines } = setUp();
    for (let i = 0; i < 50; i++) log.info('delivered');
    expect(lines()).toHaveLength(50);
  });
});

describe('The text format', () => {
  test('is readable', () => {
    const { log, written } = setUp({ format: 'text' });
    log.info('slot-created', {
      slot: 'polaris_push',
      note: 'two words',
      n: 1,
      list: ['a'],
      error: new Error('no "way"'),
    });
    expect(written[0]?.slice(8)).toBe(
      String.raw` INFO  slot-created slot=polaris_push note="two words" n=1 list=["a"] error="no \"way\""` + '\n',
    );
    expect(written[0]).toMatch(/^\d\d:\d\d:\d\d /);
  });

  test('gives a terminal nothing to act upon', () => {
    const { log, written } = setUp({ format: 'text' });
    const evil = 'a\u001b[2J\u009b2J\u202e';
    log.warn('parked', { table: evil, error: new Error(evil), list: [evil], note: `two ${evil}` });
    expect(written[0]).toMatch(/^\P{C}+\n$/u);
    expect(written[0]).toContain(String.raw`a\u001b[2J\u009b2J\u202e`);
  });

  test('has colours when asked', () => {
    const line = { level: 'warn', time: '2026-01-01T12:00:00.000Z', event: 'x' } as const;
    expect(textLine(line, true)).toContain('\u001B[33mWARN \u001B[0m');
    expect(textLine(line, false)).not.toContain('\u001B');
  });
});

describe('A request to Polaris', () => {
  test('is found in its log again, by the id that it carried; and the line names target and table', async () => {
    const { log, lines } = setUp({ level: 'debug' });
    await using server = await StandIn.start(polaris());
    await using target = await openPolaris(configured(server.port), { clock: systemClock, log });
    await target.notify(notification(), new AbortController().signal);
    const sent = server.seen.find(({ path }) => path.endsWith('/notifications'));
    expect(lines().find(({ kind }) => kind === 'notify')).toMatchObject({
      event: 'polaris-request',
      target: 'main',
      table: 'sales.orders',
      requestId: sent?.headers['x-request-id'],
      status: 204,
    });
  });
});

describe('Names of events', () => {
  /** Every call of a log in what we ship, with the name of its event. */
  const names = globSync(['src/**/*.ts', 'connectors/**/*.ts'], { cwd: ROOT }).flatMap((path) =>
    [
      ...readFileSync(join(ROOT, path), 'utf8').matchAll(
        /\blog(?:\[[^\]]+\]|\.(?:debug|info|warn|error))\(\s*(['"`])(.*?)\1/g,
      ),
    ].map(([, , name = '']) => ({ path, name })),
  );

  test('are stable: a fixed text in kebab-case, so that alerts and searches can rely on them', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter(({ name }) => !/^[a-z]+(?:-[a-z0-9]+)*$/.test(name))).toEqual([]);
  });
});
