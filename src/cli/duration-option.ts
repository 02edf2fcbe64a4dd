import { PushError } from '../errors/errors.ts';
import { duration } from '../runtime/schema.ts';

/** A duration on the command line, such as `30s` or `2m`, in ms. Throws `USAGE`. */
export function durationOption(option: string, text: string): number {
  const parsed = duration().safeParse(text);
  if (parsed.success) return parsed.data;
  throw new PushError('USAGE', `${option} ${text}: ${parsed.error.issues[0]?.message ?? 'not a duration'}.`);
}
