import { expect, test } from 'vitest';
import { maxReceives, queueProblems } from '../../../connectors/glue/settings.ts';

const url = 'https://sqs.eu-west-1.amazonaws.com/123456789012/polaris-push';
type Attributes = Readonly<Record<string, string | undefined>>;

const policy = (action: unknown) =>
  JSON.stringify({
    Statement: [{ Effect: 'Allow', Principal: { Service: 'events.amazonaws.com' }, Action: action, Resource: '*' }],
  });
const sane = {
  VisibilityTimeout: '30',
  MessageRetentionPeriod: '345600',
  DelaySeconds: '0',
  RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead","maxReceiveCount":5}',
  Policy: policy('sqs:SendMessage'),
};

const subjects = (changes: Attributes, fifo = false) =>
  queueProblems({ url, fifo }, { ...sane, ...changes }).map(({ level, subject }) => `${level}: ${subject}`);

test.each<[string, Attributes, string[]]>([
  ['a sane queue', {}, []],
  ['no redrive policy', { RedrivePolicy: undefined }, ['warning: redrive policy']],
  ['one that is no JSON', { RedrivePolicy: '{' }, ['warning: redrive policy']],
  ['few receives', { RedrivePolicy: '{"maxReceiveCount":"2"}' }, ['warning: redrive policy']],
  ['short retention', { MessageRetentionPeriod: '3600' }, ['warning: retention']],
  ['a delay', { DelaySeconds: '60' }, ['warning: delay']],
  ['the key that EventBridge may not use', { KmsMasterKeyId: 'alias/aws/sqs' }, ['error: encryption']],
  ['a key of one’s own', { KmsMasterKeyId: 'alias/mine' }, []],
  ['no policy', { Policy: undefined }, ['warning: queue policy']],
  ['a policy for something else', { Policy: policy('sqs:ReceiveMessage') }, ['warning: queue policy']],
  ['a policy with a list', { Policy: policy(['sqs:GetQueueUrl', 'SQS:SendMessage']) }, []],
  ['a policy for all', { Policy: policy('*') }, []],
])('%s', (_name, changes, expected) => expect(subjects(changes)).toEqual(expected));

test('a FIFO queue must deduplicate by content', () => {
  expect(subjects({}, true)).toEqual(['warning: deduplication']);
  expect(subjects({ ContentBasedDeduplication: 'true' }, true)).toEqual([]);
});

test('every problem has a code and a fix', () => {
  for (const problem of queueProblems({ url, fifo: true }, {}))
    expect([typeof problem.code, typeof problem.fix]).toEqual(['string', 'string']);
});

test('receives are limited by the redrive policy alone', () => {
  expect(maxReceives(sane)).toBe(5);
  expect(maxReceives({})).toBeUndefined();
});
