import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy } from './fault-proxy.ts';

/** Between two faults, and how long one lasts, at most. */
const CALM_MS = 300;
const FAULT_MS = 600;

const FAULTS: readonly ((proxy: FaultProxy) => void)[] = [
  (proxy) => proxy.reset(),
  (proxy) => proxy.freeze(),
  (proxy) => proxy.blackHole(),
  (proxy) => proxy.shape({ latencyMs: 50 }),
  (proxy) => proxy.shape({ pieceBytes: 1 }),
  (proxy) => proxy.shape({ pieceBytes: 64, pauseMs: 5 }),
];

/** One fault after the other, each through one of the proxies, until it ends. */
export class Storm {
  faults = 0;
  readonly #over = new AbortController();
  readonly #run: Promise<void>;

  constructor(proxies: readonly FaultProxy[], random: () => number) {
    this.#run = this.#blow(proxies, random);
  }

  /** Resolves when nothing is wrong any more but with connections that were frozen. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#run;
  }

  async #blow(proxies: readonly FaultProxy[], random: () => number): Promise<void> {
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
    while (!this.#over.signal.aborted) {
      const proxy = pick(proxies);
      pick(FAULTS)(proxy);
      this.faults += 1;
      await this.#pause(random() * FAULT_MS);
      proxy.heal();
      await this.#pause(random() * CALM_MS);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {});
  }
}
