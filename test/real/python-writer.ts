import { Child, until } from './child.ts';
import type { Request, SourceTable } from './driver.ts';
import type { ReadyPython } from './pyiceberg.ts';

export type WriterOptions = {
  readonly python: ReadyPython;
  /** The script, then its arguments. It says `{"ok": "ready"}` first, then answers each line with one line. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly logFile: string;
};

/** PyIceberg as a process of its own, one request at a time. */
export class Writer implements AsyncDisposable {
  readonly #child: Child;
  #answers: string[] = [];

  private constructor({ python, args, env, logFile }: WriterOptions) {
    this.#child = new Child({
      program: python.program,
      args,
      env: { ...python.env, ...env, PYTHONWARNINGS: 'ignore' },
      logFile,
      onLine: (line) => void this.#answers.push(line),
    });
  }

  static async start(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options);
    try {
      await writer.#answer();
    } catch (error) {
      await writer[Symbol.asyncDispose]();
      throw error;
    }
    return writer;
  }

  /** Resolves with the command's result; throws with the Python exception's text where the catalog refused it. */
  async do(request: Request): Promise<unknown> {
    this.#child.write(JSON.stringify(request));
    return this.#answer();
  }

  /** What PyIceberg finds in the catalog now. */
  async tables(): Promise<readonly SourceTable[]> {
    return (await this.do({ command: 'state' })) as readonly SourceTable[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop('SIGKILL');
  }

  async #answer(): Promise<unknown> {
    await until('PyIceberg answers', () => this.#answers.length > 0 || !this.#child.alive, {
      timeoutMs: 60_000,
      everyMs: 5,
    });
    const [line] = this.#answers.splice(0, 1);
    if (line === undefined) throw new Error(`PyIceberg ended.\n${this.#child.tail()}`);
    const { ok, error } = JSON.parse(line) as { ok?: unknown; error?: string };
    if (error !== undefined) throw new Error(`PyIceberg: ${error}\n${this.#child.tail()}`);
    return ok;
  }
}
