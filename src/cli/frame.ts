import type { Command } from 'commander';
import { PushError } from '../errors/errors.ts';
import type { LogFormat, LogLevel } from '../observe/log.ts';
import { Secrets } from '../runtime/secrets.ts';
import { INTERRUPTED, listenForShutdown, type Shutdown } from '../runtime/shutdown.ts';
import type { CommandContext, ExitCode, Io, PlainContext } from './context.ts';
import { createOut, isColoured } from './terminal.ts';
import { version } from './version.ts';

/** Options that every command has. */
export type GlobalOptions = {
  readonly json?: boolean | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly logFormat?: LogFormat | undefined;
};

/** What a command does: `options` are its own, parsed by commander; `args` are its arguments in order. */
export type CommandBody<Context, Options> = (
  context: Context,
  options: Options,
  args: readonly string[],
) => Promise<ExitCode>;

type WithConfig = { readonly config?: string | undefined };

/** Gives each command its context, and takes its exit code. */
export class Frame {
  readonly io: Io;
  readonly secrets = new Secrets();
  exitCode: number = 0;

  constructor(io: Io) {
    this.io = io;
  }

  /** Makes `body` the action of a command that needs no configuration. */
  plain<Options extends object>(command: Command, body: CommandBody<PlainContext, Options>): Command {
    return this.#action(command, async (shutdown, options, args) =>
      body(await this.#plainContext(shutdown, options), options as Options, args),
    );
  }

  /** Makes `body` the action of a command with `--config FILE`. The configuration is valid when `body` is called. */
  configured<Options extends object>(command: Command, body: CommandBody<CommandContext, Options>): Command {
    // Not a mandatory option of commander: that would hide a misspelt one behind "not specified".
    command.option('-c, --config <file>', 'configuration file (YAML); required');
    return this.#action(command, async (shutdown, options: GlobalOptions & WithConfig, args) => {
      const { config } = options;
      if (config === undefined) throw new PushError('USAGE', 'It needs --config FILE.', { fix: withConfig(command) });
      const context = await this.#configuredContext(shutdown, { ...options, config });
      try {
        return await body(context, options as Options, args);
      } finally {
        await context.tracing?.flush();
      }
    });
  }

  #action(
    command: Command,
    body: (shutdown: Shutdown, options: GlobalOptions, args: readonly string[]) => Promise<ExitCode>,
  ): Command {
    return command.action(async () => {
      using shutdown = listenForShutdown({
        ...this.io,
        onSignal: (signal, drainMs) => {
          const hint = `finishing what is under way, at most ${drainMs / 1000} s; once more to exit now`;
          if (this.io.stderr.isTTY === true) this.io.stderr.write(`\npolaris-push: ${signal}: ${hint}\n`);
        },
      });
      try {
        this.exitCode = await body(shutdown, command.optsWithGlobals(), command.args);
      } catch (error) {
        if (!shutdown.stop.aborted || !isAbort(error, shutdown)) throw error;
        this.exitCode = INTERRUPTED;
      }
    });
  }

  async #configuredContext(
    shutdown: Shutdown,
    options: GlobalOptions & { readonly config: string },
  ): Promise<CommandContext> {
    const { loadConfig } = await import('../config/load.ts');
    const { connectors } = await import('../../connectors/index.ts');
    const loaded = await loadConfig(options.config, { env: this.io.env, connectors, secrets: this.secrets });
    const { config } = loaded;
    shutdown.drainWithin(config.shutdown.drainMs);
    const plain = await this.#plainContext(shutdown, options, config.log);
    const { openTracing } = await import('../observe/opentelemetry.ts');
    const mask = (text: string) => this.secrets.mask(text);
    const tracing = await openTracing({ ...plain, version: version(), mask });
    return { ...plain, config, loaded, tracing, configPath: options.config };
  }

  async #plainContext(
    shutdown: Shutdown,
    options: GlobalOptions,
    configured?: { readonly level: LogLevel; readonly format?: LogFormat | undefined },
  ): Promise<PlainContext> {
    const { createLog } = await import('../observe/log.ts');
    const { io, secrets } = this;
    const { stdout, stderr, env, clock, random } = io;
    const log = createLog({
      level: options.logLevel ?? configured?.level ?? 'info',
      format: options.logFormat ?? configured?.format ?? (stderr.isTTY === true ? 'text' : 'json'),
      stream: stderr,
      colours: isColoured(stderr, env),
      secrets,
      clock,
    });
    const json = options.json === true;
    const out = createOut(stdout, { json, env, secrets });
    const isTty = stdout.isTTY === true && !json;
    return { io, out, log, clock, random, secrets, signal: shutdown.stop, deadline: shutdown.deadline, isTty };
  }
}

/** How the command is written, e.g. `polaris-push config print --config FILE`. */
function withConfig(command: Command): string {
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  return `${names.join(' ')} --config FILE`;
}

/** What awaits throw when one of our signals aborts: the signal's reason itself, or an AbortError. */
const isAbort = (error: unknown, { stop, deadline }: Shutdown): boolean =>
  error === stop.reason || error === deadline.reason || (error instanceof Error && error.name === 'AbortError');
