import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';

export type ChildOptions = {
  readonly program: string;
  readonly args: readonly string[];
  /** Where its stderr goes; its stdout too, unless `onLine` takes it. */
  readonly logFile: string;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
};

/** An exit code, or the signal that ended the process. */
export type Ended = number | NodeJS.Signals | null;

/** A program under test: its output is kept in a file, and it never outlives this process. */
export class Child implements AsyncDisposable {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #logFile: string;
  readonly #gone: Promise<void>;
  readonly #killOnExit = () => this.#process.kill('SIGKILL');

  constructor({ program, args, logFile, cwd, env, onLine }: ChildOptions) {
    this.name = basename(program);
    this.#logFile = logFile;
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#process = child;
    const log = createWriteStream(logFile, { flags: 'a' });
    child.stderr.pipe(log, { end: false });
    if (onLine === undefined) child.stdout.pipe(log, { end: false });
    else createInterface({ input: child.stdout }).on('line', onLine);
    child.stdin.on('error', () => {}); // a process that died is noticed by `alive`
    this.#gone = new Promise((resolve) => {
      child.once('close', () => log.end(resolve));
      child.once('error', (error) => log.end(`${error.message}\n`, resolve));
    });
    process.once('exit', this.#killOnExit);
  }

  get alive(): boolean {
    return this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  write(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** Ends its standard input. */
  end(): void {
    this.#process.stdin?.end();
  }

  /** Sends the signal, unless the process has ended, and resolves when it has. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<Ended> {
    if (this.alive) this.#process.kill(signal);
    return this.ended();
  }

  /** Resolves once the process has ended and all its output is in the file. */
  async ended(): Promise<Ended> {
    await this.#gone;
    process.off('exit', this.#killOnExit);
    return this.#process.exitCode ?? this.#process.signalCode;
  }

  /** The end of its log, for a failure's message. */
  tail(lines = 40): string {
    const text = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    return `--- last lines of ${this.#logFile}\n${text}\n---`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL');
  }
}

/** A server that prints its address as the first line of its output; resolves once it has. */
export async function startServer(options: Omit<ChildOptions, 'onLine'>): Promise<{ child: Child; address: string }> {
  let address = '';
  const child = new Child({
    ...options,
    onLine: (line) => {
      address ||= line;
    },
  });
  await until(`${child.name} serves`, () => address !== '' || !child.alive, { timeoutMs: 60_000 });
  if (address === '') throw new Error(`${child.name} ended at once.\n${child.tail()}`);
  return { child, address };
}

/** Waits until `condition` holds, looking every 50 ms (`everyMs`); says what it waited for when the time is up. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { timeoutMs = 30_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1000} s in vain until ${what}.`);
    await new Promise((resolve) => {
      setTimeout(resolve, everyMs);
    });
  }
}
