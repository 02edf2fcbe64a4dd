import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import definition from '../../../connectors/file/index.ts';
import { formatRecorded, parseRecorded, recorded } from '../../../src/connector/recording.ts';
import type { TableState } from '../../../src/core/types.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLog } from '../../../src/runtime/log.ts';

const deps = { clock: systemClock, log: silentLog };
const signal = new AbortController().signal;
const table = (name: string) => ({ namespace: ['sales'], name });
const present = (name: string, version: number): TableState => ({
  kind: 'present',
  table: table(name),
  metadataLocation: `s3://b/${name}/${version}`,
  incarnation: '7',
  tableUuid: undefined,
  asOf: version,
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polaris-push-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function open(lines: readonly (string | undefined)[]) {
  const path = join(folder, 'states.ndjson');
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return definition.open({ kind: 'file', path }, deps);
}

describe('A recorded state', () => {
  test('reads as it was written', () => {
    const name = fc.string({ minLength: 1 });
    const state = fc.record({
      levels: fc.array(name, { minLength: 1 }),
      name,
      location: name,
      uuid: fc.option(name),
      asOf: fc.nat(),
    });
    fc.assert(
      fc.property(state, fc.boolean(), ({ levels, name: last, location, uuid, asOf }, isThere) => {
        const identifier = { namespace: levels, name: last };
        const written: TableState = isThere
          ? {
              kind: 'present',
              table: identifier,
              metadataLocation: location,
              incarnation: '1',
              tableUuid: uuid ?? undefined,
              asOf,
            }
          : { kind: 'absent', table: identifier, asOf };
        expect(parseRecorded(formatRecorded(written)!)).toEqual(written);
      }),
    );
  });

  test.each([
    ['no JSON', '{"table":', 'no JSON object'],
    ['no namespace', '{"table":["t"],"state":"absent","as_of":1}', 'table'],
    ['an unknown state', '{"table":["a","t"],"state":"moved","as_of":1}', 'state'],
    ['an unknown key', '{"table":["a","t"],"state":"absent","as_of":1,"x":2}', 'x'],
    ['no time', '{"table":["a","t"],"state":"absent"}', 'as_of'],
    ['endless text', ' '.repeat(70_000), 'longer than'],
  ])('with %s is refused, with the reason', (_what, line, reason) => {
    expect(() => parseRecorded(line)).toThrow(reason);
  });
});

describe('The file connector', () => {
  test('lists the last state of each table, without those that are gone', async () => {
    const lines = [
      present('a', 1),
      present('b', 1),
      present('a', 2),
      { kind: 'absent', table: table('b'), asOf: 3 } as const,
    ];
    await using connector = await open(lines.map(formatRecorded));
    const pages = [];
    for await (const page of connector.list(signal)) pages.push(...page);
    expect(pages).toEqual([present('a', 2)]);
    expect(await connector.resolve([table('b'), table('c')], signal)).toMatchObject([
      { kind: 'absent', asOf: 3 },
      // A file that was cut off says nothing of what it lacks.
      { kind: 'unsupported', reason: 'not in the file' },
    ]);
  });

  test('names the broken line, in check as in use', async () => {
    const connector = await open([formatRecorded(present('a', 1)), 'nonsense']);
    await expect(connector.prepare(signal)).rejects.toMatchObject({
      code: 'FILE_INVALID',
      detail: expect.stringMatching(/:2: no JSON/) as string,
    });
    const findings = [];
    for await (const finding of definition.check({ kind: 'file', path: join(folder, 'states.ndjson') }, deps, signal))
      findings.push(finding);
    expect(findings).toMatchObject([{ level: 'error', code: 'FILE_INVALID' }]);
    for await (const finding of definition.check({ kind: 'file', path: join(folder, 'nobody') }, deps, signal))
      expect(finding).toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('watches until it is stopped', async () => {
    const stop = new AbortController();
    await using connector = await open([]);
    const watching = connector.watch(undefined, stop.signal)[Symbol.asyncIterator]().next();
    stop.abort();
    expect(await watching).toMatchObject({ done: true });
  });
});

test('a recorded connector writes down each state that differs from the last one of its table', async () => {
  const lines: string[] = [];
  await using file = await open([formatRecorded(present('a', 1))]);
  await using connector = recorded(file, (line) => void lines.push(line));
  for (let i = 0; i < 3; i++) await connector.resolve([table('a'), table('unknown')], signal);
  expect(lines).toEqual([formatRecorded(present('a', 1))]);
});
