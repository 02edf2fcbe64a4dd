import { expect, test } from 'vitest';
import { Gate } from '../../src/runtime/gate.ts';
import { settled } from './manual-clock.ts';

function crowd(gate: Gate, size: number): string[] {
  const entered: string[] = [];
  for (let i = 0; i < size; i++) void gate.enter().then(() => entered.push(`${i}`));
  return entered;
}

test('a gate lets in as many as its limit, and the others in the order in which they came', async () => {
  const gate = new Gate(() => 2);
  const entered = crowd(gate, 5);
  await settled();
  expect(entered).toEqual(['0', '1']);
  gate.leave();
  await settled();
  expect(entered).toEqual(['0', '1', '2']);
  gate.leave();
  gate.leave();
  await settled();
  expect(entered).toEqual(['0', '1', '2', '3', '4']);
  expect(gate.inside).toBe(2);
});

test('a higher limit lets several in at once, at the next departure', async () => {
  let limit = 1;
  const gate = new Gate(() => limit);
  const entered = crowd(gate, 6);
  limit = 4;
  gate.leave();
  await settled();
  expect(entered).toHaveLength(5);
  expect(gate.inside).toBe(4);
});

test('a lower limit lets nobody in until enough have left', async () => {
  let limit = 3;
  const gate = new Gate(() => limit);
  const entered = crowd(gate, 4);
  limit = 1;
  gate.leave();
  gate.leave();
  await settled();
  expect(entered).toHaveLength(3);
  gate.leave();
  await settled();
  expect(entered).toHaveLength(4);
});

test('whoever comes when the limit has grown lets those in who waited longer', async () => {
  let limit = 1;
  const gate = new Gate(() => limit);
  const entered = crowd(gate, 3);
  limit = 3;
  void gate.enter().then(() => entered.push('late'));
  await settled();
  expect(entered).toEqual(['0', '1', '2']);
  gate.leave();
  await settled();
  expect(entered).toEqual(['0', '1', '2', 'late']);
});

test('a gate keeps nothing of the many that have gone through', async () => {
  const gate = new Gate(() => 1);
  let entered = 0;
  for (let i = 0; i < 10_000; i++) void gate.enter().then(() => entered++);
  for (let i = 0; i < 10_000; i++) gate.leave();
  await settled();
  expect(entered).toBe(10_000);
  expect(gate.inside).toBe(0);
});
