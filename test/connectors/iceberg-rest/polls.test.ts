import { expect, test } from 'vitest';
import { eventually } from '../../pipeline/world.ts';
import { Watching } from './hook-world.ts';
import { listAll, PolarisWorld, table } from './world.ts';

test('Trouble that many polls meet at once is one reason to pause, so the first pauses are short', async () => {
  await using world = await PolarisWorld.start();
  for (let i = 0; i < 40; i++) await world.create(table('sales', `t${i}`));
  // Looks at the names meet it, too, but not soon.
  const poll = { list: '1h', requests_per_second: 10_000, max_age: '1s' };
  const connector = await world.connector({ concurrency: 64, poll });
  await listAll(connector);
  await using watch = new Watching(connector);
  // It begins when it is asked; nothing changes, so it never answers.
  watch.next().catch(() => {});
  await eventually(async () => (connector.figures().unchanged >= 80 ? undefined : 'not polled yet'));
  // Not asked again, so all that are under way fail together.
  const error = { message: 'Trouble', type: 'BadRequestException', code: 400 };
  world.emulator.intercept(({ kind }) => (kind === 'token' ? 'pass' : { status: 400, body: { error } }));
  const pauses = () => world.log.lines.filter(({ event }) => event === 'polls-paused');
  await eventually(async () => (pauses().length >= 3 ? undefined : 'no three pauses yet'));
  const lengths = pauses().map(({ fields }) => Number(fields['resumeInMs']));
  expect(lengths.slice(0, 3).map((ms, at) => ms < 500 * 2 ** at)).toEqual([true, true, true]);
});
