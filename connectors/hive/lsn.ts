import type { Position } from '../../src/core/types.ts';

/** A place in PostgreSQL's write-ahead log: the number of bytes before it. */
export type Lsn = bigint;

const HALF = 32n;
const LOW = 0xffff_ffffn;

/** Reads `16/B374D848`, zero-padded or not. Throws `RangeError` on anything else. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new RangeError(`Not a log sequence number: ${text}`);
  return (BigInt(`0x${match[1]}`) << HALF) | BigInt(`0x${match[2]}`);
}

/** As PostgreSQL prints it: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> HALF).toString(16).toUpperCase()}/${(lsn & LOW).toString(16).toUpperCase()}`;
}

export function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

/**
 * What to hand to `LogicalReplicationService.acknowledge()` so that exactly `lsn` goes out: it adds 1 to what it is given.
 * The extra byte is not harmless. PostgreSQL skips every transaction whose commit record starts before the confirmed LSN,
 * and the next commit record can start exactly where the last one ended, so confirming one byte more loses it at the next
 * start of the stream. It also keeps a fast shutdown of the server waiting, which compares for equality.
 */
export function acknowledgementOf(lsn: Lsn): string {
  return formatLsn(lsn > 0n ? lsn - 1n : 0n);
}

/**
 * The position after everything before `lsn`: `00000001/00000016/B374D848`, so that two of one server compare with `<`.
 * The timeline leads, because after a failover the same LSN names other transactions.
 */
export function formatPosition(timeline: number, lsn: Lsn): Position {
  return [BigInt(timeline), lsn >> HALF, lsn & LOW]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('/');
}

/** Undefined for a text that is no position of this connector. */
export function parsePosition(position: Position): { readonly timeline: number; readonly lsn: Lsn } | undefined {
  const match = /^([0-9A-F]{8})\/([0-9A-F]{8}\/[0-9A-F]{8})$/.exec(position);
  if (match === null) return undefined;
  return { timeline: Number.parseInt(match[1] ?? '', 16), lsn: parseLsn(match[2] ?? '') };
}
