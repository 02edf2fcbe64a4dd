import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import glue from '../../../connectors/glue/index.ts';
import type { Finding } from '../../../src/core/finding.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';
import { encryptionRefused } from '../../fixtures/glue-stub.ts';
import { openGlueWorld, type GlueWorld } from './world.ts';

async function check(world: GlueWorld, changes: Record<string, unknown> = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  const deps = { clock: systemClock, log: silentLog };
  for await (const finding of glue.check(world.config(changes), deps, new AbortController().signal))
    findings.push(finding);
  return findings;
}

const of = (findings: readonly Finding[], level: Finding['level']) => findings.filter((one) => one.level === level);

async function openSales(options: Parameters<typeof openGlueWorld>[0] = {}): Promise<GlueWorld> {
  const world = await openGlueWorld(options);
  world.writer.createDatabase('sales');
  world.writer.create('sales', 'orders');
  await world.stub.events.flush();
  return world;
}

const statement = { Effect: 'Allow', Principal: { Service: 'events.amazonaws.com' }, Action: 'sqs:SendMessage' };
const SANE = {
  RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount":"5"}',
  Policy: JSON.stringify({ Statement: [statement] }),
};

test('a source that is set up well has nothing but good findings, and no message is received', async () => {
  await using world = await openSales({ queue: SANE });
  const findings = await check(world);
  expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(findings.map(({ subject }) => subject)).toEqual([
    'credentials',
    'queue',
    'redrive policy',
    'sqs:ReceiveMessage',
    'sqs:DeleteMessage',
    'sqs:ChangeMessageVisibility',
    'glue:GetDatabases',
    'glue:GetDatabase',
    'glue:GetTables',
    'glue:GetTable',
    'clock',
  ]);
  expect(new Set(world.receives())).toEqual(new Set([0]));
});

test.each(['GetDatabases', 'GetDatabase', 'GetTables', 'GetTable'])(
  'a missing permission glue:%s is found, with the statement that grants it',
  async (operation) => {
    await using world = await openSales({ queue: SANE });
    world.stub.deny(operation);
    const [error, ...more] = of(await check(world), 'error');
    expect(more).toEqual([]);
    expect(error).toMatchObject({ subject: `glue:${operation}`, code: 'GLUE_ACCESS_DENIED' });
    expect(error?.fix).toContain(`"Action":["glue:${operation}"]`);
  },
);

/** A queue that refuses one operation, as IAM does. */
async function refusing(
  operation: string,
  signed: (authorization: string) => void = () => {},
): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    signed(request.headers.authorization ?? '');
    const refused = request.headers['x-amz-target'] === `AmazonSQS.${operation}`;
    request.resume().on('end', () => {
      const type = refused ? 'AccessDeniedException' : 'ReceiptHandleIsInvalid';
      const isRead = request.headers['x-amz-target'] === 'AmazonSQS.GetQueueAttributes' && !refused;
      response.writeHead(isRead ? 200 : 403, { 'content-type': 'application/x-amz-json-1.0' });
      const body = { __type: type, message: `not authorized to perform: sqs:${operation}` };
      response.end(JSON.stringify(isRead ? { Attributes: SANE } : body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

test.each(['ReceiveMessage', 'DeleteMessage', 'ChangeMessageVisibility', 'GetQueueAttributes'])(
  'a missing permission sqs:%s is found, with the statement that grants it',
  async (operation) => {
    await using world = await openSales();
    await using queue = await refusing(operation);
    const errors = of(await check(world, { sqs_endpoint: queue.endpoint }), 'error');
    const [error] = errors.filter(({ subject }) => subject === `sqs:${operation}`);
    expect(error).toMatchObject({ code: 'SQS_ACCESS_DENIED' });
    expect(error?.fix).toContain(`"Action":["sqs:${operation}"]`);
    expect(error?.fix).toContain(`:polaris-push"`);
  },
);

test('a queue that is missing is found, and the catalog is looked at all the same', async () => {
  await using world = await openSales();
  const findings = await check(world, { queue_url: `${world.queueUrl}-x` });
  expect(of(findings, 'error')).toMatchObject([{ code: 'SQS_QUEUE_MISSING' }]);
  expect(findings.map(({ subject }) => subject)).toContain('glue:GetTable');
});

test('no queue, a queue in another region, and one without redrive are warned of', async () => {
  await using world = await openSales();
  expect(of(await check(world, { queue_url: undefined }), 'warning')).toMatchObject([{ code: 'SQS_QUEUE_NOT_SET' }]);
  const elsewhere = await check(world, { region: 'us-east-1' });
  expect(of(elsewhere, 'warning').map(({ code }) => code)).toContain('GLUE_REGION_MISMATCH');
  expect(of(await check(world), 'warning').map(({ subject }) => subject)).toEqual(['redrive policy', 'queue policy']);
});

test('a filter that matches no database is found, with the databases that there are', async () => {
  await using world = await openSales();
  const [error] = of(await check(world, { databases: ['lake_*'] }), 'error');
  expect(error).toMatchObject({ subject: 'databases', code: 'GLUE_DATABASES_UNKNOWN' });
  expect(error?.fix).toContain('sales');
});

test('resource links and federated databases are told of', async () => {
  await using world = await openSales({ queue: SANE });
  const TargetDatabase = { CatalogId: '999999999999', DatabaseName: 'raw' };
  world.stub.call('CreateDatabase', { DatabaseInput: { Name: 'link', TargetDatabase } });
  const [warning] = of(await check(world), 'warning');
  expect(warning?.detail).toContain('link is a resource link to database raw of catalog 999999999999');
});

test('encryption and clock have findings of their own', async () => {
  await using world = await openSales({ queue: SANE, stub: { clockSkewMs: -600_000 } });
  world.stub.fail('GetTable', encryptionRefused());
  const findings = await check(world);
  expect(of(findings, 'error')).toMatchObject([{ subject: 'glue:GetTable', code: 'GLUE_ENCRYPTION' }]);
  expect(of(findings, 'warning')).toMatchObject([{ subject: 'clock', code: 'GLUE_CLOCK_SKEWED' }]);
});

test('without credentials nothing else is looked at', async () => {
  await using world = await openSales();
  const before = { ...process.env };
  for (const key of Object.keys(before)) if (/^AWS_(ACCESS|SECRET|SESSION)/.test(key)) delete process.env[key];
  Object.assign(process.env, { AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_CONFIG_FILE: '/dev/null' });
  try {
    expect(await check(world)).toMatchObject([{ level: 'error', code: 'GLUE_CREDENTIALS_MISSING' }]);
  } finally {
    delete process.env['AWS_SHARED_CREDENTIALS_FILE'];
    delete process.env['AWS_CONFIG_FILE'];
    Object.assign(process.env, before);
  }
});

/** STS as far as AssumeRole: what it was asked, and an answer. */
async function sts(
  allowed: boolean,
): Promise<{ endpoint: string; readonly asked: URLSearchParams[] } & AsyncDisposable> {
  const asked: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      asked.push(new URLSearchParams(text));
      response.writeHead(allowed ? 200 : 403, { 'content-type': 'text/xml' });
      response.end(
        allowed
          ? `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
             <AccessKeyId>AKIDASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
             <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
          : `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>
             <Message>User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: arn</Message></Error></ErrorResponse>`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const role = { arn: 'arn:aws:iam::123456789012:role/reader', external_id: 'from-us', session_name: 'mirror' };

test('a role is assumed, with its external id, for Glue and SQS', async () => {
  await using world = await openSales({ queue: SANE });
  await using server = await sts(true);
  const signers = new Set<string | undefined>();
  world.stub.intercept(({ accessKeyId }) => {
    signers.add(accessKeyId);
    return 'pass';
  });
  const findings = await check(world, { sts_endpoint: server.endpoint, role });
  expect(of(findings, 'error')).toEqual([]);
  expect([...signers]).toEqual(['AKIDASSUMED']);
  expect(Object.fromEntries(server.asked[0] ?? [])).toMatchObject({
    Action: 'AssumeRole',
    RoleArn: role.arn,
    ExternalId: 'from-us',
    RoleSessionName: 'mirror',
  });
});

test.each([
  ['all', 'AKIDASSUMED'],
  ['glue', 'AKIDPOLARISPUSHTEST'],
])('a role that applies to %s signs for the queue accordingly', async (applies_to, expected) => {
  await using world = await openSales();
  await using server = await sts(true);
  const signers = new Set<string | undefined>();
  await using queue = await refusing('nothing', (authorization) =>
    signers.add(/Credential=([^/]+)/.exec(authorization)?.[1]),
  );
  await check(world, { sts_endpoint: server.endpoint, sqs_endpoint: queue.endpoint, role: { ...role, applies_to } });
  expect([...signers]).toEqual([expected]);
});

test('a role that may not be assumed is found as such', async () => {
  await using world = await openSales();
  await using server = await sts(false);
  expect(await check(world, { sts_endpoint: server.endpoint, role })).toMatchObject([{ code: 'GLUE_ROLE_REFUSED' }]);
});
