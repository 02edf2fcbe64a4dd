import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The entry of the command line. */
export const COMMAND_LINE = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** One line of a command's `--json` output. */
export type CommandEvent = { readonly event: string; readonly [field: string]: unknown };

/** A command of ours ended although nobody had asked it to. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  /** The command's own, by which it says whose fault it was; 1 when a signal ended it. */
  readonly exitCode: number;

  constructor(command: Command) {
    const { exitCode, signalCode } = command.process;
    super(
      `${command.name} ${command.args.join(' ')} ended with ${signalCode ?? exitCode}.\n${command.tail()}`.trimEnd(),
    );
    this.exitCode = exitCode === null || exitCode === 0 ? 1 : exitCode;
  }
}

/** Not so many that a crash loop fills the memory, enough for an error with its fix. */
const LINES_KEPT = 30;

/**
 * `polaris-push <args> --json` as a process of its own, the way a user runs it. It has its own process group, so that
 * Ctrl-C in the terminal reaches the caller alone, who ends the children in order; none outlives the caller's exit.
 */
export class Command implements AsyncDisposable {
  readonly process: ChildProcess;
  /** For messages. */
  readonly name: string;
  readonly args: readonly string[];
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;
  readonly #kill = () => this.process.kill('SIGKILL');

  /** `onEvent` gets every event of standard output. `program` is another one that talks as ours does, with its name. */
  constructor(
    args: readonly string[],
    options: {
      readonly onEvent?: ((event: CommandEvent) => void) | undefined;
      readonly env?: NodeJS.ProcessEnv | undefined;
      readonly program?: { readonly name: string; readonly entry: string } | undefined;
    } = {},
  ) {
    const { name, entry } = options.program ?? { name: 'polaris-push', entry: COMMAND_LINE };
    this.name = name;
    this.args = args;
    this.process = spawn(process.execPath, [entry, ...args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...options.env },
    });
    process.once('exit', this.#kill);
    this.#ended = once(this.process, 'close').finally(() => process.off('exit', this.#kill));
    const { stdout, stderr } = this.process;
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#onLine(line, options.onEvent));
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.#keep(line));
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** The end of what it said on standard error. */
  tail(): string {
    return this.#lines.join('\n');
  }

  /** Resolves with the exit code, 1 for a signal. */
  async ended(): Promise<number> {
    await this.#ended;
    return this.process.exitCode ?? 1;
  }

  /** Throws `CommandFailed` when it isn't running any more. */
  check(): void {
    if (!this.running) throw new CommandFailed(this);
  }

  /** Resolves with `promise`, unless the command ends first: then throws `CommandFailed`. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const ended = this.#ended.then(() => {
      throw new CommandFailed(this);
    });
    return Promise.race([promise, ended]);
  }

  /** Asks it to stop, and resolves with its exit code; kills it when it takes longer than `withinMs`. */
  async stop(withinMs = 10_000): Promise<number> {
    const timer = setTimeout(this.#kill, withinMs);
    this.process.kill('SIGTERM');
    try {
      return await this.ended();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#kill();
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop();
  }

  #onLine(line: string, onEvent: ((event: CommandEvent) => void) | undefined): void {
    try {
      onEvent?.(JSON.parse(line) as CommandEvent);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#keep(line);
    }
  }

  #keep(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.shift();
  }
}
