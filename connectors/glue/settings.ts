import type { Finding } from '../../src/core/finding.ts';
import type { Queue } from './queue.ts';

const DAY_SECONDS = 86_400;
/** A crash loop of a consumer uses up one receive each time, and must not send good messages to the dead-letter queue. */
const FEWEST_RECEIVES = 5;

type Attributes = Readonly<Record<string, string | undefined>>;
type Problem = Finding & { readonly level: 'warning' | 'error' };

/** What is wrong with a queue, by its attributes. None of it loses a table for good, as lists heal what events missed. */
export function queueProblems({ url, fifo }: Pick<Queue, 'url' | 'fifo'>, attributes: Attributes): readonly Problem[] {
  return [
    ...redriveProblems(url, fifo, attributes),
    ...arrivalProblems(url, fifo, attributes),
    ...policyProblems(url, attributes),
  ].map((problem) => ({ ...problem, code: 'SQS_QUEUE_SETTINGS' }));
}

/** How often a message may be received before it goes to the dead-letter queue; undefined: there is none. */
export function maxReceives({ RedrivePolicy }: Attributes): number | undefined {
  const policy = parsed(RedrivePolicy) as { readonly maxReceiveCount?: number | string } | undefined;
  const count = Number(policy?.maxReceiveCount);
  return Number.isFinite(count) ? count : undefined;
}

const set = (url: string, attributes: string) =>
  `aws sqs set-queue-attributes --queue-url ${url} --attributes '${attributes}'`;

function redriveProblems(url: string, fifo: boolean, attributes: Attributes): Problem[] {
  const limit = maxReceives(attributes);
  if (limit === undefined)
    return [
      {
        level: 'warning',
        subject: 'redrive policy',
        detail: `There is none, so a message that can't be understood comes again and again until its retention is over${fifo ? ', and holds up its message group' : ''}.`,
        fix: set(
          url,
          String.raw`{"RedrivePolicy":"{\"deadLetterTargetArn\":\"ARN_OF_THE_DEAD_LETTER_QUEUE\",\"maxReceiveCount\":\"5\"}"}`,
        ),
      },
    ];
  if (limit >= FEWEST_RECEIVES) return [];
  return [
    {
      level: 'warning',
      subject: 'redrive policy',
      detail: `maxReceiveCount is ${limit}: it counts receives, not failures, so a few restarts send good messages to the dead-letter queue.`,
      fix: `Set maxReceiveCount in the queue's RedrivePolicy to ${FEWEST_RECEIVES} or more.`,
    },
  ];
}

function arrivalProblems(url: string, fifo: boolean, attributes: Attributes): Problem[] {
  const problems: Problem[] = [];
  const retention = Number(attributes['MessageRetentionPeriod'] ?? DAY_SECONDS);
  if (retention < DAY_SECONDS)
    problems.push({
      level: 'warning',
      subject: 'retention',
      detail: `Messages are kept for ${retention} s: events of a longer outage of the agent are lost, and found only by the list that it starts with.`,
      fix: set(url, '{"MessageRetentionPeriod":"345600"}'),
    });
  if (Number(attributes['DelaySeconds'] ?? 0) > 0)
    problems.push({
      level: 'warning',
      subject: 'delay',
      detail: `Every message is held back for ${attributes['DelaySeconds']} s.`,
      fix: set(url, '{"DelaySeconds":"0"}'),
    });
  if (/^alias\/aws\/sqs$/.test(attributes['KmsMasterKeyId'] ?? ''))
    problems.push({
      level: 'error',
      subject: 'encryption',
      detail: "The queue is encrypted with AWS's own key for SQS, which EventBridge may not use: events don't arrive.",
      fix: 'Use a key of your own whose policy lets events.amazonaws.com kms:Decrypt and kms:GenerateDataKey, or SSE-SQS (SqsManagedSseEnabled).',
    });
  if (fifo && attributes['ContentBasedDeduplication'] !== 'true')
    problems.push({
      level: 'warning',
      subject: 'deduplication',
      detail: 'EventBridge sends to a FIFO queue only if it deduplicates by content.',
      fix: set(url, '{"ContentBasedDeduplication":"true"}'),
    });
  return problems;
}

type Statement = { readonly Effect?: string; readonly Principal?: unknown; readonly Action?: unknown };

function policyProblems(url: string, { Policy }: Attributes): Problem[] {
  const policy = parsed(Policy) as { readonly Statement?: Statement | readonly Statement[] } | undefined;
  const statements = [policy?.Statement ?? []].flat() as readonly Statement[];
  // SNS, a pipe or another account may stand between EventBridge and the queue.
  const admits = statements.some(
    ({ Effect, Action }) => Effect === 'Allow' && /sqs:(SendMessage|\*)|^"?\*/i.test(JSON.stringify(Action ?? '')),
  );
  if (admits) return [];
  return [
    {
      level: 'warning',
      subject: 'queue policy',
      detail: "No statement of the queue's policy lets anybody send messages, so EventBridge can't.",
      fix: `Add to the policy of ${url}: {"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"ARN_OF_THE_QUEUE","Condition":{"ArnEquals":{"aws:SourceArn":"ARN_OF_THE_RULE"}}}`,
    },
  ];
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}
