import { Command } from 'commander';
import type { Finding } from '../core/finding.ts';
import { ERRORS, PushError } from '../errors/errors.ts';
import type { CommandContext, ExitCode } from './context.ts';
import { asPushError } from './error-report.ts';
import type { Frame } from './frame.ts';
import { wrap, type Out } from './terminal.ts';
import { count } from './wording.ts';

/** `check`: the preflight of source and targets. */
export const checkCommand = (frame: Frame): Command =>
  frame.configured(
    new Command('check')
      .description(
        'Look at everything that the agent needs of the source and of each target, and tell what is missing, with its fix. Changes nothing.',
      )
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push check --config agent.yaml
  $ polaris-push check --config agent.yaml --json | jq 'select(.level == "error")'

Exits with 3 when something is wrong, with 4 when the source or a target can't
be reached or refuses the agent. Warnings alone exit with 0.
`,
      ),
    check,
  );

async function check(context: CommandContext): Promise<ExitCode> {
  const { out, signal } = context;
  const findings: Finding[] = [];
  for await (const group of checks(context)) {
    out.line(out.paint.bold(group.title));
    try {
      for await (const finding of group.findings) {
        findings.push(finding);
        showFinding(finding, out);
        out.event('finding', { of: group.name, ...finding });
      }
    } catch (error) {
      if (signal.aborted) throw error;
      // A check reports instead of throwing; what it throws all the same hides nothing of the others.
      const { code, message, fix } = asPushError(error);
      const finding: Finding = { level: 'error', subject: 'check', detail: message, fix, code };
      findings.push(finding);
      showFinding(finding, out);
      out.event('finding', { of: group.name, ...finding });
    }
    out.line();
  }
  signal.throwIfAborted();
  return conclude(findings, out);
}

type Group = { readonly name: string; readonly title: string; readonly findings: AsyncIterable<Finding> };

/** The source first, then every target, then the ledger. */
async function* checks(context: CommandContext): AsyncIterable<Group> {
  const { config, loaded, clock, random, log, signal } = context;
  const { openTargets } = await import('../app.ts');
  const { kind } = config.source;
  const definition = loaded.connector;
  yield {
    name: 'source',
    title: `source (${kind})`,
    findings: definition.check(config.source, { clock, log }, signal),
  };
  await using opened = new AsyncDisposableStack();
  const targets = await openTargets({ config, definition, clock, random, log });
  for (const target of targets) opened.use(target);
  for (const target of targets)
    yield { name: target.name, title: `target ${target.name}`, findings: target.check(signal) };
  yield { name: 'ledger', title: 'ledger', findings: checkLedger(context) };
}

/** Reads only: a ledger that doesn't exist yet is not created. */
async function* checkLedger({ config }: CommandContext): AsyncGenerator<Finding> {
  const { openReader } = await import('../app.ts');
  const { path } = config.ledger;
  try {
    using ledger = openReader(config);
    const owner = ledger.owner();
    const running = owner?.alive === true ? `; an agent is running, process ${owner.pid} on ${owner.host}` : '';
    const entries = ledger.targets().reduce((sum, target) => sum + ledger.totals(target).entries, 0);
    yield ledgerFinding(`${path} knows ${count(entries, 'table')}${running}`);
  } catch (error) {
    if (!(error instanceof PushError) || error.code !== 'LEDGER_MISSING') throw error;
    yield ledgerFinding(`${path} does not exist yet; the first start creates it`);
  }
}

const ledgerFinding = (detail: string): Finding => ({ level: 'ok', subject: 'path', detail });

const SIGNS = { ok: '✓', warning: '!', error: '✗' } as const;

function showFinding({ level, subject, detail, fix, code }: Finding, out: Out): void {
  const { paint, width } = out;
  const colour = { ok: paint.green, warning: paint.yellow, error: paint.red }[level];
  // The code is what the reference page of errors is looked up by.
  const what = code === undefined ? subject : `${subject} [${code}]`;
  // Aligned by what is seen: the sign's escape codes have no width.
  out.line(`  ${colour(SIGNS[level])} ${wrap(`${what}: ${detail}`, width, '    ')}`);
  if (fix === undefined) return;
  const [advice = '', ...commands] = fix.split('\n');
  const first = `fix: ${advice}`;
  // SQL, JSON and commands verbatim, as they are there to be copied.
  out.line(`      ${/[;{]/.test(advice) ? first : wrap(first, width, '      ')}`);
  for (const command of commands) out.line(`      ${command}`);
}

function conclude(findings: readonly Finding[], out: Out): ExitCode {
  const at = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  const [ok, warnings, errors] = [at('ok'), at('warning'), at('error')];
  out.line(`${ok} ok, ${count(warnings, 'warning')}, ${count(errors, 'error')}`);
  out.event('checked', { ok, warnings, errors });
  return exitCodeOf(findings);
}

/** 4 if a system could not be reached or refused us, 3 if anything else is wrong; warnings are no reason to fail. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  const wrong = findings.filter(({ level }) => level === 'error');
  if (wrong.length === 0) return 0;
  return wrong.some(({ code }) => code !== undefined && ACCESS_CODES.has(code)) ? 4 : 3;
}

const ACCESS_CODES: ReadonlySet<string> = new Set(
  Object.entries(ERRORS).flatMap(([code, { exitCode }]) => (exitCode === 4 ? [code] : [])),
);
