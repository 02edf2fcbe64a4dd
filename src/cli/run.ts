import { Command } from 'commander';
import { App } from '../app.ts';
import { runPipeline } from '../pipeline/pipeline.ts';
import type { Emit } from '../pipeline/events.ts';
import type { Target } from '../polaris/target.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { runReport } from './run-report.ts';
import { assertReady } from './target-ready.ts';

type RunOptions = { readonly once?: boolean | undefined };

/** `run`: the sidecar and the consumer. */
export const runCommand = (frame: Frame): Command =>
  frame.configured<RunOptions>(
    new Command('run')
      .description(
        'Reconcile, then watch the source and push until stopped. SIGTERM and SIGINT let open notifications finish; a second signal exits at once, which loses nothing.',
      )
      .option('--once', 'stop as soon as everything is caught up; exit 3 if tables are parked')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push run --config agent.yaml
  $ polaris-push run --config agent.yaml --once           reconcile from cron
  $ polaris-push run --config agent.yaml --json | jq .    one event a line
`,
      ),
    run,
  );

async function run(context: CommandContext, options: RunOptions): Promise<ExitCode> {
  const { config, loaded, clock, random, log, out, signal, deadline } = context;
  await using app = await App.open({ config, definition: loaded.connector, clock, random, log });
  const { connector, ledger, targets } = app;
  await firstStart(app, signal);
  const once = new AbortController();
  const report = runReport({ out, log, source: connector.source });
  const emit: Emit = (event) => {
    report(event);
    if (event.kind === 'caught-up' && options.once === true) once.abort();
  };
  out.event('started', { source: connector.source, targets: targets.map(({ name }) => name) });
  log.info('started', { source: connector.source, targets: targets.map(({ name }) => name) });
  const drivers = app.drivers(emit);
  const parts = {
    connector,
    ledger,
    drivers,
    clock,
    random,
    log,
    emit,
    reconcileEveryMs: config.reconcile.everyMs,
    auditEveryMs: config.reconcile.auditMs,
    targets,
  };
  await runPipeline(parts, AbortSignal.any([signal, once.signal]), deadline);
  out.event('stopped');
  log.info('stopped');
  if (options.once !== true || !once.signal.aborted) return 0;
  return targets.some(({ name }) => ledger.totals(name).parked > 0) ? 3 : 0;
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
