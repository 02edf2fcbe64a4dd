import type { Config } from '../config/schema.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Random } from '../runtime/random.ts';
import type { Secrets } from '../runtime/secrets.ts';
import type { SignalSource } from '../runtime/shutdown.ts';
import type { Tracing } from '../runtime/tracing.ts';
import type { Out, TextStream } from './terminal.ts';

/** The doors to the outside that the command line has; the process, but for tests. */
export type Io = {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signals: SignalSource;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  /** Calls `listener` with what nobody caught, after which the process must not go on. */
  readonly onCrash?: ((listener: (error: unknown) => void) => void) | undefined;
};

/** What a command without a configuration works with. */
export type PlainContext = {
  readonly io: Io;
  readonly out: Out;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly secrets: Secrets;
  /** Aborts at the first SIGINT or SIGTERM: take nothing more in, finish what is under way. */
  readonly signal: AbortSignal;
  /** Aborts when the time to finish (`shutdown.drain`) is over. */
  readonly deadline: AbortSignal;
  /** Whether people watch: standard output is a terminal and --json wasn't given. Progress is shown only then. */
  readonly isTty: boolean;
};

/** What a command with --config works with. */
export type CommandContext = PlainContext & {
  readonly config: Config;
  readonly loaded: LoadedConfig;
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined;
  /** The path given with --config, for messages. */
  readonly configPath: string;
};

/** 0 fine · 1 unexpected · 2 usage or configuration · 3 findings · 4 unreachable or not authorized · 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 130;
