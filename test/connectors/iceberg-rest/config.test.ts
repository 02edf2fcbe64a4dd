import { describe, expect, test } from 'vitest';
import { restConfig, type RestConfig } from '../../../connectors/iceberg-rest/config.ts';

const MINIMAL = { kind: 'iceberg-rest', uri: 'https://catalog.example.com/api/catalog/' };

const parsed = (changes: Readonly<Record<string, unknown>> = {}): RestConfig =>
  restConfig.parse({ ...MINIMAL, ...changes });

function problems(changes: Readonly<Record<string, unknown>>): readonly string[] {
  const { error } = restConfig.safeParse({ ...MINIMAL, ...changes });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const NO_WEBHOOK_SECRET = 'expected whsec_ and base64 of 24 to 64 bytes, or any other text of at least 16 characters';

describe('The configuration of an Iceberg REST source', () => {
  test('needs an address alone', () => {
    expect(parsed()).toEqual({
      kind: 'iceberg-rest',
      uri: 'https://catalog.example.com/api/catalog',
      warehouse: undefined,
      auth: { type: 'none' },
      headers: {},
      caFile: undefined,
      timeouts: { connectMs: 5_000, headersMs: 30_000, bodyMs: 10_000, totalMs: 60_000 },
      concurrency: 8,
      poll: { listMs: 60_000, requestsPerSecond: 20, maxAgeMs: 900_000 },
      webhook: undefined,
      maxClockSkewMs: 5_000,
    });
  });

  test('takes a webhook with a limit of its bodies', () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const { webhook } = parsed({ webhook: { secret } });
    expect(webhook).toEqual({ secret, maxBodyBytes: 256 * 1024 });
  });

  test('takes a token as it is, or in a file that is read again', () => {
    expect(parsed({ auth: { type: 'bearer', token: 'abc' } }).auth).toEqual({ type: 'bearer', token: 'abc' });
    expect(parsed({ auth: { type: 'bearer', token_file: '/t' } }).auth).toEqual({ type: 'bearer-file', path: '/t' });
  });

  test.for([
    ['https://glue.eu-west-1.amazonaws.com/iceberg', 'glue', 'eu-west-1'],
    ['https://glue-fips.us-gov-west-1.amazonaws.com/iceberg', 'glue', 'us-gov-west-1'],
    ['https://s3tables.us-east-1.amazonaws.com/iceberg', 's3tables', 'us-east-1'],
    ['https://a1b2.execute-api.eu-central-1.amazonaws.com/prod', 'execute-api', 'eu-central-1'],
  ] as const)('reads service and region of a signature from %s', ([uri, service, region]) => {
    expect(parsed({ uri, auth: { type: 'sigv4' } }).auth).toEqual({ type: 'sigv4', service, region, role: undefined });
  });

  test('lets service and region be told, for a host of another name', () => {
    const auth = {
      type: 'sigv4',
      service: 'glue',
      region: 'eu-west-1',
      role: { arn: 'arn:aws:iam::123456789012:role/r' },
    };
    expect(parsed({ auth }).auth).toEqual({
      type: 'sigv4',
      service: 'glue',
      region: 'eu-west-1',
      role: { arn: 'arn:aws:iam::123456789012:role/r', externalId: undefined },
    });
  });

  test.for([
    [{ auth: { type: 'sigv4' } }, 'auth.region: missing; the host of uri does not tell it'],
    [{ auth: { type: 'bearer' } }, 'auth: expected exactly one of token and token_file'],
    [{ auth: { type: 'bearer', token: 'a', token_file: '/t' } }, 'auth: expected exactly one of token and token_file'],
    [
      { auth: { type: 'bearer', token: 'a b' } },
      'auth.token: has blanks or other characters that no bearer token holds',
    ],
    [{ auth: { type: 'token-exchange' } }, 'auth: expected exactly one of subject_token and subject_token_file'],
    [
      { auth: { type: 'token-exchange', subject_token: 'a', client_secret: 's' } },
      'auth.client_id: missing; client_secret needs it',
    ],
    [{ auth: { type: 'basic' } }, 'auth.type: expected type: none, bearer, oauth2, token-exchange or sigv4'],
    [{ uri: 'https://user:pass@catalog.example.com' }, 'uri: put credentials under auth, not into the address'],
    [{ uri: 'catalog.example.com' }, 'uri: expected an http:// or https:// address'],
    [{ webhook: { secret: 'whsec_' } }, `webhook.secret: ${NO_WEBHOOK_SECRET}`],
    [{ webhook: { secret: 'whsec_!!' } }, `webhook.secret: ${NO_WEBHOOK_SECRET}`],
    [{ webhook: { secret: 'short' } }, `webhook.secret: ${NO_WEBHOOK_SECRET}`],
    [{ headers: { Authorization: 'x' } }, 'headers.Authorization: this header is set by polaris-push itself'],
    [{ headers: { 'x-amz-date': 'x' } }, 'headers.x-amz-date: this header is set by polaris-push itself'],
  ] as const)('says what is wrong with %j', ([changes, problem]) => {
    expect(problems(changes)).toEqual([problem]);
  });
});
