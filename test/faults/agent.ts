import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { COMMAND_LINE } from '../../examples/quickstart/child.ts';

/** One event of `--json`, or one line of the log. */
export type Line = { readonly event: string; readonly [field: string]: unknown };

export type AgentCommand = {
  /** Of its configuration. */
  readonly file: string;
  /** For Node.js, before the program: such as a module to load first. */
  readonly nodeArgs?: readonly string[] | undefined;
  /** Shell commands to run before, in the same process. */
  readonly shell?: string | undefined;
  /** Further options of `run`. */
  readonly options?: readonly string[] | undefined;
};

/** Longer than anything that is waited for takes on a busy machine. */
const PATIENCE_MS = 40_000;
const TAIL_LINES = 30;

/** `polaris-push run --json` as a process of its own, with everything that it says. */
export class Agent implements AsyncDisposable {
  readonly process: ChildProcess;
  /** Events of standard output. */
  readonly events: Line[] = [];
  /** Lines of the log, from level info on. */
  readonly log: Line[] = [];
  readonly startedAt = performance.now();
  readonly #other: string[] = [];
  readonly #lookers = new Set<() => void>();
  readonly #ended: Promise<unknown>;
  readonly #kill = () => void this.process.kill('SIGKILL');

  constructor({ file, nodeArgs = [], shell, options = [] }: AgentCommand) {
    const args = [...nodeArgs, COMMAND_LINE, 'run', '--config', file, '--json', '--log-level', 'info', ...options];
    const [program, all] =
      shell === undefined
        ? [process.execPath, args]
        : ['/bin/sh', ['-c', `${shell} && exec "$0" "$@"`, process.execPath, ...args]];
    this.process = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    process.once('exit', this.#kill);
    this.#ended = once(this.process, 'close').finally(() => {
      process.off('exit', this.#kill);
      this.#look();
    });
    this.#read(this.process.stdout, this.events);
    this.#read(this.process.stderr, this.log);
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** What it said last, for the message of a failed test. */
  tail(): string {
    const lines = this.log.slice(-TAIL_LINES).map((line) => JSON.stringify(line));
    return [...lines, ...this.#other.slice(-TAIL_LINES)].join('\n');
  }

  /** Throws with what it said last when it isn't running any more. */
  check(): void {
    if (this.running) return;
    const { exitCode, signalCode } = this.process;
    throw new Error(`The agent ended with ${signalCode ?? exitCode}.\n${this.tail()}`);
  }

  /** Resolves when it has delivered everything that it found at its start. */
  async caughtUp(): Promise<void> {
    await this.told('caught-up');
  }

  /** The first event of standard output of this name, after the first `from`, for which `wanted` is true; also one that has been. */
  told(event: string, wanted: (line: Line) => boolean = () => true, from = 0): Promise<Line> {
    return this.#first(this.events, { event, wanted, from });
  }

  /** The same of the log. */
  logged(event: string, wanted: (line: Line) => boolean = () => true, from = 0): Promise<Line> {
    return this.#first(this.log, { event, wanted, from });
  }

  /** Resolves with the exit code, undefined for a signal. */
  async ended(): Promise<number | undefined> {
    await this.#ended;
    return this.process.exitCode ?? undefined;
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#kill();
    await this.#ended;
  }

  /** Asks it to stop; resolves with the exit code, undefined when it had to be killed. */
  async stop(withinMs = 10_000): Promise<number | undefined> {
    const timer = setTimeout(this.#kill, withinMs);
    this.process.kill('SIGCONT');
    this.process.kill('SIGTERM');
    const code = await this.ended();
    clearTimeout(timer);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop();
  }

  async #first(lines: readonly Line[], { event, wanted, from }: Search): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>();
    const look = () => {
      const found = lines.slice(from).find((line) => line.event === event && wanted(line));
      if (found !== undefined) resolve(found);
      else if (!this.running) reject(new Error(`The agent ended without a word of ${event}.\n${this.tail()}`));
    };
    const giveUp = () => reject(new Error(`No ${event} within ${PATIENCE_MS} ms.\n${this.tail()}`));
    const timer = setTimeout(giveUp, PATIENCE_MS);
    this.#lookers.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#lookers.delete(look);
    });
  }

  #read(stream: Readable | null, into: Line[]): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (text) => {
      const line = parsed(text);
      if (line === undefined) this.#other.push(text);
      else into.push(line);
      this.#look();
    });
  }

  #look(): void {
    for (const look of this.#lookers) look();
  }
}

type Search = { readonly event: string; readonly wanted: (line: Line) => boolean; readonly from: number };

function parsed(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
