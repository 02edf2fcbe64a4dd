import { expect, test } from 'vitest';
import { emulatorServer } from './emulator-server.ts';
import { NOT_EMULATED } from './not-emulated.ts';
import { Replay, at } from './replay.ts';
import { conformance } from './suite.ts';

conformance('the emulated Polaris answers as the recorded one', ['variant', 'restart'], () => emulatorServer());

test('the emulated Polaris answers 501 to what it does not emulate', async () => {
  await using replay = new Replay(await emulatorServer());
  await replay.login();
  const requests = NOT_EMULATED.flatMap(({ request }) => request ?? []);
  expect(requests.length).toBeGreaterThan(0);
  for (const { method, path } of requests) {
    const answer = await replay.send(method, path, { body: {} });
    expect(answer.status).toBe(501);
    expect(at(answer.body, 'error', 'type')).toBe('NotImplementedException');
  }
});
