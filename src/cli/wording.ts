import type { EpochMillis } from '../core/types.ts';

/** `1,204`: the same everywhere, whatever the language of the machine. */
export const number = (amount: number): string => amount.toLocaleString('en');

/** `1 table`, `2 tables`. */
export const count = (amount: number, noun: string): string => `${number(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** A name that fills screens is cut; --json has all of it. */
export const short = (name: string): string => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name);
const LONGEST_NAME = 160;

/** `3 h ago`, in the largest unit that still says something. */
export function ago(then: EpochMillis, now: EpochMillis): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}
