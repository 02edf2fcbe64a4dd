import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/core/types.ts';
import { readAnswer, type Answer } from '../../src/polaris/answer.ts';
import {
  classify,
  classifyFailure,
  deniedPrincipal,
  saysNoSuchNamespace,
  saysNoSuchPath,
  saysNoSuchTable,
} from '../../src/polaris/classify.ts';
import { readRecording } from '../conformance/recording.ts';
import { containing, matching } from './matchers.ts';

type Expected = Outcome['kind'] | `refused ${string}` | `name-taken ${string}`;

const summary = (outcome: Outcome): Expected => {
  if (outcome.kind === 'refused') return `refused ${outcome.reason}`;
  return outcome.kind === 'name-taken' ? `name-taken ${outcome.by}` : outcome.kind;
};

/** status, error type ('' where there is none), message pattern, meaning. */
type Line = readonly [number, string, RegExp, Expected];

/**
 * Every kind of answer that the recorded Polaris gave to a notification, to a question for configuration, tables or
 * namespaces, and to a request for a token. A recorded answer without a line here fails the test, and so does a line
 * without a recorded answer.
 */
const ANSWERS_THAT_AN_AGENT_MEETS: readonly Line[] = [
  [400, '', /^$/, 'refused unrecognized'],
  [400, 'WebApplicationException', /^HTTP 400 Bad Request$/, 'refused unrecognized'],
  [400, 'IllegalArgumentException', /^Cannot parse missing int: format-version$/, 'refused metadata-invalid'],
  [400, 'IllegalArgumentException', /^Cannot read unsupported version 99$/, 'refused metadata-invalid'],
  [400, 'IllegalArgumentException', /^UUID is required in format v2$/, 'refused metadata-invalid'],
  [400, 'IllegalArgumentException', /^Illegal character in path at .*\.metadata\.json$/, 'refused metadata-invalid'],
  [400, 'IllegalArgumentException', /^Illegal character in path at .*\/$/, 'refused name-not-addressable'],
  [400, 'BadRequestException', /^Cannot update internal catalog via notifications$/, 'refused internal-catalog'],
  [400, 'BadRequestException', /^Metadata location .* is not allowed outside/, 'refused location-not-allowed'],
  [400, 'BadRequestException', /^Please specify a warehouse$/, 'refused unrecognized'],
  [400, 'BadRequestException', /^If-None-Match may not take the value of '\*'$/, 'refused unrecognized'],
  [400, 'invalid_scope', /^The scope is invalid$/, 'refused unrecognized'],
  [401, '', /^$/, 'unauthorized'],
  [401, 'unauthorized_client', /^The client is not authorized$/, 'unauthorized'],
  [403, 'ForbiddenException', /^Invalid locations '/, 'refused location-not-allowed'],
  [403, 'ForbiddenException', /^Principal '.*' is not authorized for op SEND_NOTIFICATIONS$/, 'refused not-authorized'],
  [
    403,
    'ForbiddenException',
    /^Principal '.*' is not authorized for op (?!SEND_NOTIF)[A-Z_]+$/,
    'refused not-authorized',
  ],
  [404, 'NotFoundException', /^Failed to open input stream for file: /, 'refused metadata-missing'],
  [404, 'NotFoundException', /^Parent path does not exist for /, 'lost-race'],
  [404, 'NotFoundException', /^Unable to find matching target resource method$/, 'refused unrecognized'],
  [404, 'NotFoundException', /^Unable to find warehouse nope$/, 'refused no-such-catalog'],
  [404, 'MissingOrInvalidRealm', /^Missing or invalid realm$/, 'refused no-such-realm'],
  [404, 'NoSuchNamespaceException', /^Namespace does not exist: ''$/, 'refused no-such-catalog'],
  [404, 'NoSuchNamespaceException', /^Namespace does not exist: [^']/, 'refused unrecognized'],
  // The name got lost from the path, so Polaris looked for a table called notifications.
  [404, 'NoSuchTableException', /^Table does not exist: sc\.notifications$/, 'refused name-not-addressable'],
  [404, 'NoSuchTableException', /^Table does not exist: (?!sc\.notif)/, 'refused unrecognized'],
  [409, 'AlreadyExistsException', /^A notification with a newer timestamp has been processed for table /, 'stale'],
  [409, 'AlreadyExistsException', /^Table already exists: /, 'lost-race'],
  [409, 'AlreadyExistsException', /^View already exists: /, 'name-taken view'],
  [409, 'AlreadyExistsException', /^Generic table already exists: /, 'name-taken generic table'],
  [409, 'CommitConflictException', /^Failed to commit Table or View .* concurrently modified$/, 'lost-race'],
  [413, '', /^$/, 'refused unrecognized'],
  [415, 'NotSupportedException', /^The content-type header value/, 'refused unrecognized'],
  [429, 'TooManyRequestsException', /^Rate exceeded$/, 'unavailable'],
  [
    500,
    'NullPointerException',
    /^(Cannot invoke "(java|org)\.|Expected a valid notification type\.$|$)/,
    'refused unrecognized',
  ],
  [500, 'NullPointerException', /^Cannot invoke "Object/, 'refused unrecognized'],
  [500, 'SdkClientException', /^Unable to load credentials from any of the providers/, 'unavailable'],
  [500, 'StreamReadException', /^Input does not start with Smile format header/, 'unavailable'],
  [503, 'RuntimeIOException', /^Failed to read file: /, 'refused metadata-unreadable'],
];

/** What the recorded Polaris answered to requests that the agent never makes. */
const OTHER_ANSWERS: readonly Line[] = [
  // Of conditional loads, which look at the status first.
  [304, '', /^$/, 'refused unrecognized'],
  [
    400,
    'BadRequestException',
    /^(default-base-location|Cannot [a-z]+ (table|view) on|Register table|Unknown policy)/,
    'refused unrecognized',
  ],
  [400, 'IllegalArgumentException', /^Namespace .* has a custom location/, 'refused metadata-invalid'],
  [400, 'PolicyInUseException', /^Policy .* is still attached/, 'refused unrecognized'],
  [400, 'ValidationException', /overlaps with an existing catalog/, 'refused unrecognized'],
  [404, 'NoSuchViewException', /^View does not exist: /, 'refused unrecognized'],
  [404, 'NotFoundException', /^(HTTP 404 Not Found$|TopLevelEntity of type CATALOG)/, 'refused unrecognized'],
  // An answer to HEAD, and pages outside the API.
  [404, '', /^$/, 'unavailable'],
  [405, 'NotAllowedException', /^HTTP 405 Method Not Allowed$/, 'refused unrecognized'],
  [409, 'AlreadyExistsException', /^(Cannot create (Catalog|namespace)|Policy already exists)/, 'refused unrecognized'],
  [409, 'CommitConflictException', /^Concurrent modification of namespace/, 'lost-race'],
  [409, 'NamespaceNotEmptyException', /is not empty$/, 'refused unrecognized'],
];

const LINES = [...ANSWERS_THAT_AN_AGENT_MEETS, ...OTHER_ANSWERS];

type Recorded = { readonly scenario: string; readonly status: number; readonly type: string; readonly message: string };

const recorded: readonly Recorded[] = [...readRecording().values()].flatMap(({ scenario, answers }) =>
  answers
    .filter(({ status }) => status >= 300)
    .map(({ status, type, message }) => ({ scenario, status, type: type ?? '', message: message ?? '' })),
);

const linesFor = ({ status, type, message }: Recorded): readonly Line[] =>
  LINES.filter((line) => line[0] === status && line[1] === type && line[2].test(message));

/** The answer as it came over the wire. */
function onTheWire({ status, type, message }: Recorded): Answer {
  const body =
    type === '' ? '' : JSON.stringify({ error: { message: message === '' ? null : message, type, code: status } });
  return readAnswer(status, {}, body);
}

describe('the recorded Polaris', () => {
  test('gave no answer that is not listed here exactly once', () => {
    expect(recorded.length).toBeGreaterThan(150);
    const unlisted = recorded.filter((answer) => linesFor(answer).length !== 1);
    expect(unlisted).toEqual([]);
  });

  test('gave every answer that is listed here', () => {
    const used = new Set(recorded.flatMap(linesFor));
    expect(LINES.filter((line) => !used.has(line))).toEqual([]);
  });

  for (const line of LINES) {
    const [status, type, pattern, expected] = line;
    test(`means ${expected} by ${status} ${type} ${pattern.source}`, () => {
      const answers = recorded.filter((answer) => linesFor(answer).includes(line));
      expect(answers.length).toBeGreaterThan(0);
      for (const answer of answers) {
        const outcome = classify(onTheWire(answer));
        expect({ ...answer, meaning: summary(outcome) }).toEqual({ ...answer, meaning: expected });
        expect(outcome).toHaveProperty('message', matching(/./));
      }
    });
  }

  test('admits with a 204', () => {
    expect(classify({ status: 204, message: '', headers: {} })).toEqual({ kind: 'admitted' });
  });
});

const answered = (status: number, type: string | undefined, message: string, headers: Answer['headers'] = {}) =>
  classify({ status, type, message, headers });

describe('answers that were not recorded', () => {
  test('on object stores: a missing file is a 400 or 404 with other words', () => {
    for (const status of [400, 404]) {
      const outcome = answered(status, 'NotFoundException', 'Location does not exist: s3://b/m.metadata.json');
      expect(summary(outcome)).toBe('refused metadata-missing');
    }
  });

  test('on object stores: a read that was denied is the table’s, credentials that can’t be had are the catalog’s', () => {
    expect(summary(answered(403, 'S3Exception', 'Access Denied (Service: S3, Status Code: 403)'))).toBe(
      'refused metadata-unreadable',
    );
    expect(summary(answered(403, 'StsException', 'User: x is not authorized to perform: sts:AssumeRole'))).toBe(
      'unavailable',
    );
    expect(summary(answered(404, 'FileIOUnknownHostException', 'UnknownHostException'))).toBe(
      'refused metadata-unreadable',
    );
    expect(summary(answered(502, 'S3Exception', 'Internal Error'))).toBe('unavailable');
  });

  test('a commit whose end nobody knows, and a gateway that stopped waiting, leave it unknown', () => {
    expect(summary(answered(500, 'CommitStateUnknownException', 'Commit state unknown'))).toBe('unknown');
    expect(summary(answered(504, undefined, 'Gateway Timeout'))).toBe('unknown');
  });

  test('a bare 503 is Polaris’s, not the table’s', () => {
    expect(summary(answered(503, undefined, 'HTTP 503 without a body'))).toBe('unavailable');
    expect(summary(answered(503, 'ServiceUnavailableException', 'busy'))).toBe('unavailable');
  });

  test.each([
    [200, 'refused unrecognized'],
    [202, 'refused unrecognized'],
    [301, 'refused unrecognized'],
    [302, 'refused unrecognized'],
    [402, 'refused unrecognized'],
    [403, 'refused unrecognized'],
    [404, 'unavailable'],
    [407, 'unauthorized'],
    [408, 'unavailable'],
    [418, 'refused unrecognized'],
    [425, 'unavailable'],
    [429, 'unavailable'],
    [500, 'unavailable'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [599, 'unavailable'],
  ])('a web page with status %i is %s', (status, expected) => {
    const html = '<html><head><title>Something else</title></head></html>';
    const outcome = classify(readAnswer(status, { 'content-type': 'text/html' }, html));
    expect(summary(outcome)).toBe(expected);
    expect(outcome).toHaveProperty('message', containing('Something else'));
  });

  test('only a 204 admits; for any other request a 2xx that disappoints is a failure, too', () => {
    expect(summary(classifyFailure({ status: 204, message: '', headers: {} }))).toBe('refused unrecognized');
  });

  test('the type decides beside the message', () => {
    const text = 'A notification with a newer timestamp has been processed for table a.b';
    expect(summary(answered(409, 'SomethingElse', text))).toBe('refused unrecognized');
    expect(summary(answered(409, undefined, text))).toBe('refused unrecognized');
    expect(summary(answered(400, 'AlreadyExistsException', text))).toBe('refused unrecognized');
  });
});

const wait = (headers: Answer['headers']) => {
  const outcome = answered(429, 'TooManyRequestsException', 'Rate exceeded', headers);
  return outcome.kind === 'unavailable' ? outcome.retryAfterMs : 'not unavailable';
};

describe('how long to wait', () => {
  test('is unsaid without Retry-After', () => expect(wait({})).toBeUndefined());

  test('is in seconds', () => {
    expect(wait({ 'retry-after': '7' })).toBe(7000);
    expect(wait({ 'retry-after': '0' })).toBe(0);
  });

  test('is a date by the server’s own clock', () => {
    const date = 'Wed, 21 Oct 2015 07:28:00 GMT';
    expect(wait({ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date })).toBe(30_000);
    expect(wait({ 'retry-after': 'Wed, 21 Oct 2015 07:27:30 GMT', date })).toBe(0);
    expect(wait({ 'retry-after': date })).toBeUndefined();
  });

  test('is unsaid in words that aren’t understood', () => expect(wait({ 'retry-after': 'soon' })).toBeUndefined());
});

describe('messages', () => {
  test('are one line of bounded length', () => {
    const outcome = answered(400, 'X', `a\n  b ${'c'.repeat(5000)}`);
    const message = outcome.kind === 'refused' ? outcome.message : '';
    expect(message).toMatch(/^a b c+…$/);
    expect(message.length).toBe(800);
  });

  test('are judged in full before they are cut', () => {
    const outcome = answered(
      400,
      'IllegalArgumentException',
      `Illegal character in path: file:///${'n'.repeat(2000)} /`,
    );
    expect(summary(outcome)).toBe('refused name-not-addressable');
  });

  test('say what came where Polaris said nothing', () => {
    expect(readAnswer(401, {}, '').message).toBe('HTTP 401 without a body');
    expect(readAnswer(500, {}, '{"error":{"message":null,"type":"NullPointerException"}}').message).toContain(
      'NullPointerException',
    );
    expect(readAnswer(400, {}, 'nonsense').message).toContain("not Polaris's");
    expect(readAnswer(301, { location: '/api/catalog/' }, '').message).toBe('HTTP 301, a redirection to another path');
    expect(readAnswer(302, { location: 'https://login.example.com/?state=planted' }, '').message).toBe(
      'HTTP 302, a redirection to https://login.example.com',
    );
  });

  test('tell who was denied', () => {
    const message =
      "Principal 'sync_agent' with activated PrincipalRoles '[sync_role, other]' and activated grants via '[cr]' is not authorized for op SEND_NOTIFICATIONS";
    expect(deniedPrincipal(message)).toEqual({ principal: 'sync_agent', principalRole: 'sync_role' });
    expect(deniedPrincipal("Principal 'p' with activated PrincipalRoles '[]' and")).toEqual({ principal: 'p' });
    expect(deniedPrincipal('denied')).toEqual({});
  });
});

test('no such table, namespace and path are told apart', () => {
  const table = readAnswer(404, {}, '{"error":{"message":"Table does not exist: a.b","type":"NoSuchTableException"}}');
  const namespace = readAnswer(
    404,
    {},
    '{"error":{"message":"Namespace does not exist: a","type":"NoSuchNamespaceException"}}',
  );
  const root = readAnswer(
    404,
    {},
    `{"error":{"message":"Namespace does not exist: ''","type":"NoSuchNamespaceException"}}`,
  );
  const path = readAnswer(
    404,
    {},
    '{"error":{"message":"Unable to find matching target resource method","type":"NotFoundException"}}',
  );
  expect([table, namespace, root, path].map(saysNoSuchTable)).toEqual([true, false, false, false]);
  expect([table, namespace, root, path].map(saysNoSuchNamespace)).toEqual([false, true, false, false]);
  expect([table, namespace, root, path].map(saysNoSuchPath)).toEqual([false, false, false, true]);
});
