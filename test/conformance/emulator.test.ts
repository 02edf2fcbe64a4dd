import { expect, test } from 'vitest';
import { emulatorServer } from './emulator-server.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { NOT_EMULATED } from './not-emulated.ts';
import { readRecording } from './recording.ts';
import { Replay, at } from './replay.ts';
import { conformance } from './suite.ts';
import { upserts } from './topics/upserts.ts';

conformance('the emulated Polaris answers as the recorded one', ['variant', 'restart'], () => emulatorServer());

test('the emulated Polaris answers 501 to what it does not emulate', async () => {
  await using replay = new Replay(await emulatorServer());
  await replay.login();
  const answer = await replay.send('POST', '/api/catalog/v1/ext/views/rename', { body: {} });
  expect(answer.status).toBe(501);
  expect(at(answer.body, 'error', 'type')).toBe('NotImplementedException');
});

test('what is not emulated is no more than was decided', () => {
  const recorded = [...readRecording().keys()];
  const counts = NOT_EMULATED.map(({ scenarios }) => recorded.filter((scenario) => scenarios.test(scenario)).length);
  expect(counts).toEqual([6, 1]);
});

test('the suite finds a server that answers otherwise', async () => {
  await using server = await emulatorServer();
  await using wrong = await startEmulator();
  const replay = new Replay({ ...server, uri: wrong.uri });
  await replay.login();
  wrong.addCatalog({ name: replay.named('ext'), baseLocation: `file://${replay.folder('ext')}` });
  wrong.intercept(({ timestamp }) => (timestamp === 999n ? { status: 204 } : 'pass'));
  await upserts.run(replay);
  expect(replay.takeMismatches().map(({ scenario }) => scenario)).toEqual(['create-again-older-ts']);
});
