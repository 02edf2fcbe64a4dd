/**
 * What a `Retry-After` header asks for, ms: seconds, or a date, which counts from `nowMs` (RFC 9110 section 10.2.3).
 * Undefined when it asks for nothing that can be understood.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const asked = header?.trim();
  if (asked === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(asked)) return Number(asked) * 1000;
  // Every date of HTTP begins with the day of the week; Date.parse() makes a date of `-5`, too.
  if (!/^[A-Za-z]/.test(asked)) return undefined;
  const waitMs = Date.parse(asked) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}
