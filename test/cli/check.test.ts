import { describe, expect, test } from 'vitest';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';
import { exitCodeOf } from '../../src/cli/check.ts';
import { agentFile } from './agent-file.ts';
import { ndjson, run } from './command-line.ts';

const catalogs = [
  { name: 'main', baseLocation: 's3://lake/main' },
  { name: 'inner', baseLocation: 's3://lake/inner', type: 'INTERNAL' as const },
];

const catalogApi = (uri: string) => `${uri}/api/catalog`;

describe('The exit code of a check', () => {
  const ok = { level: 'ok', subject: 'x', detail: '', code: 'HIVE_UNREACHABLE' } as const;
  const warning = { level: 'warning', subject: 'x', detail: '', code: 'HIVE_UNREACHABLE' } as const;
  const wrong = { level: 'error', subject: 'x', detail: '', code: 'HIVE_WAL_LEVEL' } as const;
  const unreachable = { level: 'error', subject: 'x', detail: '', code: 'HIVE_UNREACHABLE' } as const;
  const uncoded = { level: 'error', subject: 'x', detail: '' } as const;

  test.for([
    [[], 0],
    [[ok, warning], 0],
    [[ok, wrong, warning], 3],
    [[uncoded], 3],
    [[wrong, unreachable], 4],
  ] as const)('of %j is %i', ([findings, code]) => {
    expect(exitCodeOf(findings)).toBe(code);
  });
});

describe('check', () => {
  test('tells every finding of source, targets and ledger in groups, and exits with 4 if one cannot be reached', async () => {
    await using polaris = await startEmulator({ catalogs });
    await using agent = await agentFile({ targets: { main: catalogApi(polaris.uri) } });
    const { exitCode, stdout, stderr } = await run(['check', '--config', agent.config]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 4, stderr: '' });
    expect(stdout).toMatch(/^source \(hive\)\n {2}✗ connection \[HIVE_UNREACHABLE\]: /);
    expect(stdout).toMatch(/\n {6}fix: /);
    expect(stdout).toContain('\ntarget main\n  ✓ reachable: ');
    expect(stdout).toContain(`\nledger\n  ✓ path: `);
    expect(stdout).toMatch(/\n\d+ ok, \d+ warnings?, 1 error\n$/);
    expect(stdout).not.toContain('MARKED-PASSWORD');
  });

  test('tells all targets, also after one that is wrong', async () => {
    await using polaris = await startEmulator({ catalogs });
    await using agent = await agentFile({ targets: { inner: catalogApi(polaris.uri), main: catalogApi(polaris.uri) } });
    const { stdout } = await run(['check', '--config', agent.config]);
    expect(stdout).toMatch(/\ntarget inner\n[^]*✗ [^]*INTERNAL[^]*\ntarget main\n[^]*✓ type: main is EXTERNAL/);
  });

  test('with --json it says one finding a line, and a summary', async () => {
    await using agent = await agentFile();
    const { exitCode, stdout } = await run(['check', '--config', agent.config, '--json']);
    expect(exitCode).toBe(4);
    const lines = ndjson(stdout);
    expect(lines[0]).toMatchObject({ event: 'finding', of: 'source', level: 'error', code: 'HIVE_UNREACHABLE' });
    expect(lines.find(({ of }) => of === 'main')).toMatchObject({ level: 'error', code: 'POLARIS_UNAVAILABLE' });
    expect(lines.at(-1)).toEqual({ event: 'checked', ok: 1, warnings: 0, errors: 2 });
  });

  test('changes nothing: it makes no ledger', async () => {
    await using agent = await agentFile();
    const first = await run(['check', '--config', agent.config]);
    const second = await run(['check', '--config', agent.config]);
    expect(second.stdout).toBe(first.stdout);
    expect(second.stdout.replaceAll(/\s+/g, ' ')).toContain('does not exist yet');
  });

  test('has colours on a terminal', async () => {
    await using agent = await agentFile();
    expect((await run(['check', '--config', agent.config], { isTTY: true })).stdout).toContain('\u001B[31m✗\u001B[39m');
  });
});
