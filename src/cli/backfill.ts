import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { App, openReader, openSource, openTargets, selection, type AppDeps } from '../app.ts';
import { showTable } from '../core/table.ts';
import { backfill, plan, results, type BackfillPlan, type BackfillResult } from '../pipeline/backfill.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { ndjsonFile } from './ndjson-file.ts';
import { progress } from './progress.ts';
import { assertReady } from './target-ready.ts';

type BackfillOptions = {
  readonly dryRun?: boolean | undefined;
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly result?: string | undefined;
};

/** `backfill`: the job. */
export const backfillCommand = (frame: Frame): Command =>
  frame.configured<BackfillOptions>(
    new Command('backfill')
      .description(
        'Push every table of the source once. What Polaris already serves is not sent again; an interrupted backfill goes on where it stopped. The agent must not be running on the same ledger: its start does the same.',
      )
      .option('--dry-run', 'tell what would be sent, and change nothing')
      .option('--include <pattern...>', "only tables that match, such as 'sales.*'; besides tables.include")
      .option('--exclude <pattern...>', 'not the tables that match; besides tables.exclude')
      .option('--result <file>', 'write what became of each table to this file, one JSON object a line')
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push backfill --config agent.yaml --dry-run
  $ polaris-push backfill --config agent.yaml --include 'sales.*' --result out.ndjson

Exits with 3 when tables are parked.
`,
      ),
    (context, options) => (options.dryRun === true ? dryRun(context, options) : run(context, options)),
  );

async function run(context: CommandContext, options: BackfillOptions): Promise<ExitCode> {
  const { out, signal, deadline } = context;
  const deps = depsOf(context);
  await using app = await App.open(deps, selection(options));
  await app.claim();
  for (const target of app.targets) await assertReady(target, signal);
  const tally = new Tally();
  await using file = await ndjsonFile('--result', options.result);
  using bar = progress(context, 'tables');
  const report = (result: BackfillResult) => {
    tally.count(result.target, result.result);
    const line = { ...result, table: showTable(result.table) };
    file.write(JSON.stringify(line));
    out.event('table', line);
    if (result.result !== 'unchanged' || result.detail !== undefined) bar.tick();
  };
  const toResult = results(report);
  const drivers = app.drivers((event) => toResult(event), { adopt: true });
  const { connector, ledger } = app;
  await backfill({ connector, ledger, drivers, report, expect: (tables) => bar.expect(tables) }, signal, deadline);
  bar[Symbol.dispose]();
  if (signal.aborted)
    return interrupted(
      context,
      drivers.reduce((sum, driver) => sum + driver.active, 0),
    );
  tally.show(out);
  return tally.has('parked') ? 3 : 0;
}

function interrupted({ out, signal }: CommandContext, left: number): never {
  out.line(`Interrupted with ${left} tables to go; run the same command again to go on.`);
  throw signal.reason;
}

async function dryRun(context: CommandContext, options: BackfillOptions): Promise<ExitCode> {
  const { out, signal } = context;
  const deps = depsOf(context);
  await using opened = new AsyncDisposableStack();
  const connector = opened.use(await openSource(deps, selection(options)));
  const targets = await openTargets(deps);
  for (const target of targets) opened.use(target);
  for (const target of targets) await assertReady(target, signal);
  const ledger = existsSync(context.config.ledger.path) ? opened.use(openReader(context.config)) : undefined;
  const tally = new Tally();
  await using file = await ndjsonFile('--result', options.result);
  for await (const page of plan({ connector, ledger, targets, concurrency: 8 }, signal)) {
    for (const step of page) {
      tally.count(step.target, step.plan);
      const line = { ...step, table: showTable(step.table) };
      file.write(JSON.stringify(line));
      out.event('plan', line);
      if (step.plan === 'create' || step.plan === 'update') out.line(planned(step));
    }
  }
  tally.show(out);
  out.line('Nothing was sent or recorded.');
  return 0;
}

const planned = ({ plan: word, table, target }: BackfillPlan): string =>
  `would ${word.padEnd(6)} ${showTable(table)} on ${target}`;

const depsOf = ({ config, loaded, clock, random, log }: CommandContext): AppDeps => ({
  config,
  definition: loaded.connector,
  clock,
  random,
  log,
});

/** How many tables of each target came to what. */
class Tally {
  readonly #counts = new Map<string, Map<string, number>>();

  count(target: string, what: string): void {
    const counts = this.#counts.get(target) ?? new Map<string, number>();
    counts.set(what, (counts.get(what) ?? 0) + 1);
    this.#counts.set(target, counts);
  }

  has(what: string): boolean {
    return [...this.#counts.values()].some((counts) => counts.has(what));
  }

  show(out: CommandContext['out']): void {
    if (this.#counts.size === 0) out.line('The source has no tables in scope.');
    for (const [target, counts] of this.#counts) {
      out.line(`${target}: ${[...counts].map(([what, n]) => `${n} ${what}`).join(', ')}`);
      out.event('summary', { target, ...Object.fromEntries(counts) });
    }
  }
}
