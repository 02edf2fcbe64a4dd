import { EventEmitter } from 'node:events';
import type { Io } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { seededRandom } from '../../src/runtime/random.ts';

/** What one command line did. */
export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

export type Options = {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Whether the outputs are terminals. */
  readonly isTTY?: boolean | undefined;
  /** How wide they are; 80 unless told. */
  readonly columns?: number | undefined;
};

/** Doors to the outside that keep what was written. */
export function recordingIo(doors: Partial<Io> = {}, isTTY: boolean = false, columns: number = 80) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    isTTY,
    columns,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const io: Io = {
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env: {},
    signals: new EventEmitter(),
    clock: systemClock,
    random: seededRandom(1),
    exit: () => {
      throw new Error('The command ended the process.');
    },
    ...doors,
  };
  return { io, written };
}

/** Runs a command line within this process. */
export async function run(argv: readonly string[], { env = {}, isTTY = false, columns }: Options = {}): Promise<Ran> {
  const { io, written } = recordingIo({ env }, isTTY, columns);
  const exitCode = await runCli(argv, io);
  return { exitCode, ...written };
}

/** The NDJSON of an output. */
export const ndjson = (text: string): readonly Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
