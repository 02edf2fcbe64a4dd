import { showTable } from '../../src/core/table.ts';
import type { CompactionPlan } from './compaction-plan.ts';
import { hopsOf, type Hops } from './hops.ts';
import type { Handled, SkipReason } from './service.ts';

/** What is told of a handled event, as it goes on a line of `--json`. */
export type Told = {
  readonly table: string;
  /** Of the notification. */
  readonly type: 'CREATE' | 'UPDATE' | 'DROP';
  readonly timestamp: number;
  /** As the event has it; a plan may already be for a later one. */
  readonly metadata_location: string | undefined;
  readonly ms: Hops;
  readonly plan?: CompactionPlan | undefined;
  readonly reason?: SkipReason | undefined;
  readonly detail?: string | undefined;
};

export function tellOf(handled: Handled): Told {
  const { event, decision } = handled;
  const { namespace, table, type, timestamp } = event.data;
  return {
    table: showTable({ namespace, name: table }),
    type,
    timestamp,
    metadata_location: event.data['metadata-location'],
    ms: hopsOf(handled),
    ...(decision.kind === 'plan' ? { plan: decision.plan } : { reason: decision.reason, detail: decision.detail }),
  };
}

/** For people: a line, what to run if something is to be done, and the times. Nothing in a name moves the cursor. */
export function describe({ table, type, plan, reason, detail, ms }: Told): string[] {
  const head = `${type.padEnd(6)} ${table}`;
  const lines =
    plan === undefined
      ? [`${head}: skipped, ${reason}: ${detail}`]
      : [`${head}: compact, ${describePlan(plan)}`, ...plan.call.split('\n').map((line) => `    ${line}`)];
  return [...lines, `    ${describeHops(ms)}`].map(printable);
}

/** `by policy sales.small, version 0 (inherited); 12 data files of 3.4 MiB, at least 1 at the target size`. */
export function describePlan({ policy, before, leastFiles, ignored }: CompactionPlan): string {
  const by = `by policy ${policy.name}, version ${policy.version}${policy.inherited ? ' (inherited)' : ''}`;
  const files =
    before === undefined
      ? ''
      : `; ${before.files} data files of ${showBytes(before.bytes)}, at least ${leastFiles} at the target size`;
  const unused = ignored.length === 0 ? '' : `; not for Spark: ${ignored.join(', ')}`;
  return by + files + unused;
}

export function describeHops({ visible, received, policies, decided, total }: Hops): string {
  const steps = [
    `commit → visible ${showMs(visible)}`,
    `→ event ${showMs(received)}`,
    `→ policies ${showMs(policies)}`,
    `→ decision ${showMs(decided)}`,
  ];
  return `${steps.join(' ')}${total === undefined ? '' : `; ${showMs(total)} in all`}`;
}

const showMs = (value: number | undefined): string => (value === undefined ? '-' : `${Math.round(value)} ms`);

function showBytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?');
