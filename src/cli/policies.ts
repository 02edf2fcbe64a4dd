import { Command, Option } from 'commander';
import {
  openPolicies,
  parseContent,
  policyOrigins,
  type ApplicablePolicy,
  type PolicyContent,
  type PolicyOrigin,
} from '../app.ts';
import { showTable } from '../core/table.ts';
import type { CommandContext, ExitCode } from './context.ts';
import type { Frame } from './frame.ts';
import { oneTarget, tableArgument } from './table-argument.ts';
import { wrap, type Out } from './terminal.ts';

type PoliciesOptions = {
  readonly table: string;
  readonly type?: string | undefined;
  readonly target?: string | undefined;
};

/** `policies`: what a maintenance service would be told of a table. */
export const policiesCommand = (frame: Frame): Command =>
  frame.configured<PoliciesOptions>(
    new Command('policies')
      .description(
        'Show which policies of Polaris apply to a table, and what each is attached to: the table, a namespace around it, or the catalog. Changes nothing.',
      )
      .requiredOption('--table <table>', 'by its name in Polaris, e.g. sales.orders')
      .option('--type <type>', 'only policies of this type, e.g. system.data-compaction')
      .addOption(new Option('--target <name>', 'needed if there are several'))
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push policies --config agent.yaml --table sales.orders
  $ polaris-push policies --config agent.yaml --table sales.orders --json \\
      | jq 'select(.type == "system.data-compaction").content'

It needs TABLE_READ_PROPERTIES on the catalog; to tell where inherited policies
come from, NAMESPACE_READ_PROPERTIES and CATALOG_READ_PROPERTIES as well.
Exits with 3 when the content of a policy is not JSON.
`,
      ),
    run,
  );

/** A policy with all that is told of it. */
type Row = { readonly policy: ApplicablePolicy; readonly origin: PolicyOrigin; readonly content: PolicyContent };

async function run(context: CommandContext, options: PoliciesOptions): Promise<ExitCode> {
  const { config, clock, log, out, signal } = context;
  const table = tableArgument(options.table);
  const target = oneTarget(config.targets, options.target);
  const filter = { type: options.type };
  await using client = await openPolicies(target, { clock, log });
  const policies = (await client.applicable(table, filter, signal)).toSorted(byTypeAndName);
  const origins = await policyOrigins(client, { table, policies }, filter, signal);
  const rows = policies.map((policy, i): Row => ({
    policy,
    origin: origins[i] ?? { kind: 'unknown' },
    content: parseContent(policy),
  }));
  const unreadable = rows.filter(({ content }) => content.kind === 'invalid').length;
  const told = { target: target.name, table: showTable(table) };
  for (const row of rows) out.event('policy', { ...told, ...fieldsOf(row) });
  out.event('summary', { ...told, policies: rows.length, unreadable });
  show(rows, { ...told, catalog: target.catalog, type: options.type }, out);
  return unreadable > 0 ? 3 : 0;
}

const byTypeAndName = (a: ApplicablePolicy, b: ApplicablePolicy): number =>
  a.type === b.type ? compare(nameOf(a), nameOf(b)) : compare(a.type, b.type);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A policy is named as a table is: by its namespace and its own name. */
const nameOf = ({ namespace, name }: ApplicablePolicy): string => showTable({ namespace, name });

const fieldsOf = ({ policy, origin, content }: Row) => ({
  type: policy.type,
  policy: nameOf(policy),
  version: policy.version,
  inheritable: policy.inheritable,
  inherited: policy.inherited,
  attached_to: {
    type: origin.kind,
    ...(origin.kind === 'namespace' ? { namespace: origin.namespace } : {}),
  },
  description: policy.description ?? null,
  content: content.kind === 'json' ? content.value : null,
  ...(content.kind === 'invalid' ? { error: content.error.message } : {}),
});

type Subject = {
  readonly target: string;
  readonly table: string;
  readonly catalog: string;
  readonly type: string | undefined;
};

function show(rows: readonly Row[], subject: Subject, out: Out): void {
  const { paint, width } = out;
  const { target, table, type } = subject;
  const what = type === undefined ? 'policy' : `policy of type ${type}`;
  if (rows.length === 0) return out.line(`No ${what} applies to ${table} on ${target}.`);
  const plural = rows.length === 1 ? '1 policy applies' : `${rows.length} policies apply`;
  out.line(paint.bold(`${plural} to ${table} on ${target}`));
  const head = ['TYPE', 'POLICY', 'VERSION', 'ATTACHED TO'];
  const cells = rows.map(({ policy, origin }) => [
    policy.type,
    nameOf(policy),
    String(policy.version),
    originText(origin, subject.catalog),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...cells].map((row) => row[i]?.length ?? 0)));
  const aligned = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  out.line(paint.dim(`  ${aligned(head)}`));
  for (const [i, { policy, content }] of rows.entries()) {
    out.line(`  ${aligned(cells[i] ?? [])}`);
    if (policy.description !== undefined) out.line(paint.dim(`    ${wrap(policy.description, width, '    ')}`));
    out.line(`    ${contentText(content, out)}`);
  }
  const denied = rows.find(({ origin }) => origin.kind === 'unknown' && origin.error !== undefined)?.origin;
  if (denied?.kind === 'unknown' && denied.error !== undefined) {
    out.line();
    out.line(`  ${paint.yellow('!')} ${wrap(denied.error.message, width - 4, '    ')}`);
    out.line(`    fix: ${denied.error.fix.replaceAll('\n', '\n    ')}`);
  }
  const broken = rows.filter(({ content }) => content.kind === 'invalid').length;
  const contents = broken === 1 ? 'The content of one policy' : `The contents of ${broken} policies`;
  if (broken > 0) out.line(`\n${contents} cannot be read; the others are not affected.`);
}

function originText(origin: PolicyOrigin, catalog: string): string {
  switch (origin.kind) {
    case 'table':
      return 'the table';
    case 'namespace':
      return `namespace ${origin.namespace.join('.')}`;
    case 'catalog':
      return `catalog ${catalog}`;
    case 'unknown':
      return origin.error === undefined ? 'nothing any more' : 'something around the table';
  }
}

/** On one line, as it is there to be copied. */
function contentText(content: PolicyContent, { paint, width }: Out): string {
  switch (content.kind) {
    case 'json':
      return JSON.stringify(content.value);
    case 'none':
      return paint.dim('no content');
    case 'invalid':
      return `${paint.red('✗')} ${wrap(`[${content.error.code}] ${content.error.message}`, width - 6, '      ')}`;
  }
}
