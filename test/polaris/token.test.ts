import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openPolaris } from '../../src/polaris/client.ts';
import { containing, matching } from './matchers.ts';
import { configured, KeptLog, MovableClock, notification, polaris, StandIn } from './stand-in.ts';

const never = new AbortController().signal;

/** A folder that goes away with the test. */
async function folder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'polaris-token-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** A Polaris that accepts the tokens in `good`. */
const accepting = (good: ReadonlySet<string>) =>
  StandIn.start((seen, response) =>
    good.has(seen.headers.authorization ?? '') ? polaris()(seen, response) : { status: 401 },
  );

const tokensOf = (server: StandIn): readonly (string | undefined)[] =>
  server.seen.filter(({ path }) => path.endsWith('/notifications')).map(({ headers }) => headers.authorization);

test('a token from the configuration is used as it is, and never sent again once refused', async () => {
  const good = new Set(['Bearer mine']);
  await using server = await accepting(good);
  const deps = { clock: new MovableClock(), log: new KeptLog() };
  await using target = await openPolaris(configured(server.port, { auth: { token: 'mine' } }), deps);
  expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
  good.clear();
  expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unauthorized' });
  expect(tokensOf(server)).toEqual(['Bearer mine', 'Bearer mine']);
});

describe('a token file', () => {
  test('is read again when it has changed', async () => {
    await using at = await folder();
    const file = join(at.path, 'token');
    await writeFile(file, 'first\n');
    await using server = await accepting(new Set(['Bearer first', 'Bearer second']));
    const clock = new MovableClock();
    const deps = { clock, log: new KeptLog() };
    await using target = await openPolaris(configured(server.port, { auth: { token_file: file } }), deps);
    await target.notify(notification(), never);
    await writeFile(join(at.path, 'next'), 'second');
    await rename(join(at.path, 'next'), file);
    clock.advance(1500);
    await target.notify(notification(), never);
    expect(tokensOf(server)).toEqual(['Bearer first', 'Bearer second']);
  });

  test('is read again at once when the token is refused, and the notification sent again', async () => {
    await using at = await folder();
    const file = join(at.path, 'token');
    await writeFile(file, 'first');
    const good = new Set(['Bearer first']);
    await using server = await accepting(good);
    const deps = { clock: new MovableClock(), log: new KeptLog() };
    await using target = await openPolaris(configured(server.port, { auth: { token_file: file } }), deps);
    await target.notify(notification(), never);
    good.clear();
    good.add('Bearer other');
    // Of the same length, and maybe within the same tick of the file system's clock.
    await writeFile(file, 'other');
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(tokensOf(server)).toEqual(['Bearer first', 'Bearer first', 'Bearer other']);
  });

  test('with the refused token still in it is not tried twice', async () => {
    await using at = await folder();
    const file = join(at.path, 'token');
    await writeFile(file, 'first');
    const good = new Set(['Bearer first']);
    await using server = await accepting(good);
    const deps = { clock: new MovableClock(), log: new KeptLog() };
    await using target = await openPolaris(configured(server.port, { auth: { token_file: file } }), deps);
    await target.notify(notification(), never);
    good.clear();
    expect(await target.notify(notification(), never)).toMatchObject({ kind: 'unauthorized' });
    expect(tokensOf(server)).toEqual(['Bearer first', 'Bearer first']);
  });

  test('that is gone or half written for a while leaves the last token in use, with a warning', async () => {
    await using at = await folder();
    const file = join(at.path, 'token');
    await writeFile(file, 'first');
    await using server = await accepting(new Set(['Bearer first', 'Bearer second']));
    const clock = new MovableClock();
    const log = new KeptLog();
    await using target = await openPolaris(configured(server.port, { auth: { token_file: file } }), { clock, log });
    await target.notify(notification(), never);
    for (const damage of [() => rm(file), () => writeFile(file, ''), () => writeFile(file, 'two\nlines')]) {
      await damage();
      clock.advance(1500);
      expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    }
    const warnings = log.lines.filter(({ event }) => event === 'token-file-unreadable');
    expect(warnings.map(({ fields }) => fields['problem'])).toEqual([
      "can't be read (ENOENT)",
      'is empty',
      'holds blanks or other characters that no bearer token has',
    ]);
    await writeFile(file, 'second');
    clock.advance(1500);
    await target.notify(notification(), never);
    expect(tokensOf(server).at(-1)).toBe('Bearer second');
  });

  test.each([
    ['is missing', undefined, /can't be read \(ENOENT\)/],
    ['is empty', '\n', /is empty/],
    ['holds something else', 'planted secret words', /holds blanks/],
  ])('that %s from the start is an error that names it', async (_, content, problem) => {
    await using at = await folder();
    const file = join(at.path, 'token');
    if (content !== undefined) await writeFile(file, content);
    await using server = await accepting(new Set());
    const deps = { clock: new MovableClock(), log: new KeptLog() };
    await using target = await openPolaris(configured(server.port, { auth: { token_file: file } }), deps);
    const outcome = await target.notify(notification(), never);
    expect(outcome).toMatchObject({ kind: 'unauthorized', message: matching(problem) });
    expect(outcome).toHaveProperty('message', containing(file));
    expect(JSON.stringify(outcome)).not.toContain('planted');
    expect(server.seen).toEqual([]);
  });
});
