import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { seededRandom } from '../../src/runtime/random.ts';
import { contentsOf, contentsOfModel, LedgerModel } from '../contract/ledger-records.ts';
import { appendOf, TABLES } from './sequence.ts';
import { temporaryLedger } from './temporary-ledger.ts';

const KILLS = 60;
/** Writers at work side by side, each on a ledger of its own. */
const SERIES = 2;
const WRITER = fileURLToPath(new URL('writer.ts', import.meta.url));

type Death = { readonly confirmed: number; readonly signal: NodeJS.Signals | null };

/** Starts a writer and kills it `afterMs` after it was started or, with `onceOpen`, after it opened its ledger. */
async function killWriter(
  path: string,
  when: { afterMs: number; onceOpen: boolean; together: number },
): Promise<Death> {
  const writer = spawn(process.execPath, [WRITER, path, String(when.together)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => setTimeout(() => writer.kill('SIGKILL'), when.afterMs);
  let output = '';
  let timer = when.onceOpen ? undefined : kill();
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    timer ??= kill();
  });
  const [, signal] = (await once(writer, 'close')) as [number | null, NodeJS.Signals | null];
  const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
  const numbers = lines.filter((line) => /^\d+$/.test(line)).map(Number);
  return { confirmed: numbers.at(-1) ?? -1, signal };
}

/** What is known of one ledger through all its kills. */
type History = {
  readonly model: LedgerModel;
  readonly timestamps: Map<TableKey, number>;
  /** The last append that the ledger held when it was looked at. */
  stands: number;
};

/** The lock died with its owner, and what is there is a whole number of appends, no confirmed one missing. */
function examine(ledger: Ledger, history: History, death: Death): void {
  const held = Number(ledger.position('sequence') ?? '-1');
  expect(held).toBeGreaterThanOrEqual(Math.max(history.stands, death.confirmed));
  for (let n = history.stands + 1; n <= held; n++) history.model.append(appendOf(n));
  history.stands = held;
  expect(contentsOf(ledger, 'main')).toEqual(contentsOfModel(history.model, 'main'));
  for (const table of TABLES) {
    const last = ledger.entry('main', table)?.lastTimestamp ?? 0;
    expect(last).toBeGreaterThanOrEqual(history.timestamps.get(keyOf(table)) ?? 0);
    history.timestamps.set(keyOf(table), last);
  }
}

/** Kills writers one after the other on one ledger, and examines it after each. The number of appends that it holds. */
async function series(seed: number, kills: number): Promise<number> {
  const random = seededRandom(seed);
  await using place = await temporaryLedger();
  const history: History = { model: new LedgerModel(), timestamps: new Map(), stands: -1 };
  for (let round = 0; round < kills; round++) {
    const onceOpen = random() < 0.75;
    const afterMs = onceOpen ? random() * 25 : 20 + random() * 150;
    const death = await killWriter(place.path, { afterMs, onceOpen, together: 1 + Math.floor(random() * 6) });
    try {
      expect(death.signal).toBe('SIGKILL');
      await using ledger = await place.open();
      examine(ledger, history, death);
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify({ ...death, afterMs, onceOpen })}`, {
        cause: error,
      });
    }
  }
  return history.stands + 1;
}

describe('A ledger whose process is killed at random moments', () => {
  test(`holds everything that was confirmed and nothing by halves, ${KILLS} times`, { timeout: 120_000 }, async () => {
    const seed = Date.now() % 1_000_000;
    const appends = await Promise.all(
      Array.from({ length: SERIES }, (_, n) => series(seed + n, Math.ceil(KILLS / SERIES))),
    );
    // The writers really worked, so that the kills struck commits and not an idle process.
    for (const held of appends) expect(held).toBeGreaterThan(KILLS);
  });
});
