import { Command } from 'commander';
import { openSource, openTargets } from '../app.ts';
import { REFUSALS } from '../core/refusal.ts';
import { showTable } from '../core/table.ts';
import type { Outcome } from '../core/types.ts';
import { PARKED } from '../errors/parked.ts';
import { validate, type Validation } from '../pipeline/validate.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { progress } from './progress.ts';
import { assertReady } from './target-ready.ts';
import { wrap } from './terminal.ts';

/** VALIDATEs under way together; measured, Polaris serves 2,500 a second at 8. */
const CONCURRENCY = 8;
/** Tables named per cause; all of them with --json. */
const EXAMPLES = 3;

/** `validate`: would Polaris take each table? */
export const validateCommand = (frame: Frame): Command =>
  frame.configured(
    new Command('validate')
      .description(
        'Send a VALIDATE for every table: finds forbidden locations and missing privileges before anything is written. Changes nothing, and does not read metadata files.',
      )
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push validate --config agent.yaml
  $ polaris-push validate --config agent.yaml --json | jq 'select(.outcome == "refused")'

Exits with 3 when Polaris would refuse a table.
`,
      ),
    run,
  );

async function run(context: CommandContext): Promise<ExitCode> {
  const { config, loaded, clock, random, log, out, signal } = context;
  const deps = { config, definition: loaded.connector, clock, random, log };
  await using opened = new AsyncDisposableStack();
  const targets = await openTargets(deps);
  for (const target of targets) opened.use(target);
  for (const target of targets) await assertReady(target, signal);
  const connector = opened.use(await openSource(deps));
  const report = new Report();
  {
    using bar = progress(context, 'tables');
    for await (const validation of validate({ connector, targets, concurrency: CONCURRENCY }, signal)) {
      bar.expect(1);
      bar.tick();
      report.add(validation);
      out.event('validated', fieldsOf(validation));
    }
  }
  signal.throwIfAborted();
  report.show(context);
  return report.failed ? 3 : 0;
}

const fieldsOf = (validation: Validation) => {
  const { target, table } = validation;
  if ('skipped' in validation)
    return { target, table: showTable(table), outcome: 'skipped', detail: validation.skipped };
  const { outcome } = validation;
  const { kind: word, ...rest } = outcome;
  return { target, table: showTable(table), outcome: word, ...rest };
};

type Cause = { readonly what: string; readonly fix?: string | undefined; readonly tables: string[]; count: number };

/** Groups what Polaris refused by cause, since a thousand tables usually have one. */
class Report {
  readonly #causes = new Map<string, Cause>();
  readonly #skipped = new Map<string, number>();
  #valid = 0;

  get failed(): boolean {
    return this.#causes.size > 0;
  }

  add(validation: Validation): void {
    if ('skipped' in validation) {
      this.#skipped.set(validation.skipped, (this.#skipped.get(validation.skipped) ?? 0) + 1);
      return;
    }
    const { target, table, outcome } = validation;
    if (outcome.kind === 'admitted') {
      this.#valid++;
      return;
    }
    const { what, fix } = causeOf(outcome);
    const key = `${target}: ${what}`;
    const cause = this.#causes.get(key) ?? { what: key, fix, tables: [], count: 0 };
    cause.count++;
    if (cause.tables.length < EXAMPLES) {
      cause.tables.push('message' in outcome ? `${showTable(table)}: ${outcome.message}` : showTable(table));
    }
    this.#causes.set(key, cause);
  }

  show({ out }: CommandContext): void {
    const { paint, width } = out;
    for (const { what, fix, tables, count } of this.#causes.values()) {
      out.line(`${paint.red('✗')} ${wrap(`${what} (${count} ${count === 1 ? 'table' : 'tables'})`, width - 2, '  ')}`);
      // Before the tables, which may be many lines of the same.
      if (fix !== undefined) out.line(`  ${wrap(`fix: ${fix}`, width, '  ')}`);
      for (const table of tables) out.line(`    ${wrap(table, width, '      ')}`);
      if (count > tables.length) out.line(paint.dim(`    … and ${count - tables.length} more; --json names them all`));
      out.line();
    }
    const refused = [...this.#causes.values()].reduce((sum, { count }) => sum + count, 0);
    const skipped = [...this.#skipped.values()].reduce((sum, n) => sum + n, 0);
    for (const [reason, n] of this.#skipped) out.line(paint.dim(`- not mirrored: ${reason} (${n})`));
    out.line(`${this.#valid} valid, ${refused} refused, ${skipped} not mirrored`);
    out.event('summary', { valid: this.#valid, refused, skipped });
  }
}

function causeOf(outcome: Exclude<Outcome, { kind: 'admitted' }>): {
  readonly what: string;
  readonly fix?: string | undefined;
} {
  if (outcome.kind === 'refused') {
    const refusal = REFUSALS[outcome.reason];
    if (refusal.scope === 'table') return { what: PARKED[refusal.park].summary, fix: PARKED[refusal.park].fix };
    return { what: outcome.message, fix: '`polaris-push check` says what to do.' };
  }
  return {
    what: `no verdict: ${outcome.kind}`,
    fix: 'Run it again; `polaris-push check` says whether Polaris is well.',
  };
}
