import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig, loadConfig, type LoadedConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Connector } from '../../src/connector/connector.ts';
import { isLossy } from '../../src/connector/mapping.ts';
import { scoped } from '../../src/connector/scope.ts';
import { PushError } from '../../src/errors/errors.ts';
import { createLog } from '../../src/observe/log.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import type { Target } from '../../src/polaris/target.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/runtime/log.ts';
import { systemRandom, type Random } from '../../src/runtime/random.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import type { GlueConfig } from './config.ts';
import glue from './index.ts';

export type LambdaEnvironment = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  /** Where log lines go; Lambda takes what is written to standard output. */
  readonly stream: { write(text: string): unknown };
};

export const lambdaEnvironment = (): LambdaEnvironment => ({
  env: process.env,
  clock: systemClock,
  random: systemRandom,
  stream: process.stdout,
});

/** What stays for as long as the function's environment lives. */
export type LambdaAgent = AsyncDisposable & {
  readonly config: Config;
  readonly glue: GlueConfig;
  /** In Polaris's names. */
  readonly connector: Connector;
  readonly targets: readonly Target[];
  /** What a reconciliation does about tables that Polaris holds and Glue doesn't list. */
  readonly unlisted: 'drop' | 'report';
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
};

/** The configuration's file beside the function's code, if POLARIS_PUSH_CONFIG doesn't name another. */
const CONFIG_FILE = 'polaris-push.yaml';

/**
 * Reads the configuration and makes the clients. `POLARIS_PUSH_CONFIG` holds the YAML itself or names its file;
 * `POLARIS_PUSH_UNLISTED` is `report` (the default) or `drop`. Throws `PushError`.
 */
export async function openLambdaAgent(environment: LambdaEnvironment): Promise<LambdaAgent> {
  const { env, clock, random, stream } = environment;
  const secrets = new Secrets();
  const { config } = await configOf(env, secrets);
  const source = config.source as GlueConfig;
  refuseWhatNeedsMemory(config);
  const log = createLog({ level: config.log.level, format: config.log.format ?? 'json', stream, secrets, clock });
  await using opened = new AsyncDisposableStack();
  const connector = opened.use(scoped(await glue.open(source, { clock, log }), config.tables, { clock }));
  const targets = await Promise.all(
    config.targets.map(async (target) => opened.use(await openPolaris(target, { clock, log }))),
  );
  if (isLossy(config.tables.namespace)) await learnNames(connector);
  const unlisted = unlistedOf(env['POLARIS_PUSH_UNLISTED']);
  const closing = opened.move();
  return {
    config,
    glue: source,
    connector,
    targets,
    unlisted,
    clock,
    random,
    log,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function configOf(env: LambdaEnvironment['env'], secrets: Secrets): Promise<LoadedConfig> {
  const deps = { env, secrets, connectors: { glue: async () => glue } };
  const given = env['POLARIS_PUSH_CONFIG'];
  // A path has neither line breaks nor a colon before a blank, and a configuration can't do without them.
  if (given !== undefined && /\n|:\s/.test(given)) return parseConfig(given, 'POLARIS_PUSH_CONFIG', deps);
  if (given !== undefined) return loadConfig(given, deps);
  const file = join(env['LAMBDA_TASK_ROOT'] ?? '.', CONFIG_FILE);
  if (existsSync(file)) return loadConfig(file, deps);
  throw new PushError('CONFIG_UNREADABLE', `POLARIS_PUSH_CONFIG is not set, and there is no ${file}.`, {
    fix: `Set POLARIS_PUSH_CONFIG to the configuration's text or path, or put ${CONFIG_FILE} beside the function's code.`,
  });
}

/** What can't be kept without a ledger is refused, rather than ignored in silence. */
function refuseWhatNeedsMemory({ recreate, forward }: Config): void {
  if (forward.length > 0) {
    const fix = 'Take the section forward out, or use `polaris-push run`.';
    const why = 'forward needs the ledger: an event is kept there until its sink has it. A function has no ledger.';
    throw new PushError('CONFIG_INVALID', why, { fix });
  }
  if (recreate === 'keep') return;
  throw new PushError(
    'CONFIG_INVALID',
    'recreate: replace needs a memory of the former table, which a function lacks.',
    {
      fix: 'Set recreate: keep, or use `polaris-push run`.',
    },
  );
}

function unlistedOf(text: string | undefined): 'drop' | 'report' {
  if (text === undefined || text === '' || text === 'report') return 'report';
  if (text === 'drop') return 'drop';
  throw new PushError('CONFIG_INVALID', 'POLARIS_PUSH_UNLISTED is neither drop nor report.', {
    fix: 'Set it to report, or to drop if the catalog in Polaris is fed by this source alone.',
  });
}

/** Where two names of the source can become one of Polaris, no read is definite before the names are known. */
async function learnNames(connector: Connector): Promise<void> {
  for await (const page of connector.list(new AbortController().signal)) void page;
}
