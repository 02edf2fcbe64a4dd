import { describe, expect, test } from 'vitest';
import { compare } from '../../examples/quickstart/comparison.ts';
import { render, type View } from '../../examples/quickstart/screen.ts';
import { Statistics } from '../../examples/quickstart/statistics.ts';

const SIZES = [
  { columns: 80, rows: 24 },
  { columns: 200, rows: 50 },
  { columns: 40, rows: 12 },
  { columns: 30, rows: 5 },
];

function view(notifications: number): View {
  const statistics = new Statistics();
  for (let index = 0; index < notifications; index += 1) {
    statistics.take({
      event: 'notification',
      table: `sales.table_${index}`,
      type: index % 2 === 0 ? 'CREATE' : 'UPDATE',
      outcome: 'admitted',
      commit_to_visible_ms: index + 1,
    });
  }
  statistics.take({ event: 'parked', table: 'sales.broken', code: 'METADATA_MISSING', detail: 'no such file' });
  return {
    title: 'polaris-push  metastore → Polaris',
    startedMs: 0,
    nowMs: 65_000,
    statistics,
    operations: new Map([['commit', 12]]),
    compared: { comparison: compare(new Map([['a.b', '1']]), new Map([['a.b', '1']])), atMs: 64_000 },
    hint: 'Ctrl-C: stop',
  };
}

const plain = (line: string) => line.replaceAll(/\u001B\[[0-9;]*m/g, ''); // eslint-disable-line no-control-regex

describe('The screen', () => {
  test.each(SIZES)('fits into $columns columns and $rows rows, coloured or not', (size) => {
    for (const coloured of [true, false]) {
      const lines = render(view(100), size, coloured);
      expect(lines.length).toBeLessThanOrEqual(size.rows);
      expect(Math.max(...lines.map((line) => Array.from(plain(line)).length))).toBeLessThanOrEqual(size.columns);
    }
  });

  test('shows the latest notifications, totals, latency, and what is parked', () => {
    const text = render(view(100), { columns: 80, rows: 24 }, false).join('\n');
    expect(text).toContain('01:05');
    expect(text).toMatch(/UPDATE +sales\.table_99 +admitted +100 ms/);
    expect(text).not.toContain('sales.table_1 ');
    expect(text).toMatch(/Metastore +12 operations: 12 commit/);
    expect(text).toMatch(/Notifications +100 admitted: 50 CREATE, 50 UPDATE/);
    expect(text).toMatch(/Visible after +p50 51 ms, p99 100 ms/);
    expect(text).toMatch(/Tables +1 of 1 equal, seen 1 s ago; 0 not mirrored, 1 parked/);
    expect(text).toMatch(/Parked +sales\.broken: METADATA_MISSING: no such file/);
  });

  test('has no escape codes without colours', () => {
    expect(render(view(3), { columns: 80, rows: 24 }, false).join('')).not.toContain('\u001B');
    expect(render(view(3), { columns: 80, rows: 24 }, true).join('')).toContain('\u001B[');
  });

  test('keeps control characters of names away from the terminal', () => {
    const statistics = new Statistics();
    statistics.take({ event: 'notification', table: 'a.\u001B[2Jb', type: 'DROP', outcome: 'admitted' });
    const lines = render({ ...view(0), statistics }, { columns: 80, rows: 24 }, false);
    expect(lines.join('\n')).not.toContain('\u001B');
    expect(lines.join('\n')).toContain('a.?[2Jb');
  });
});
