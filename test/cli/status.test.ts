import { describe, expect, test } from 'vitest';
import { nextTimestamp } from '../../src/core/timestamp.ts';
import type { EntryRecord, ParkCode, TableIdentifier } from '../../src/core/types.ts';
import { openLedger } from '../../src/ledger/sqlite.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { agentFile } from './agent-file.ts';
import { ndjson, run } from './command-line.ts';

const HOUR_MS = 3_600_000;

const sales = (name: string): TableIdentifier => ({ namespace: ['sales'], name });

const seen = (name: string, target = 'main'): EntryRecord => ({ kind: 'seen', target, table: sales(name), count: 1 });

const delivered = (name: string, atMs: number): readonly EntryRecord[] => {
  const table = sales(name);
  const timestamp = nextTimestamp(undefined, atMs);
  const notification = { type: 'CREATE', table, timestamp, metadataLocation: 's3://x', incarnation: '1' } as const;
  return [
    seen(name),
    { kind: 'intent', target: 'main', table, notification },
    { kind: 'outcome', target: 'main', table, outcome: 'admitted' },
    { kind: 'settled', target: 'main', table, seen: 1 },
  ];
};

const parked = (name: string, code: ParkCode, since: number): readonly EntryRecord[] => {
  const type = code === 'DROP_HELD' ? 'DROP' : 'CREATE';
  const why = { code, detail: `about ${name}`, since, type } as const;
  return [seen(name), { kind: 'parked', target: 'main', table: sales(name), seen: 1, parked: why }];
};

const skipped = (name: string, reason: string): readonly EntryRecord[] => [
  seen(name),
  { kind: 'settled', target: 'main', table: sales(name), seen: 1, skipped: reason },
];

/** An agent whose ledger holds these records, and which is not running. */
async function stopped(...records: readonly (readonly EntryRecord[])[]) {
  const agent = await agentFile();
  await using ledger = await openLedger({ path: agent.ledger }, { clock: systemClock, log: silentLog });
  await ledger.append(records.flat());
  return agent;
}

describe('status', () => {
  test('without a ledger says how one comes to be', async () => {
    await using agent = await agentFile();
    const { exitCode, stderr } = await run(['status', '--config', agent.config]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('[LEDGER_MISSING]');
  });

  test('of a healthy agent exits with 0', async () => {
    await using agent = await stopped(delivered('orders', Date.now()));
    const { exitCode, stdout } = await run(['status', '--config', agent.config]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^target main: 1 table, newest delivery [0-9]+ s ago\n {2}1 delivered {4}0 pending/);
  });

  test('names what is parked, by cause with its fix, the longest first, and exits with 3', async () => {
    const now = Date.now();
    await using agent = await stopped(
      delivered('orders', now),
      parked('young', 'LOCATION_NOT_ALLOWED', now - HOUR_MS),
      parked('old', 'LOCATION_NOT_ALLOWED', now - 5 * HOUR_MS),
      parked('bad', 'METADATA_INVALID', now - 3 * HOUR_MS),
      [seen('new')],
      skipped('v1', 'an Iceberg view'),
    );
    const { exitCode, stdout } = await run(['status', '--config', agent.config]);
    expect(exitCode).toBe(3);
    expect(stdout).toContain('1 delivered    1 pending      3 parked       0 held         1 skipped');
    expect(stdout).toMatch(
      /LOCATION_NOT_ALLOWED \(2\)\n[^]*sales\.old: CREATE, since 5 h ago: about old\n[^]*sales\.young[^]*METADATA_INVALID \(1\)/,
    );
    expect(stdout.match(/fix: /g)).toHaveLength(2);
    expect(stdout).toContain('pending (1)\n    - sales.new: 1 change to look at\n');
    expect(stdout).toContain('skipped (1)\n    an Iceberg view\n    - sales.v1\n');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('says once what Polaris says of all tables of a cause, and cuts a name that would fill the screen', async () => {
    const now = Date.now();
    const alike = (name: string): readonly EntryRecord[] =>
      parked(name, 'REFUSED', now).map((record) =>
        record.kind === 'parked' ? { ...record, parked: { ...record.parked, detail: 'No luck.' } } : record,
      );
    await using agent = await stopped(alike('a'), alike('x'.repeat(3000)));
    const { stdout } = await run(['status', '--config', agent.config]);
    expect(stdout.match(/No luck\./g)).toHaveLength(1);
    expect(stdout).toContain('- sales.a: CREATE, since 0 s ago\n');
    expect(stdout).toMatch(/x…:\s+CREATE/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThan(200);
  });

  test('fits 40 columns', async () => {
    await using agent = await stopped(delivered('orders', Date.now()), parked('a', 'LOCATION_NOT_ALLOWED', 1), [
      seen('b'),
    ]);
    const { stdout } = await run(['status', '--config', agent.config], { isTTY: true, columns: 40 });
    // oxlint-disable-next-line no-control-regex -- colours have no width
    const seenText = stdout.replaceAll(/\u001B\[\d+m/g, '');
    expect(Math.max(...seenText.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(seenText).toContain('  1 delivered    1 pending\n  1 parked       0 held\n  0 skipped\n');
  });

  test('names so many tables per group as --limit says, and counts the rest', async () => {
    await using agent = await stopped(...['a', 'b', 'c'].map((name) => skipped(name, 'a view')));
    const { stdout } = await run(['status', '--config', agent.config, '--limit', '1']);
    expect(stdout).toContain('- sales.a\n    … and 2 more\n');
    expect(stdout).not.toContain('sales.b');
  });

  test('with --json names every table on a line of its own', async () => {
    const since = Date.UTC(2026, 0, 1);
    await using agent = await stopped(delivered('orders', since), parked('gone', 'DROP_HELD', since), [seen('new')]);
    const { exitCode, stdout } = await run(['status', '--config', agent.config, '--json']);
    expect(exitCode).toBe(3);
    expect(ndjson(stdout)).toMatchObject([
      {
        event: 'target',
        target: 'main',
        entries: 3,
        delivered: 1,
        pending: 1,
        parked: 0,
        held: 1,
        newest_delivery: '2026-01-01T00:00:00.000Z',
      },
      {
        event: 'table',
        target: 'main',
        table: 'sales.gone',
        state: 'held',
        code: 'DROP_HELD',
        since: '2026-01-01T00:00:00.000Z',
      },
      { event: 'table', table: 'sales.new', state: 'pending', hints: 1 },
    ]);
  });

  test('tells of targets that are no longer configured', async () => {
    await using agent = await stopped([seen('x', 'former')]);
    const { stdout } = await run(['status', '--config', agent.config]);
    expect(stdout).toContain('target former: not in the configuration; the ledger knows 1 table of it');
  });
});

describe('Requests', () => {
  const later = { clock: systemClock, log: silentLog };

  test('to retry parked tables wait in the ledger for an agent that does not run', async () => {
    await using agent = await stopped(
      parked('a', 'METADATA_MISSING', 1),
      parked('b', 'REFUSED', 1),
      parked('c', 'DROP_HELD', 1),
    );
    const { exitCode, stdout } = await run(['retry', '--config', agent.config]);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: '2 parked tables: the agent is not running and will take the request when it starts.\n',
    });
    await using ledger = await openLedger({ path: agent.ledger }, later);
    expect(ledger.takeRequests()).toMatchObject([{ kind: 'retry', tables: [sales('a'), sales('b')] }]);
  });

  test('may name their tables and target', async () => {
    await using agent = await stopped(parked('a', 'METADATA_MISSING', 1), parked('b', 'REFUSED', 1));
    await run(['retry', '--config', agent.config, 'sales.b', '--target', 'main']);
    await using ledger = await openLedger({ path: agent.ledger }, later);
    expect(ledger.takeRequests()).toMatchObject([{ kind: 'retry', target: 'main', tables: [sales('b')] }]);
  });

  test.for([
    [['retry', 'sales.nothing'], 'Not parked: sales.nothing.'],
    [['retry', 'sales.c'], 'Not parked: sales.c.'],
    [['drops', 'release', 'sales.a'], 'Not held: sales.a.'],
    [['retry', '--target', 'nowhere'], 'No target is called nowhere; configured: main.'],
  ] as const)('%j is a usage error', async ([argv, message]) => {
    await using agent = await stopped(parked('a', 'METADATA_MISSING', 1), parked('c', 'DROP_HELD', 1));
    const { exitCode, stderr } = await run([...argv, '--config', agent.config]);
    expect(exitCode).toBe(2);
    expect(stderr.replaceAll('\n  ', ' ')).toContain(message);
  });

  test('are taken by a running agent within moments', async () => {
    await using agent = await stopped(parked('a', 'METADATA_MISSING', 1));
    await using ledger = await openLedger({ path: agent.ledger }, later);
    const asked = run(['retry', '--config', agent.config]);
    let taken: readonly unknown[] = [];
    await expect.poll(() => (taken = [...taken, ...ledger.takeRequests()]).length).toBe(1);
    await ledger.append([seen('a')]);
    expect((await asked).stdout).toBe('1 parked table: the agent is at it.\n');
  });

  test('to list and release held DROPs', async () => {
    await using agent = await stopped(
      parked('a', 'METADATA_MISSING', 1),
      parked('gone', 'DROP_HELD', Date.now() - HOUR_MS),
    );
    const listed = await run(['drops', 'list', '--config', agent.config]);
    expect(listed.exitCode).toBe(3);
    expect(listed.stdout).toBe(
      'main  sales.gone  since 60 min ago  about gone\n1 DROP held; let them go: polaris-push drops release\n',
    );
    await run(['drops', 'release', '--config', agent.config]);
    await using ledger = await openLedger({ path: agent.ledger }, later);
    expect(ledger.takeRequests()).toMatchObject([{ kind: 'release', tables: [sales('gone')] }]);
  });

  test('of which there are none say so', async () => {
    await using agent = await stopped([seen('x')]);
    expect((await run(['drops', 'list', '--config', agent.config])).stdout).toBe('No DROP is held.\n');
    expect((await run(['drops', 'release', '--config', agent.config])).stdout).toBe('There is no held DROP.\n');
    expect((await run(['retry', '--config', agent.config])).stdout).toBe('There is no parked table.\n');
  });
});
