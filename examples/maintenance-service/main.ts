import { parseArgs } from 'node:util';
import { ERRORS, PushError } from '../../src/errors/errors.ts';
import type { TableEvent } from '../../src/forward/cloud-event.ts';
import { createLog } from '../../src/observe/log.ts';
import { openPolicies, type PolicyClient } from '../../src/polaris/policies.ts';
import { PolicyCache } from '../../src/polaris/policy-cache.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import type { Log } from '../../src/runtime/log.ts';
import { Secrets } from '../../src/runtime/secrets.ts';
import { listenForShutdown } from '../../src/runtime/shutdown.ts';
import { describe, tellOf } from './report.ts';
import { readServiceConfig, type ServiceConfig } from './service-config.ts';
import { MaintenanceService } from './service.ts';
import { EVENTS_PATH, receiveWebhooks } from './webhook-receiver.ts';

// node examples/maintenance-service/main.ts --config maintenance.yaml [--json]
// Prints what it decides on, one event at a time; with --json as one JSON object a line. Ends with 0 after SIGTERM or
// Ctrl-C, and 2 for a wrong command line or configuration.

type Output = {
  /** Something to tell, for programs and for people. */
  readonly tell: (event: string, fields: Readonly<Record<string, unknown>>, lines: readonly string[]) => void;
  readonly log: Log;
};

const print = (text: string) => void process.stdout.write(`${text}\n`);

/** How often Polaris was asked for what. */
class Requests {
  policies = 0;
  loads = 0;

  /** The same client, counted. */
  counting(client: PolicyClient): Pick<PolicyClient, 'applicable' | 'loadTable'> {
    return {
      applicable: (...question) => {
        this.policies += 1;
        return client.applicable(...question);
      },
      loadTable: (...question) => {
        this.loads += 1;
        return client.loadTable(...question);
      },
    };
  }
}

async function run(config: ServiceConfig, { tell, log }: Output, signal: AbortSignal): Promise<void> {
  const { polaris, sparkCatalog, policyMaxAgeMs } = config;
  await using client = await openPolicies(polaris, { clock: systemClock, log });
  const requests = new Requests();
  const counted = requests.counting(client);
  using policies = new PolicyCache(counted, { clock: systemClock, maxAgeMs: policyMaxAgeMs });
  const { name: target, catalog } = polaris;
  const service = new MaintenanceService({ target, catalog, policies, client: counted, sparkCatalog });
  const counts = { plan: 0, skip: 0 };
  const onEvent = async (event: TableEvent, delivery: AbortSignal) => {
    const handled = await service.handle(event, delivery);
    counts[handled.decision.kind] += 1;
    const told = tellOf(handled);
    tell(handled.decision.kind, told, describe(told));
  };
  const onProblem = (problem: string) => log.warn('not-handled', { problem });
  await receive(config, { tell, log, onEvent, onProblem }, signal);
  const { plan: plans, skip: skips } = counts;
  const asked = `Polaris was asked ${requests.policies} times for policies and ${requests.loads} times for tables`;
  tell('stopped', { plans, skips, policy_requests: requests.policies, table_requests: requests.loads }, [
    `${plans + skips} events: ${plans} planned, ${skips} skipped; ${asked}.`,
  ]);
}

type Receiver = Output & {
  readonly onEvent: (event: TableEvent, signal: AbortSignal) => Promise<unknown>;
  readonly onProblem: (problem: string) => void;
};

/** Until `signal` aborts. */
async function receive({ webhook, kafka }: ServiceConfig, receiver: Receiver, signal: AbortSignal): Promise<void> {
  const { tell, log } = receiver;
  if (webhook !== undefined) {
    await using server = await openHttpServer(webhook, { log });
    using _ = receiveWebhooks(server.hooks, { ...receiver, secret: webhook.secret });
    const uri = `http://${server.host}:${server.port}${EVENTS_PATH}`;
    tell('listening', { uri }, [`Events come to ${uri}.`]);
    await aborted(signal);
  } else if (kafka !== undefined) {
    // Loaded only when it is used, as the agent does it.
    const { receiveFromKafka } = await import('./kafka-receiver.ts');
    const onSubscribed = () => tell('listening', { topic: kafka.topic }, [`Events come from topic ${kafka.topic}.`]);
    await receiveFromKafka({ ...kafka, ...receiver, onSubscribed, clock: systemClock }, signal);
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { config: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  if (values.config === undefined) throw new PushError('USAGE', '--config FILE is missing.');
  const secrets = new Secrets();
  const config = readServiceConfig(values.config, { env: process.env, secrets });
  const format = values.json ? 'json' : 'text';
  const log = createLog({ level: 'warn', format, secrets, stream: process.stderr, clock: systemClock });
  using shutdown = listenForShutdown({ signals: process, clock: systemClock, exit: (code) => process.exit(code) });
  const tell: Output['tell'] = (event, fields, lines) => {
    if (values.json) print(JSON.stringify({ event, ...fields }));
    else for (const line of lines) print(line);
  };
  await run(config, { tell, log }, shutdown.stop);
  return 0;
}

function failed(error: unknown): number {
  // parseArgs throws TypeErrors with a code.
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (error instanceof PushError) {
    process.stderr.write(`maintenance-service: [${error.code}] ${error.message}\nfix: ${error.fix}\n`);
    return ERRORS[error.code].exitCode;
  }
  process.stderr.write(`maintenance-service: ${error instanceof Error ? error.message : String(error)}\n`);
  return isUsage ? 2 : 1;
}

// A reader that has seen enough, such as head, closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = failed(error);
}
