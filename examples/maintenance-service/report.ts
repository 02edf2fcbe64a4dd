import { hopsOf, type Hops } from './hops.ts';
import type { CompactionPlan } from './compaction-plan.ts';
import type { Handled } from './service.ts';

/** A handled event for people: a line, and with a plan what to run. Names come from others, so nothing in them is obeyed. */
export function describeHandled(handled: Handled): string[] {
  const { event, decision } = handled;
  const head = `${event.data.type.padEnd(6)} ${event.subject}`;
  const lines =
    decision.kind === 'skip'
      ? [`${head}: skipped, ${decision.reason}: ${decision.detail}`]
      : [
          `${head}: compact, ${describePlan(decision.plan)}`,
          ...decision.plan.call.split('\n').map((line) => `    ${line}`),
        ];
  return [...lines, `    ${describeHops(hopsOf(handled))}`].map(printable);
}

/** `by policy sales.small, version 0 (inherited); 12 data files of 3.4 MiB, at least 1 at the target size`. */
export function describePlan({ policy, before, leastFiles, ignored }: CompactionPlan): string {
  const by = `by policy ${policy.name}, version ${policy.version}${policy.inherited ? ' (inherited)' : ''}`;
  const files =
    before === undefined
      ? ''
      : `; ${before.files} data files of ${bytes(before.bytes)}, at least ${leastFiles} at the target size`;
  const unused = ignored.length === 0 ? '' : `; not for Spark: ${ignored.join(', ')}`;
  return by + files + unused;
}

export function describeHops({ visible, received, policies, decided, total }: Hops): string {
  const steps = [
    `commit → visible ${ms(visible)}`,
    `→ event ${ms(received)}`,
    `→ policies ${ms(policies)}`,
    `→ decision ${ms(decided)}`,
  ];
  return `${steps.join(' ')}${total === undefined ? '' : `; ${ms(total)} in all`}`;
}

const ms = (value: number | undefined): string => (value === undefined ? '-' : `${Math.round(value)} ms`);

function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}

const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?');
