import { describe, expect, test } from 'vitest';
import { awsFailure, isOfOneTable, type Doing } from '../../../connectors/glue/failure.ts';
import { queueOf, statementFor } from '../../../connectors/glue/statement.ts';
import { PushError } from '../../../src/errors/errors.ts';

const PLACE = {
  region: 'eu-west-1',
  account: '123456789012',
  queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/polaris-push',
};
const reading: Doing = { ...PLACE, doing: 'reading table sales.orders', action: 'glue:GetTable' };
const receiving: Doing = { ...PLACE, doing: 'receiving messages', action: 'sqs:ReceiveMessage' };

/** As the SDK throws what AWS answers. */
const answered = (name: string, message = 'said AWS', status = 400, more: object = {}) =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status, requestId: 'r-1' }, ...more });

const system = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

describe('Every error gets a code', () => {
  test.each<[unknown, string, string]>([
    [answered('AccessDeniedException'), 'GLUE_ACCESS_DENIED', 'SQS_ACCESS_DENIED'],
    [answered('AccessDenied', '', 403), 'GLUE_ACCESS_DENIED', 'SQS_ACCESS_DENIED'],
    [answered('Forbidden', 'nothing', 403), 'GLUE_ACCESS_DENIED', 'SQS_ACCESS_DENIED'],
    [answered('ThrottlingException', 'Rate exceeded'), 'GLUE_THROTTLED', 'SQS_THROTTLED'],
    [answered('RequestThrottled'), 'GLUE_THROTTLED', 'SQS_THROTTLED'],
    [answered('ExpiredTokenException'), 'GLUE_CREDENTIALS_EXPIRED', 'GLUE_CREDENTIALS_EXPIRED'],
    [answered('UnrecognizedClientException'), 'GLUE_CREDENTIALS_REFUSED', 'GLUE_CREDENTIALS_REFUSED'],
    [answered('InvalidSignatureException', 'Wrong.'), 'GLUE_CREDENTIALS_REFUSED', 'GLUE_CREDENTIALS_REFUSED'],
    [answered('InvalidSignatureException', 'Signature expired: now'), 'GLUE_CLOCK_SKEWED', 'GLUE_CLOCK_SKEWED'],
    [answered('RequestTimeTooSkewed'), 'GLUE_CLOCK_SKEWED', 'GLUE_CLOCK_SKEWED'],
    [answered('GlueEncryptionException'), 'GLUE_ENCRYPTION', 'SQS_ENCRYPTION'],
    [answered('KmsAccessDenied'), 'GLUE_ENCRYPTION', 'SQS_ENCRYPTION'],
    [answered('AccessDeniedException', 'not authorized to perform: kms:Decrypt'), 'GLUE_ENCRYPTION', 'SQS_ENCRYPTION'],
    [answered('FederationSourceException'), 'GLUE_FEDERATION', 'GLUE_FEDERATION'],
    [answered('FederationSourceRetryableException'), 'GLUE_FEDERATION', 'GLUE_FEDERATION'],
    [answered('EntityNotFoundException'), 'GLUE_CATALOG_UNKNOWN', 'GLUE_CATALOG_UNKNOWN'],
    [
      answered('EntityNotFoundException', 'gone', 400, { FromFederationSource: true }),
      'GLUE_FEDERATION',
      'GLUE_FEDERATION',
    ],
    [answered('InternalServiceException', 'oops', 500), 'GLUE_UNREACHABLE', 'SQS_UNREACHABLE'],
    [answered('OperationTimeoutException'), 'GLUE_UNREACHABLE', 'SQS_UNREACHABLE'],
    [answered('InvalidInputException'), 'GLUE_FAILED', 'SQS_FAILED'],
    [system('ECONNREFUSED'), 'GLUE_UNREACHABLE', 'SQS_UNREACHABLE'],
    [Object.assign(new Error('slow'), { name: 'TimeoutError' }), 'GLUE_UNREACHABLE', 'SQS_UNREACHABLE'],
    [answered('QueueDoesNotExist'), 'SQS_QUEUE_MISSING', 'SQS_QUEUE_MISSING'],
    [answered('OverLimit'), 'SQS_TOO_MANY_IN_FLIGHT', 'SQS_TOO_MANY_IN_FLIGHT'],
    [
      Object.assign(new Error('Could not load credentials from any providers'), { name: 'CredentialsProviderError' }),
      'GLUE_CREDENTIALS_MISSING',
      'GLUE_CREDENTIALS_MISSING',
    ],
    [
      answered('AccessDenied', 'User is not authorized to perform: sts:AssumeRole on resource: arn', 403),
      'GLUE_ROLE_REFUSED',
      'GLUE_ROLE_REFUSED',
    ],
    ['a text', 'GLUE_UNREACHABLE', 'SQS_UNREACHABLE'],
  ])('%s', (error, ofGlue, ofSqs) => {
    expect(awsFailure(error, reading).code).toBe(ofGlue);
    expect(awsFailure(error, receiving).code).toBe(ofSqs);
  });
});

test('an error of our own passes as it is', () => {
  const own = new PushError('GLUE_FAILED', 'x');
  expect(awsFailure(own, reading)).toBe(own);
});

test('a denial names the statement that allows the action, and no more', () => {
  const { fix, message } = awsFailure(answered('AccessDeniedException', 'User: arn is not authorized'), reading);
  expect(message).toContain('While reading table sales.orders: User: arn is not authorized.');
  expect(JSON.parse(fix.slice(fix.indexOf('{')))).toEqual({
    Effect: 'Allow',
    Action: ['glue:GetTable'],
    Resource: [
      'arn:aws:glue:eu-west-1:123456789012:catalog',
      'arn:aws:glue:eu-west-1:123456789012:database/*',
      'arn:aws:glue:eu-west-1:123456789012:table/*/*',
    ],
  });
  expect(awsFailure(answered('AccessDenied'), receiving).fix).toContain(
    '"arn:aws:sqs:eu-west-1:123456789012:polaris-push"',
  );
});

test('a grant that is missing in Lake Formation is no matter of IAM', () => {
  const error = answered('AccessDeniedException', 'Insufficient Lake Formation permission(s) on orders');
  expect(awsFailure(error, reading).fix).toMatch(/^In Lake Formation, grant/);
});

test('neither the answer’s headers nor a canonical request with its token get into an error', () => {
  const canonical =
    "The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'POST\n/\nx-amz-security-token:planted-token\n'";
  const error = answered('InvalidSignatureException', canonical, 403, {
    $response: { headers: { authorization: 'planted-key', 'x-amz-security-token': 'planted-token' } },
  });
  const failure = awsFailure(error, reading);
  for (const text of [
    failure.message,
    failure.fix,
    String(failure.cause),
    JSON.stringify(failure.cause),
    failure.stack,
  ])
    expect(text).not.toContain('planted');
  expect(failure.message).toContain('The request signature we calculated does not match.');
  expect(failure.cause).toMatchObject({ name: 'InvalidSignatureException', requestId: 'r-1' });
});

test('what concerns one table alone leaves others readable', () => {
  for (const name of ['AccessDeniedException', 'InvalidInputException', 'FederationSourceException'])
    expect(isOfOneTable(answered(name))).toBe(true);
  for (const name of ['ThrottlingException', 'GlueEncryptionException', 'FederationSourceRetryableException'])
    expect(isOfOneTable(answered(name))).toBe(false);
});

test('partitions of AWS have ARNs of their own', () => {
  expect(statementFor('glue:GetDatabases', { ...PLACE, region: 'cn-north-1' })).toContain('arn:aws-cn:glue:cn-north-1');
  expect(statementFor('glue:GetDatabases', { ...PLACE, region: 'us-gov-west-1' })).toContain('arn:aws-us-gov:');
  expect(statementFor('glue:GetDatabases', { ...PLACE, account: undefined })).toContain(':eu-west-1:*:catalog');
});

test.each([
  ['https://sqs.eu-west-1.amazonaws.com/123456789012/q', 'eu-west-1', '123456789012', 'q', false, true],
  ['https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q.fifo', 'cn-north-1', '123456789012', 'q.fifo', true, true],
  ['https://eu-west-1.queue.amazonaws.com/123456789012/q', 'eu-west-1', '123456789012', 'q', false, true],
  ['https://queue.amazonaws.com/123456789012/q', undefined, '123456789012', 'q', false, true],
  ['https://vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q', 'eu-west-1', '123456789012', 'q', false, true],
  ['http://sqs.eu-west-1.localhost:4566/000000000000/q', 'eu-west-1', '000000000000', 'q', false, false],
  ['http://127.0.0.1:4566/queue/q', undefined, undefined, 'q', false, false],
])('the parts of %s', (url, region, account, name, fifo, isPublic) => {
  expect(queueOf(url)).toMatchObject({ region, account, name, fifo, public: isPublic });
});
