import { readFile, stat } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Redactor } from './redact.ts';
import { SingleFlight } from './single-flight.ts';
import { isBearerToken, type TokenAnswer, type TokenSource } from './token.ts';

/** How long a look at the file is trusted. A refused token looks again at once. */
const LOOK_AGAIN_MS = 1000;

export type TokenFileDeps = { readonly clock: Clock; readonly log: Log; readonly redactor: Redactor };

/**
 * A token that something else renews in a file, e.g. a projected service account of Kubernetes. A token that was read
 * stays in use while the file is missing or half written, as renewals are not always atomic.
 */
export class TokenFile implements TokenSource {
  readonly #path: string;
  readonly #deps: TokenFileDeps;
  readonly #look = new SingleFlight(() => this.#lookAtFile());
  #token: string | undefined;
  #version: string | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, deps: TokenFileDeps) {
    this.#path = path;
    this.#deps = deps;
  }

  async token(signal: AbortSignal): Promise<TokenAnswer> {
    if (this.#token !== undefined && this.#deps.clock.monotonicMs() - this.#lookedAtMs < LOOK_AGAIN_MS) {
      return { kind: 'token', value: this.#token };
    }
    return await this.#look.join(signal);
  }

  async replacement(refused: string, signal: AbortSignal): Promise<TokenAnswer | undefined> {
    // A file can be rewritten within the granularity of its time stamps.
    this.#version = undefined;
    const answer = await this.#look.join(signal);
    return answer.kind === 'token' && answer.value === refused ? undefined : answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #lookAtFile(): Promise<TokenAnswer> {
    const problem = await this.#read();
    if (this.#token === undefined) {
      return { kind: 'unauthorized', message: `The token file ${this.#path} ${problem ?? 'is empty'}.` };
    }
    if (problem !== undefined) this.#deps.log.warn('token-file-unreadable', { path: this.#path, problem });
    return { kind: 'token', value: this.#token };
  }

  /** What is wrong with the file, if anything is. */
  async #read(): Promise<string | undefined> {
    const { clock, log, redactor } = this.#deps;
    this.#lookedAtMs = clock.monotonicMs();
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(this.#path);
      const version = `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
      if (version === this.#version) return undefined;
      const token = (await readFile(this.#path, 'utf8')).trim();
      if (token === '') return 'is empty';
      if (!isBearerToken(token)) return 'holds blanks or other characters that no bearer token has';
      this.#version = version;
      if (token === this.#token) return undefined;
      log.debug('token-file-read', { path: this.#path });
      redactor.addToken(token);
      this.#token = token;
      return undefined;
    } catch (error) {
      return `can't be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
    }
  }
}
