import { expect } from 'vitest';

/** Vitest's asymmetric matchers, which are `any` by declaration, as values that may stand anywhere. */
export const containing = (text: string): unknown => expect.stringContaining(text);
export const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
export const aNumber: unknown = expect.any(Number);

/** What a promise rejects with, watched from now on; undefined when it doesn't. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
