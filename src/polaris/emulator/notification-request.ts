import { parseTableMetadata } from './table-metadata.ts';
import { malformedJson, wrongShape } from './reply.ts';

/** A notification as Polaris's JSON binding understands it. Everything may be missing: the consequences come later. */
export type NotificationRequest = {
  readonly type: WireType | undefined;
  readonly payload: NotificationPayload | undefined;
};

export type NotificationPayload = {
  readonly timestamp: bigint | undefined;
  readonly metadataLocation: string | undefined;
  readonly tableName: string | undefined;
  readonly tableUuid: string | undefined;
};

export type WireType = (typeof TYPES)[number];

/** In the order of Polaris's enum: an integer is taken as an index into it. */
const TYPES = ['UNKNOWN', 'CREATE', 'UPDATE', 'DROP', 'VALIDATE'] as const;
const MAX_LONG = 2n ** 63n - 1n;
const MIN_LONG = -(2n ** 63n);

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Parses a body; undefined for an empty one and for `null`. Integers beyond 2^53 become bigints, so that a timestamp
 * of 2^63-1 stays exact. Throws 400, with an error for what is no JSON and without a body for JSON of the wrong shape.
 */
export function parseNotification(text: string): NotificationRequest | undefined {
  const body = parseJson(text);
  if (body === undefined || body === null) return undefined;
  if (!isObject(body)) throw wrongShape();
  return { type: wireType(body['notification-type']), payload: payload(body['payload']) };
}

/** A JSON body with exact integers; undefined for an empty one. Throws 400 when it isn't JSON. */
export function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text, exactInteger as (this: unknown, key: string, value: unknown) => unknown);
  } catch {
    throw malformedJson();
  }
}

function exactInteger(this: unknown, _key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function payload(value: unknown): NotificationPayload | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw wrongShape();
  if (value['metadata'] !== undefined && value['metadata'] !== null) assertMetadata(value['metadata']);
  return {
    timestamp: long(value['timestamp']),
    metadataLocation: string(value['metadata-location']),
    tableName: string(value['table-name']),
    tableUuid: string(value['table-uuid']),
  };
}

/** Metadata inside of a notification is parsed, and then ignored: the file is what counts. */
function assertMetadata(value: unknown): void {
  try {
    parseTableMetadata(value);
  } catch {
    throw malformedJson();
  }
}

function wireType(value: unknown): WireType | undefined {
  if (value === undefined || value === null) return undefined;
  const type = typeof value === 'number' ? TYPES[value] : TYPES.find((name) => name === value);
  if (type === undefined) throw wrongShape();
  return type;
}

/** Jackson's coercions to a Java long: fractions are cut off, numeric text is taken, 2^63 is an error of the parser. */
function long(value: unknown): bigint | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') {
    if (!/^\s*[-+]?\d+\s*$/.test(value)) throw wrongShape();
    return inRange(BigInt(value.trim().replace(/^\+/, '')), wrongShape);
  }
  if (typeof value === 'bigint') return inRange(value, malformedJson);
  if (typeof value !== 'number') throw wrongShape();
  return inRange(BigInt(Math.trunc(value)), malformedJson);
}

function inRange(value: bigint, refuse: () => Error): bigint {
  if (value > MAX_LONG || value < MIN_LONG) throw refuse();
  return value;
}

function string(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'object') throw wrongShape();
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
}
