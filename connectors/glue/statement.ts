/** What a permission is asked for. */
export type Action =
  | 'glue:GetDatabase'
  | 'glue:GetDatabases'
  | 'glue:GetTable'
  | 'glue:GetTables'
  | 'sqs:ReceiveMessage'
  | 'sqs:DeleteMessage'
  | 'sqs:ChangeMessageVisibility'
  | 'sqs:GetQueueAttributes';

export type Place = {
  readonly region: string;
  /** The catalog's account; undefined: not known, so the statement has `*` in its place. */
  readonly account: string | undefined;
  readonly queueUrl: string | undefined;
};

/** The IAM statement that allows an action and no more, as one line of JSON. */
export function statementFor(action: Action, place: Place): string {
  return JSON.stringify({
    Effect: 'Allow',
    Action: [action],
    Resource: action.startsWith('sqs:') ? [queueArn(place)] : catalogArns(action, place),
  });
}

/** Glue asks for a permission on the object and on everything above it. */
function catalogArns(action: Action, { region, account = '*' }: Place): string[] {
  const arn = (what: string) => `arn:${partitionOf(region)}:glue:${region}:${account}:${what}`;
  const above = [arn('catalog'), arn('database/*')];
  return action.includes('Table') ? [...above, arn('table/*/*')] : above;
}

function queueArn({ region, queueUrl }: Place): string {
  const { account = '*', name = '*', region: own } = queueUrl === undefined ? {} : queueOf(queueUrl);
  return `arn:${partitionOf(own ?? region)}:sqs:${own ?? region}:${account}:${name}`;
}

export const partitionOf = (region: string): string => {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
};

export type QueueAddress = {
  readonly origin: string;
  /** From hosts such as `sqs.eu-west-1.amazonaws.com`. */
  readonly region?: string | undefined;
  readonly account?: string | undefined;
  readonly name: string;
  readonly fifo: boolean;
  /** A host of AWS's own, not of a test server. */
  readonly public: boolean;
};

/** The parts of a queue's URL, `https://sqs.eu-west-1.amazonaws.com/123456789012/name`; older hosts put the region first. */
export function queueOf(queueUrl: string): QueueAddress {
  const { origin, hostname, pathname } = new URL(queueUrl);
  const [account, name] = pathname
    .split('/')
    .filter((part) => part !== '')
    .slice(-2);
  const [, modern, older] =
    /(?:^|\.)sqs\.([a-z]{2}(?:-[a-z]+)+-\d+)\.|^([a-z]{2}(?:-[a-z]+)+-\d+)\.queue\./.exec(hostname) ?? [];
  return {
    origin,
    region: modern ?? older,
    account: /^[0-9]{12}$/.test(account ?? '') ? account : undefined,
    name: name ?? account ?? '',
    fifo: pathname.endsWith('.fifo'),
    public: /\.(amazonaws\.com(\.cn)?|api\.aws)$/.test(hostname),
  };
}
