import { PushError } from '../errors/errors.ts';
import type { LogFields } from '../runtime/log.ts';
import { looksSecret, type Secrets } from '../runtime/secrets.ts';

type Options = {
  readonly secrets: Secrets;
  /** Whether errors keep their stack traces. */
  readonly withStacks: boolean;
};

const DEEPEST = 6;

/** Fields as plain JSON without secrets: by value wherever a known secret stands, by name for keys that promise one. */
export const loggable = (fields: LogFields, options: Options): Record<string, unknown> =>
  Object.fromEntries(entries(Object.entries(fields), options, 0));

function plain(value: unknown, options: Options, depth: number): unknown {
  if (typeof value === 'string') return options.secrets.mask(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (depth >= DEEPEST) return '…';
  if (value instanceof Error) return plainError(value, options, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? String(value) : value.toISOString();
  if (value instanceof Map) return Object.fromEntries(entries([...value], options, depth));
  if (Array.isArray(value) || value instanceof Set) return [...value].map((item) => plain(item, options, depth + 1));
  return Object.fromEntries(entries(Object.entries(value), options, depth));
}

const entries = (pairs: readonly (readonly [unknown, unknown])[], options: Options, depth: number) =>
  pairs
    .filter(([, value]) => value !== undefined)
    .map(([key, value]): [string, unknown] => {
      const name = String(key);
      return [name, typeof value === 'string' && looksSecret(name) ? '***' : plain(value, options, depth + 1)];
    });

function plainError(error: Error, options: Options, depth: number): unknown {
  const mask = (text: string) => options.secrets.mask(text);
  return {
    ...(error instanceof PushError ? { code: error.code, fix: mask(error.fix) } : { name: error.name }),
    message: mask(error.message),
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, options, depth + 1) }),
    ...(options.withStacks && error.stack !== undefined ? { stack: mask(error.stack) } : {}),
  };
}
