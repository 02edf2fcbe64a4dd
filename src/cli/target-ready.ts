import { ERRORS, PushError, type ErrorCode } from '../errors/errors.ts';
import type { Target } from '../polaris/target.ts';

/** Looks at a target before it is relied on. Throws `PushError` for the first thing that is wrong, with its fix. */
export async function assertReady(target: Target, signal: AbortSignal): Promise<void> {
  for await (const { level, subject, detail, fix, code } of target.check(signal)) {
    if (level !== 'error') continue;
    const known = code !== undefined && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'TARGET_NOT_READY';
    throw new PushError(known, `Target ${target.name}, ${subject}: ${detail}`, { fix });
  }
}
