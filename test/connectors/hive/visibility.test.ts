import { expect, test } from 'vitest';
import { Unseen } from '../../../connectors/hive/visibility.ts';

function unseenAfter(xids: readonly number[], snapshot: string): number {
  const unseen = new Unseen();
  for (const xid of xids) unseen.add(xid);
  unseen.seen(snapshot);
  return unseen.size;
}

test('a snapshot sees what ended before it', () => {
  expect(unseenAfter([750, 751], '752:752:')).toBe(0);
});

test('a snapshot doesn’t see what it lists as running, nor what began later', () => {
  expect(unseenAfter([750, 751], '750:752:750')).toBe(1);
  expect(unseenAfter([750, 751, 752, 760], '750:752:750,751')).toBe(4);
});

test('the 32 bits of the stream are compared across the wrap-around of transaction ids', () => {
  const epoch = 4_294_967_296;
  // The parser gives ids above 2^31 as negative numbers.
  expect(unseenAfter([-10], `${epoch - 5}:${epoch - 5}:`)).toBe(0);
  expect(unseenAfter([-10], `${epoch - 10}:${epoch - 5}:${epoch - 10}`)).toBe(1);
  // Ended before the wrap-around; the snapshot is of after it.
  expect(unseenAfter([-10], `${epoch + 20}:${epoch + 20}:`)).toBe(0);
  // After the wrap-around; the snapshot is of before it.
  expect(unseenAfter([20], `${epoch - 5}:${epoch - 5}:`)).toBe(1);
  expect(unseenAfter([20], `${epoch + 21}:${epoch + 21}:`)).toBe(0);
});

test('no more than the latest thousand are remembered', () => {
  expect(
    unseenAfter(
      Array.from({ length: 5000 }, (_, index) => index + 10),
      '3:3:',
    ),
  ).toBe(1000);
});

test('a text that is no snapshot is refused', () => {
  expect(() => new Unseen().seen('undefined')).toThrow(RangeError);
});
