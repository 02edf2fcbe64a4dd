import { setTimeout as sleep } from 'node:timers/promises';
import { agentEnvironment, writeAgentConfig, type AgentSetup } from './agent-config.ts';
import { Command } from './child.ts';
import { compare, isEqual, type Comparison } from './comparison.ts';
import { unlessAborted } from './interruption.ts';
import { Statistics } from './statistics.ts';

export type SessionOptions = {
  readonly setup: AgentSetup;
  /** What the metastore holds, as Polaris should name it. */
  readonly source: () => Promise<ReadonlyMap<string, string>>;
  /** What Polaris serves. */
  readonly mirror: () => Promise<ReadonlyMap<string, string>>;
  /** Other commands that must run all the time. */
  readonly others?: readonly Command[] | undefined;
  /** Stop the agent when it has caught up. */
  readonly once?: boolean | undefined;
};

/** How often two sides that differ are looked at again. */
const LOOK_MS = 100;

/** The agent between a source and its mirror, and what can be said of them. */
export class Session implements AsyncDisposable {
  readonly statistics = new Statistics();
  readonly agent: Command;
  readonly #options: SessionOptions;
  readonly #caughtUp = Promise.withResolvers<void>();

  /** Starts the agent. */
  constructor(options: SessionOptions) {
    this.#options = options;
    const file = writeAgentConfig(options.setup);
    const once = options.once === true ? ['--once'] : [];
    this.agent = new Command(['run', '--config', file, '--log-level', 'warn', ...once], {
      env: agentEnvironment(options.setup),
      onEvent: (event) => {
        this.statistics.take(event);
        if (event.event === 'caught-up') this.#caughtUp.resolve();
      },
    });
  }

  /** Resolves when the agent has delivered everything it found at its start. Throws `CommandFailed` when it ends instead. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    await unlessAborted(this.agent.until(this.#caughtUp.promise), signal);
  }

  async compare(): Promise<Comparison> {
    // The source first: what is in Polaris later can only be newer.
    const source = await this.#options.source();
    return compare(source, await this.#options.mirror());
  }

  /** Compares until both sides are equal or `withinMs` is over; resolves with the last comparison. */
  async equal(withinMs: number, signal?: AbortSignal): Promise<Comparison> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      this.check();
      const comparison = await this.compare();
      if (isEqual(comparison) || performance.now() > deadline) return comparison;
      signal?.throwIfAborted();
      await sleep(LOOK_MS);
    }
  }

  /** Throws `CommandFailed` when one of the commands has ended by itself. */
  check(): void {
    for (const command of [this.agent, ...(this.#options.others ?? [])]) command.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
  }
}
