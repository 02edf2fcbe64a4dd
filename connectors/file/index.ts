import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Connector, ConnectorDefinition, ConnectorDeps } from '../../src/connector/connector.ts';
import { parseRecorded } from '../../src/connector/recording.ts';
import type { Finding } from '../../src/core/finding.ts';
import { keyOf, type TableKey } from '../../src/core/table.ts';
import type { TableIdentifier, TableState } from '../../src/core/types.ts';
import { PushError } from '../../src/errors/errors.ts';

/** Tables per page of a list. */
const PAGE = 1000;

const fileConfig = z.strictObject({
  kind: z.literal('file').describe('A file of recorded states, for replays and tests.'),
  path: z
    .string()
    .min(1)
    .describe('NDJSON as `run --record` writes it; the last line of a table is its present state.'),
});

type FileConfig = z.output<typeof fileConfig>;

const definition: ConnectorDefinition<FileConfig> = {
  kind: 'file',
  config: fileConfig,
  check: checkFile,
  open: async (config, deps) => new FileConnector(config.path, deps),
};
export default definition;

async function* checkFile({ path }: FileConfig): AsyncGenerator<Finding> {
  try {
    const states = await read(path);
    yield { level: 'ok', subject: 'file', detail: `${path} holds the states of ${states.size} tables.` };
  } catch (error) {
    if (!(error instanceof PushError)) throw error;
    yield { level: 'error', subject: 'file', detail: error.detail, fix: error.fix, code: error.code };
  }
}

/** A source that never changes while it is open. */
class FileConnector implements Connector {
  readonly source: string;
  readonly #path: string;
  readonly #clock: ConnectorDeps['clock'];
  #states: ReadonlyMap<TableKey, TableState> | undefined;

  constructor(path: string, { clock }: ConnectorDeps) {
    this.source = `file:${path}`;
    this.#path = path;
    this.#clock = clock;
  }

  async prepare(): Promise<void> {
    this.#states = await read(this.#path);
  }

  async *list(signal: AbortSignal): AsyncGenerator<readonly TableState[]> {
    const present = [...(await this.#read()).values()].filter(({ kind }) => kind === 'present');
    for (let i = 0; i < present.length && !signal.aborted; i += PAGE) yield present.slice(i, i + PAGE);
  }

  // eslint-disable-next-line require-yield -- A file doesn't change.
  async *watch(_after: string | undefined, signal: AbortSignal): AsyncGenerator<never> {
    while (!signal.aborted) await this.#clock.sleep(3_600_000, signal);
  }

  async resolve(tables: readonly TableIdentifier[]): Promise<readonly TableState[]> {
    const states = await this.#read();
    // Only a line that says so makes a table absent: a file that was cut off must not drop anything.
    return tables.map(
      (table) =>
        states.get(keyOf(table)) ?? { kind: 'unsupported', table, reason: 'not in the file', asOf: this.#clock.now() },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #read(): Promise<ReadonlyMap<TableKey, TableState>> {
    this.#states ??= await read(this.#path);
    return this.#states;
  }
}

async function read(path: string): Promise<ReadonlyMap<TableKey, TableState>> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new PushError('FILE_UNREADABLE', `${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}.`, {
      cause: error,
    });
  }
  const states = new Map<TableKey, TableState>();
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (line.trim() === '') continue;
    try {
      const state = parseRecorded(line);
      states.set(keyOf(state.table), state);
    } catch (error) {
      throw new PushError('FILE_INVALID', `${path}:${number}: ${(error as SyntaxError).message}.`);
    }
  }
  return states;
}
