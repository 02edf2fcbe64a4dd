import { describe, expect, test } from 'vitest';
import { createOut, widthOf, wrap } from '../../src/cli/terminal.ts';
import { ago, count } from '../../src/cli/wording.ts';
import { Secrets } from '../../src/runtime/secrets.ts';

function setUp(json: boolean, isTTY = false) {
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) };
  return { out: createOut(stream, { json, env: {}, secrets: new Secrets() }), written };
}

const write = () => true;

describe('Output', () => {
  test('is text for people or one JSON object a line for programs, never both', () => {
    for (const [json, expected] of [
      [false, ['hello\n']],
      [true, ['{"event":"greeted","n":1}\n']],
    ] as const) {
      const { out, written } = setUp(json);
      out.line('hello');
      out.event('greeted', { n: 1 });
      expect(written).toEqual(expected);
    }
  });

  test('has colours on a terminal, but not with --json', () => {
    expect(setUp(false, true).out.paint.red('x')).toBe('\u001B[31mx\u001B[39m');
    expect(setUp(true, true).out.paint.red('x')).toBe('x');
  });

  test('gives a terminal nothing to act upon but its own colours', () => {
    const { out, written } = setUp(false, true);
    out.line(`${out.paint.red('parked')} sales.\u001b[2J\u009b\u202ex`);
    expect(written).toEqual([`\u001B[31mparked\u001B[39m ${String.raw`sales.\u001b[2J\u009b\u202ex`}\n`]);
  });

  test('is 80 columns wide without a terminal, and as wide as that within bounds', () => {
    expect(widthOf({ write })).toBe(80);
    expect([20, 90, 300].map((columns) => widthOf({ write, isTTY: true, columns }))).toEqual([40, 90, 100]);
  });
});

describe('wrap', () => {
  test('breaks at blanks, indents what follows, and keeps long words and line feeds', () => {
    expect(wrap('one two three', 9, '  ')).toBe('one two\n  three');
    expect(wrap('short\n\nand a-very-long-word', 8, '  ')).toBe('short\n\n  and\n  a-very-long-word');
    expect(wrap('fits', 8)).toBe('fits');
    expect(wrap('\u001B[31mone\u001B[39m two three', 7)).toBe('\u001B[31mone\u001B[39m two\nthree');
  });
});

describe('Wording', () => {
  test.for([
    [0, '0 s ago'],
    [119_000, '119 s ago'],
    [120_000, '2 min ago'],
    [7_200_000, '2 h ago'],
    [172_800_000, '2 d ago'],
    [-5000, '0 s ago'],
  ] as const)('%i ms: %s', ([ms, text]) => {
    expect(ago(1_000_000_000_000 - ms, 1_000_000_000_000)).toBe(text);
  });

  test('counts', () => {
    expect([0, 1, 1204].map((amount) => count(amount, 'table'))).toEqual(['0 tables', '1 table', '1,204 tables']);
  });
});
