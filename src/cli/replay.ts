import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { App, parseRecorded } from '../app.ts';
import { showTable } from '../core/table.ts';
import type { TableState } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import type { PipelineEvent } from '../pipeline/events.ts';
import { Recording, replay } from '../pipeline/replay.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { depsOf } from './mend.ts';
import { progress } from './progress.ts';
import { runReport } from './run-report.ts';
import { assertReady } from './target-ready.ts';
import { count } from './wording.ts';

/** `replay`: recorded states, in order, with their times. */
export const replayCommand = (frame: Frame): Command =>
  frame.configured(
    new Command('replay')
      .description(
        'Push the states of a recording (`run --record FILE`) in their order and with their times. What is older than what was delivered already is skipped. The source is not asked.',
      )
      .argument('<file>', 'NDJSON, one state of a table a line')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push run --config agent.yaml --record states.ndjson
  $ polaris-push replay --config other-polaris.yaml states.ndjson

Exits with 3 when lines are broken or tables are parked; the other lines are
pushed all the same.
`,
      ),
    run,
  );

async function run(context: CommandContext, _options: object, [file = '']: readonly string[]): Promise<ExitCode> {
  const { out, log, signal, deadline } = context;
  await assertReadable(file);
  await using app = await App.open(depsOf(context));
  for (const target of app.targets) await assertReady(target, signal);
  const counts = { pushed: 0, older: 0, broken: 0, parked: 0 };
  const recording = new Recording();
  const report = runReport({ out, log, source: file });
  const emit = (event: PipelineEvent) => {
    if (event.kind === 'parked') counts.parked++;
    report(event);
  };
  using bar = progress(context, 'states');
  const drivers = app.drivers(emit, { recreate: 'keep' }, recording);
  const states = statesOf(file, (line, problem) => {
    counts.broken++;
    out.line(`${file}:${line}: ${problem}`);
    out.event('broken', { line, problem });
  });
  const older = (target: string, state: TableState) => {
    counts.older++;
    out.event('older', { target, table: showTable(state.table), as_of: state.asOf });
  };
  const taken = () => {
    counts.pushed++;
    bar.expect(1);
    bar.tick();
  };
  await replay({ states, recording, ledger: app.ledger, drivers, older, taken }, signal, deadline);
  signal.throwIfAborted();
  const { pushed, broken, parked } = counts;
  out.line(
    `${count(pushed, 'state')} replayed, ${counts.older} older than delivered, ${broken} broken, ${parked} parked.`,
  );
  out.event('summary', counts);
  return broken > 0 || parked > 0 ? 3 : 0;
}

async function assertReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw new PushError('FILE_UNREADABLE', `${file}: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}.`, {
      cause: error,
    });
  }
}

/** A line that is broken is told of, and the rest is not lost. */
async function* statesOf(file: string, broken: (line: number, problem: string) => void): AsyncGenerator<TableState> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (line.trim() === '') continue;
    let state: TableState;
    try {
      state = parseRecorded(line);
    } catch (error) {
      broken(number, (error as SyntaxError).message);
      continue;
    }
    yield state;
  }
}
