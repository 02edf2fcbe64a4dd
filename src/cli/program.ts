import { Command, CommanderError, Option } from 'commander';
import type { Io } from './context.ts';
import { reportError } from './error-report.ts';
import { Frame } from './frame.ts';
import { isColoured } from './terminal.ts';
import { version } from './version.ts';

/** A command is loaded when it is named, so that `--help` and `--version` load none. */
type CommandEntry = {
  readonly name: string;
  /** Shown by `--help`; the command itself may tell more. */
  readonly summary: string;
  readonly load: () => Promise<(frame: Frame) => Command>;
};

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'run',
    summary: 'reconcile, then watch the source and push until stopped',
    load: async () => (await import('./run.ts')).runCommand,
  },
  {
    name: 'check',
    summary: 'tell what source and targets lack, each with its fix',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  {
    name: 'validate',
    summary: 'ask Polaris about every table, without changing anything',
    load: async () => (await import('./validate.ts')).validateCommand,
  },
  {
    name: 'backfill',
    summary: 'push every table once; resumable',
    load: async () => (await import('./backfill.ts')).backfillCommand,
  },
  {
    name: 'replay',
    summary: 'push recorded states in order, with their recorded times',
    load: async () => (await import('./replay.ts')).replayCommand,
  },
  {
    name: 'diff',
    summary: 'tell what differs between source, ledger and Polaris',
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  {
    name: 'reconcile',
    summary: 'heal what differs',
    load: async () => (await import('./reconcile.ts')).reconcileCommand,
  },
  {
    name: 'notify',
    summary: 'send one notification by hand',
    load: async () => (await import('./notify.ts')).notifyCommand,
  },
  {
    name: 'wait',
    summary: 'wait until a table is visible in Polaris',
    load: async () => (await import('./wait.ts')).waitCommand,
  },
  {
    name: 'policies',
    summary: 'show which policies of Polaris apply to a table, and from where',
    load: async () => (await import('./policies.ts')).policiesCommand,
  },
  {
    name: 'status',
    summary: 'tell what is pending, parked or skipped, and why',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'retry',
    summary: 'put parked tables back to work',
    load: async () => (await import('./retry.ts')).retryCommand,
  },
  {
    name: 'drops',
    summary: 'list and release DROPs that are held for a human',
    load: async () => (await import('./drops.ts')).dropsCommand,
  },
  {
    name: 'events',
    summary: 'list, resend and discard events that a sink refused',
    load: async () => (await import('./events.ts')).eventsCommand,
  },
  {
    name: 'repair',
    summary: 'free a table whose timestamp is ahead',
    load: async () => (await import('./repair.ts')).repairCommand,
  },
  {
    name: 'config',
    summary: 'print the effective configuration or the schema of configurations',
    load: async () => (await import('./config.ts')).configCommand,
  },
  {
    name: 'emulate',
    summary: 'serve an in-memory Polaris for development',
    load: async () => (await import('./emulate.ts')).emulateCommand,
  },
];

const DESCRIPTION = `Keeps Apache Polaris EXTERNAL catalogs equal to a source catalog by pushing notifications.`;

const EXAMPLES = `
Examples:
  $ polaris-push check --config agent.yaml     what is missing, each with its fix
  $ polaris-push run --config agent.yaml       push until stopped
  $ polaris-push status --config agent.yaml    what is pending or parked, and why

Exit codes: 0 fine, 1 unexpected error, 2 usage or configuration, 3 findings,
4 source or target unreachable or not authorized, 130 interrupted.
`;

/** Runs one command line and returns its exit code. Throws nothing. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const frame = new Frame(io);
  const report = (error: unknown) => {
    const { stdout, stderr } = io;
    const debug = /(^| )--log-level[= ]debug( |$)/.test(argv.join(' '));
    const coloured = isColoured(stderr, io.env);
    return reportError(error, {
      json: argv.includes('--json'),
      debug,
      coloured,
      stdout,
      stderr,
      secrets: frame.secrets,
    });
  };
  io.onCrash?.((error) => io.exit(report(error)));
  try {
    const program = await createProgram(frame, (name) => argv.includes(name));
    await program.parseAsync([...argv], { from: 'user' });
    return frame.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && SHOWN.has(error.code)) return error.exitCode === 0 ? 0 : 2;
    return report(error);
  }
}

/** What commander throws after it showed help or the version. */
const SHOWN = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/** The program, with those commands loaded that `isWanted` wants; the others are known by name and summary only. */
export async function createProgram(frame: Frame, isWanted: (name: string) => boolean): Promise<Command> {
  const program = new Command('polaris-push')
    .description(DESCRIPTION)
    .usage('<command> [options]')
    .version(version(), '--version', 'print the version')
    .option('--json', 'one JSON object a line on standard output, for programs')
    .addOption(new Option('--log-level <level>', 'least severe log lines').choices(['debug', 'info', 'warn', 'error']))
    .addOption(new Option('--log-format <format>', 'default: text on a terminal, else json').choices(['json', 'text']))
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => frame.io.stdout.write(text),
      writeErr: (text) => frame.io.stderr.write(text),
      // Errors are told in one place and one form, by reportError.
      outputError: () => {},
    })
    .exitOverride();
  for (const { name, summary, load } of COMMANDS) {
    const command = isWanted(name) ? (await load())(frame) : new Command(name);
    program.addCommand(inherit(command.summary(summary), program));
  }
  return program;
}

/** Names of all commands, in the order of the help. */
export const commandNames: readonly string[] = COMMANDS.map(({ name }) => name);

function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}
