import { Command } from 'commander';
import { App, recorded } from '../app.ts';
import { PushError } from '../errors/errors.ts';
import { runPipeline } from '../pipeline/pipeline.ts';
import type { Monitor } from '../observe/monitor.ts';
import { serviceManager } from '../observe/sd-notify.ts';
import type { Emit, PipelineEvent } from '../pipeline/events.ts';
import type { Forwarder } from '../pipeline/forward.ts';
import type { Target } from '../polaris/target.ts';
import type { Clock } from '../runtime/clock.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { durationOption } from './duration-option.ts';
import type { Frame } from './frame.ts';
import { depsOf } from './mend.ts';
import { ndjsonFile } from './ndjson-file.ts';
import { servePageOf } from './run-page.ts';
import { runReport } from './run-report.ts';
import { opened, standby } from './standby.ts';
import { assertReady } from './target-ready.ts';
import { version } from './version.ts';
import { count } from './wording.ts';

type RunOptions = {
  readonly once?: boolean | undefined;
  readonly within?: string | undefined;
  readonly record?: string | undefined;
  readonly adoptLedger?: boolean | undefined;
  readonly standby?: boolean | undefined;
};

/** `run`: the sidecar and the consumer. */
export const runCommand = (frame: Frame): Command =>
  frame.configured<RunOptions>(
    new Command('run')
      .description(
        'Reconcile, then watch the source and push until stopped. SIGTERM and SIGINT let open notifications finish; a second signal exits at once, which loses nothing.',
      )
      .option(
        '--once',
        'stop as soon as everything is caught up and events are out; exit 3 if tables are parked or events are left',
      )
      .option('--within <duration>', 'with --once: give up after this long; exit 4 if a target is down, else 3')
      .option('--adopt-ledger', 'the ledger is of this source and these catalogs, though their addresses have changed')
      .option('--standby', 'wait while another agent owns the ledger, and take over the moment that it ends')
      .option('--record <file>', 'write down every state that was read of the source, for `replay`; appends')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push run --config agent.yaml
  $ polaris-push run --config agent.yaml --once --within 10m    reconcile from cron
  $ polaris-push run --config agent.yaml --standby    two of these: one works, one waits
  $ polaris-push run --config agent.yaml --json | jq .    one event a line
`,
      ),
    run,
  );

async function run(context: CommandContext, options: RunOptions): Promise<ExitCode> {
  const { config, clock, random, log, out, signal, deadline } = context;
  const once = options.once === true ? new Once() : undefined;
  const withinMs = options.within === undefined ? undefined : durationOption('--within', options.within);
  if (withinMs !== undefined && once === undefined) throw new PushError('USAGE', '--within goes with --once.');
  if (once !== undefined && options.standby === true)
    throw new PushError('USAGE', '--standby is for an agent that stays; it does not go with --once.');
  await using file = await ndjsonFile('--record', options.record, 'a');
  const monitor = await monitorOf(context);
  const waiting = options.standby === true ? standby(context, monitor) : undefined;
  const deps = { ...depsOf(context), meters: monitor?.meters };
  await using app = await opened(App.open(deps, undefined, { listen: true, standby: waiting?.wait }), waiting);
  // After the app, so that it is closed before the parts that it asks.
  await using _ = monitor;
  if (app === undefined) return 0;
  if (monitor !== undefined && app.http !== undefined) monitor.serve(app.http);
  const { connector, ledger, targets } = app;
  await app.claim(options.adoptLedger);
  if (app.http !== undefined) log.info('listening', { host: app.http.host, port: app.http.port });
  await firstStart(app, signal);
  await using page = await servePageOf(context, app, monitor);
  const report = runReport({ out, log, source: connector.source });
  const emit: Emit = (event) => {
    report(event);
    monitor?.see(event);
    page?.see(event);
    once?.see(event);
  };
  const names = { source: connector.source, targets: targets.map(({ name }) => name) };
  out.event('started', names);
  log.info('started', names);
  const forwarders = await app.forwarders(emit);
  const drivers = app.drivers(emit, {}, options.record === undefined ? connector : recorded(connector, file.write));
  monitor?.start(app.parts(drivers));
  signal.addEventListener('abort', () => monitor?.stopping(), { once: true });
  const { everyMs: reconcileEveryMs, auditMs: auditEveryMs } = config.reconcile;
  const parts = {
    connector,
    ledger,
    drivers,
    targets,
    forwarders,
    clock,
    random,
    log,
    emit,
    reconcileEveryMs,
    auditEveryMs,
  };
  if (once !== undefined) void once.endWhenIdle(forwarders);
  if (once !== undefined && withinMs !== undefined) void once.giveUpAfter(withinMs, clock);
  await runPipeline(parts, once === undefined ? signal : AbortSignal.any([signal, once.signal]), deadline);
  out.event('stopped');
  log.info('stopped');
  if (once === undefined) return 0;
  signal.throwIfAborted();
  return once.conclude(app, context);
}

/** Nobody looks at an agent that neither listens nor has a service manager. */
async function monitorOf({ config, clock, log, io, secrets }: CommandContext): Promise<Monitor | undefined> {
  const manager = serviceManager({ env: io.env, pid: process.pid, clock, log });
  if (config.http === undefined && manager === undefined) return undefined;
  const { Monitor } = await import('../observe/monitor.ts');
  const facts = {
    version: version(),
    source: config.source.kind,
    targets: config.targets.map(({ name }) => name),
    sinks: config.forward.map(({ name }) => name),
  };
  return new Monitor(facts, { clock, log, manager, mask: (text) => secrets.mask(text) });
}

/** With --once the agent ends when all is caught up, or when the time is over. */
class Once {
  readonly #ended = new AbortController();
  readonly #down = new Set<string>();
  readonly #caughtUpOnce = Promise.withResolvers<void>();
  #caughtUp = false;

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  see(event: PipelineEvent): void {
    if (event.kind === 'target-down') this.#down.add(event.target);
    else if (event.kind === 'target-up') this.#down.delete(event.target);
    else if (event.kind === 'caught-up') {
      this.#caughtUp = true;
      this.#caughtUpOnce.resolve();
    }
  }

  /** Events of what was delivered go out, too, as far as their sinks take them. */
  async endWhenIdle(forwarders: readonly Forwarder[]): Promise<void> {
    await this.#caughtUpOnce.promise;
    await Promise.all(forwarders.map((forwarder) => forwarder.idle(this.signal)));
    this.#ended.abort();
  }

  async giveUpAfter(ms: number, clock: Clock): Promise<void> {
    await clock.sleep(ms, this.signal);
    this.#ended.abort();
  }

  conclude({ ledger, targets }: App, { out, config }: CommandContext): ExitCode {
    const left = config.forward.filter(({ name }) => {
      const { waiting, buried } = ledger.outbox.totals(name);
      if (waiting > 0) out.line(`Not forwarded: ${count(waiting, 'event')} for ${name}; the next run tries again.`);
      if (waiting > 0) out.event('not-forwarded', { sink: name, waiting });
      return waiting + buried > 0;
    });
    if (this.#caughtUp) return left.length > 0 || targets.some(({ name }) => ledger.totals(name).parked > 0) ? 3 : 0;
    for (const { name } of targets) {
      const { pending } = ledger.totals(name);
      const state = this.#down.has(name) ? 'down' : 'up';
      out.line(
        `Not caught up in time: ${name} is ${state}, ${count(pending, 'table')} pending; \`status\` names them.`,
      );
      out.event('not-caught-up', { target: name, state, pending });
    }
    return this.#down.size > 0 ? 4 : 3;
  }
}

/**
 * What has never worked is looked at before it is relied on: a wrong setting ends the start with its fix. What has
 * worked before is waited for instead, since hints must be recorded while Polaris is down.
 */
async function firstStart({ connector, ledger, targets }: App, signal: AbortSignal): Promise<void> {
  const isNew = (target: Target) => ledger.totals(target.name).entries === 0;
  if (targets.every(isNew)) await connector.prepare(signal);
  for (const target of targets.filter(isNew)) await assertReady(target, signal);
}
