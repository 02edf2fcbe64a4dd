import { visible } from '../runtime/visible.ts';

const COLOURS = { debug: 90, info: 32, warn: 33, error: 31 } as const;

type Line = {
  readonly level: keyof typeof COLOURS;
  readonly time: string;
  readonly event: string;
};

/** A log line for people: `12:00:01 INFO  slot-created slot=polaris_push`. The time is local. Ends with a line feed. */
export function textLine({ level, time, event, ...fields }: Line, colours: boolean): string {
  const clock = new Date(time).toTimeString().slice(0, 8);
  const name = level.toUpperCase().padEnd(5);
  const head = `${clock} ${colours ? `\u001B[${COLOURS[level]}m${name}\u001B[0m` : name} ${event}`;
  return `${[head, ...Object.entries(fields).map(([key, value]) => `${key}=${visible(shown(value))}`)].join(' ')}\n`;
}

/** Text with blanks or quotes is quoted, so that a line can be read back; an error is its message. */
function shown(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\p{C}]+$/u.test(value) ? value : JSON.stringify(value);
  if (isError(value)) return JSON.stringify(value.message) + (value.stack === undefined ? '' : `\n${value.stack}`);
  return JSON.stringify(value) ?? '';
}

const isError = (value: unknown): value is { readonly message: string; readonly stack?: string | undefined } =>
  typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';
