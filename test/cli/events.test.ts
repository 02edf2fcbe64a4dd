import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TableIdentifier, Timestamp } from '../../src/core/types.ts';
import type { OutboxRecord } from '../../src/ledger/outbox.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { followRequests } from '../../src/pipeline/requests.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { agentFile } from './agent-file.ts';
import { ndjson, run } from './command-line.ts';

const SECRET = 'PLANTED-webhook-secret';
const PASSWORD = 'PLANTED-kafka-password';
const HOUR_MS = 3_600_000;
const FORWARD = `forward:
  - { kind: webhook, name: maintenance, url: https://example.com/events, secret: ${SECRET}, headers: { X-Key: ${SECRET}-2 } }
  - { kind: kafka, name: lake, brokers: [k1:9092], topic: t, sasl: { mechanism: plain, username: u, password: ${PASSWORD} } }
`;

const sales = (name: string): TableIdentifier => ({ namespace: ['sales'], name });

const event = (sink: string, name: string, timestamp: number): OutboxRecord => ({
  kind: 'event',
  sink,
  target: 'main',
  table: sales(name),
  timestamp: timestamp as Timestamp,
  at: Date.now() - 2 * HOUR_MS,
  body: '{}',
  limit: 100,
});

const refused = (
  sink: string,
  name: string,
  timestamp: number,
  reason: string,
  id: number,
): readonly OutboxRecord[] => [
  event(sink, name, timestamp),
  { kind: 'buried', sink, id, timestamp: timestamp as Timestamp, reason, at: Date.now() - HOUR_MS },
];

/** A stopped agent that forwards, with these records in its outbox. */
async function stopped(...records: readonly (OutboxRecord | readonly OutboxRecord[])[]) {
  const agent = await agentFile({ more: FORWARD });
  await using ledger = await open(agent.ledger);
  await ledger.append(records.flat());
  return agent;
}

const open = (path: string) => openLedger({ path }, { clock: systemClock, log: silentLog });

/** Lets an agent take what was asked of it; what its outbox holds then. */
async function carriedOut(path: string) {
  await using ledger = await open(path);
  const stopping = new AbortController();
  const following = followRequests({ ledger, drivers: [], clock: systemClock, log: silentLog }, stopping.signal);
  stopping.abort();
  await following;
  return Object.fromEntries(
    ['maintenance', 'lake', 'gone'].map((sink) => {
      const { waiting, buried } = ledger.outbox.totals(sink);
      return [sink, [waiting, buried]];
    }),
  );
}

describe('events list', () => {
  test('names what sinks refused and why, and exits with 3', async () => {
    await using agent = await stopped(
      refused('maintenance', 'orders', 7, 'HTTP 400: no such table', 1),
      refused('lake', 'items', 9, 'MESSAGE_TOO_LARGE: too large', 2),
      event('lake', 'waits', 11),
    );
    const { exitCode, stdout } = await run(['events', 'list', '--config', agent.config]);
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^maintenance {2}sales\.orders \(main\) {2}60 min ago: HTTP 400: no such table\n/);
    expect(stdout).toContain('2 events refused');
    expect(stdout).not.toContain('sales.waits');
    const json = await run(['events', 'list', '--config', agent.config, '--json', '--sink', 'lake']);
    expect(ndjson(json.stdout)).toMatchObject([
      { event: 'refused', sink: 'lake', target: 'main', table: 'sales.items', timestamp: 9 },
    ]);
  });

  test('exits with 0 when nothing was refused, and with 2 for a sink that nobody knows', async () => {
    await using agent = await stopped(event('lake', 'waits', 11));
    expect(await run(['events', 'list', '--config', agent.config])).toMatchObject({
      exitCode: 0,
      stdout: 'No event was refused.\n',
    });
    const { exitCode, stderr } = await run(['events', 'list', '--config', agent.config, '--sink', 'laek']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('known: maintenance, lake');
  });
});

describe('events retry', () => {
  test('lets all be sent again, or those of some tables, or of one sink', async () => {
    const records = [
      refused('maintenance', 'orders', 7, 'no', 1),
      refused('lake', 'orders', 8, 'no', 2),
      refused('lake', 'items', 9, 'no', 3),
    ];
    await using agent = await stopped(...records);
    const command = ['events', 'retry', '--config', agent.config];
    const some = await run([...command, '--table', 'sales.orders', '--sink', 'lake']);
    expect(some).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('1 refused event: ') as string });
    expect(await carriedOut(agent.ledger)).toMatchObject({ maintenance: [0, 1], lake: [1, 1] });
    const all = await run([...command, '--all']);
    expect(all.stdout).toContain(
      '2 refused events: the agent is not running and will take the request when it starts.',
    );
    expect(await carriedOut(agent.ledger)).toMatchObject({ maintenance: [1, 0], lake: [2, 0] });
    expect((await run([...command, '--all'])).stdout).toBe('There is no refused event.\n');
  });

  test.for([
    [['--table', 'sales.nothing'], 'No refused event of sales.nothing.'],
    [[], 'Say which: either --all or --table.'],
    [['--all', '--table', 'sales.orders'], 'Say which: either --all or --table.'],
  ] as const)('with %j is a usage error', async ([options, expected]) => {
    await using agent = await stopped(refused('lake', 'orders', 8, 'no', 1));
    const { exitCode, stderr } = await run(['events', 'retry', '--config', agent.config, ...options]);
    expect(exitCode).toBe(2);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(expected);
  });
});

describe('events discard', () => {
  test('forgets refused events alone', async () => {
    await using agent = await stopped(refused('lake', 'orders', 8, 'no', 1), event('lake', 'orders', 9));
    const { exitCode } = await run(['events', 'discard', '--config', agent.config, '--table', 'sales.orders']);
    expect(exitCode).toBe(0);
    expect(await carriedOut(agent.ledger)).toMatchObject({ lake: [1, 0] });
  });

  test('forgets everything of a sink that is no more, when that is said', async () => {
    await using agent = await stopped(
      refused('gone', 'orders', 8, 'no', 1),
      event('gone', 'orders', 9),
      event('lake', 'orders', 9),
    );
    const command = ['events', 'discard', '--config', agent.config, '--all', '--waiting'];
    expect((await run(command)).exitCode).toBe(2);
    const { stdout } = await run([...command, '--sink', 'gone']);
    expect(stdout).toContain('2 events: ');
    expect(await carriedOut(agent.ledger)).toMatchObject({ gone: [0, 0], lake: [1, 0] });
  });
});

describe('status', () => {
  test('tells how each sink stands, also one that is no longer configured, and exits with 3 for refused events', async () => {
    await using agent = await stopped(
      event('maintenance', 'orders', 7),
      event('maintenance', 'items', 8),
      refused('maintenance', 'bad', 9, 'HTTP 422: what is this?', 3),
      event('gone', 'orders', 7),
    );
    const { exitCode, stdout } = await run(['status', '--config', agent.config]);
    expect(exitCode).toBe(3);
    expect(stdout).toContain(
      'sink maintenance (webhook)\n  2 events waiting, the oldest recorded 2 h ago; 1 refused\n    fix: ',
    );
    expect(stdout).toContain('    - sales.bad: refused 60 min ago: HTTP 422: what is this?\n');
    expect(stdout).toContain('sink lake (kafka)\n  0 events waiting; 0 refused\n');
    expect(stdout).toContain('sink gone (not in the configuration)\n  1 event waiting');
    const json = await run(['status', '--config', agent.config, '--json']);
    expect(ndjson(json.stdout).filter((line) => line['event'] === 'sink')).toMatchObject([
      { sink: 'maintenance', kind: 'webhook', waiting: 2, refused: 1 },
      { sink: 'lake', kind: 'kafka', waiting: 0, oldest: null, refused: 0 },
      { sink: 'gone', kind: null, waiting: 1, refused: 0 },
    ]);
  });

  test('says nothing of sinks where there are none', async () => {
    await using agent = await agentFile();
    await (await open(agent.ledger))[Symbol.asyncDispose]();
    const { exitCode, stdout } = await run(['status', '--config', agent.config]);
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain('sink');
  });
});

test('No command prints the secrets of a sink', async () => {
  await using agent = await stopped(refused('lake', 'orders', 8, `said ${PASSWORD} and ${SECRET}`, 1));
  for (const command of [['config', 'print'], ['status'], ['events', 'list']]) {
    for (const form of [[], ['--json']]) {
      const { stdout, stderr } = await run([...command, '--config', agent.config, ...form]);
      expect(stdout + stderr).not.toContain('PLANTED');
      expect(stdout).toContain('***');
    }
  }
});

test('The secret of a sink may come from a file, which is shown in its place', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-events-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const file = join(folder, 'secret');
  await writeFile(file, `${SECRET}\n`);
  const more = `forward: [{ kind: webhook, url: "https://example.com/events", secret_file: "${file}" }]`;
  await using agent = await agentFile({ more });
  const { exitCode, stdout } = await run(['config', 'print', '--config', agent.config]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain(`secret_file: ${file}`);
  expect(stdout).toContain('name: webhook');
  expect(stdout).not.toContain('PLANTED-webhook');
});
