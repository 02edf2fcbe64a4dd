import { expect, test } from 'vitest';
import { Feedback } from '../../../connectors/hive/feedback.ts';

/** A feedback that starts at 100 and has received a transaction with hints that ended at 200. */
function withHints(): Feedback {
  const feedback = new Feedback(100n);
  feedback.begin();
  feedback.commit(200n, true);
  return feedback;
}

test('while nothing is held, the server’s own position is confirmed', () => {
  const feedback = new Feedback(100n);
  expect(feedback.flush).toBe(100n);
  feedback.keepalive(150n);
  expect(feedback.flush).toBe(150n);
});

test('hints hold the confirmation back until their delivery is acknowledged', () => {
  const feedback = withHints();
  feedback.keepalive(300n);
  expect(feedback.flush).toBe(100n);
  const ticket = feedback.delivered(200n);
  expect(feedback.flush).toBe(100n);
  feedback.acknowledged(ticket);
  expect(feedback.flush).toBe(300n);
});

test('an acknowledgement confirms the end of its own transaction while later hints are under way', () => {
  const feedback = withHints();
  const ticket = feedback.delivered(200n);
  feedback.begin();
  feedback.commit(250n, true);
  feedback.acknowledged(ticket);
  expect(feedback.flush).toBe(200n);
});

test('deliveries acknowledged out of order confirm only what is durable without a gap', () => {
  const feedback = withHints();
  const first = feedback.delivered(200n);
  feedback.commit(250n, true);
  const second = feedback.delivered(250n);
  feedback.acknowledged(second);
  expect(feedback.flush).toBe(100n);
  feedback.acknowledged(first);
  expect(feedback.flush).toBe(250n);
});

test('a transaction that is only half received is never confirmed', () => {
  const feedback = new Feedback(100n);
  feedback.begin();
  feedback.keepalive(180n);
  expect(feedback.flush).toBe(100n);
  feedback.commit(200n, false);
  expect(feedback.flush).toBe(200n);
});

test('a keepalive older than what was received doesn’t lower the confirmation', () => {
  const feedback = new Feedback(100n);
  feedback.keepalive(90n);
  expect(feedback.flush).toBe(100n);
});

test('a thousand reply requests in a second while hints are held are a server that wants to stop', () => {
  const feedback = withHints();
  const answers = Array.from({ length: 1000 }, (_, index) => feedback.flooded(index));
  expect(answers.indexOf(true)).toBe(100);
});

test('reply requests of a keepalive’s frequency are none, however long hints are held', () => {
  const feedback = withHints();
  const answers = Array.from({ length: 10_000 }, (_, index) => feedback.flooded(index * 50));
  expect(answers).not.toContain(true);
});

test('reply requests while confirmations move on, or nothing is held, are none', () => {
  const moving = withHints();
  const idle = new Feedback(100n);
  for (let index = 1; index < 1000; index++) {
    moving.acknowledged(moving.delivered(200n + BigInt(index)));
    moving.commit(200n + BigInt(index), true);
    expect([moving.flooded(index / 10), idle.flooded(index / 10)]).toEqual([false, false]);
  }
});
