import type { Notification } from '../core/types.ts';

/**
 * The body of a notification. Polaris 1.7.0 compares neither name nor uuid with anything and admits a notification
 * without them (recorded), but the fields are required by its API description, so what is known is sent.
 * A timestamp is a safe integer, which JSON writes digit by digit.
 */
export function encodeNotification({ type, table, timestamp, metadataLocation, tableUuid }: Notification): string {
  return JSON.stringify({
    'notification-type': type,
    payload: {
      'table-name': table.name,
      timestamp,
      'table-uuid': tableUuid,
      'metadata-location': metadataLocation,
    },
  });
}

/** The metadata location that a loadTable answer begins with, though the rest of it be cut off; undefined when it doesn't. */
export function leadingMetadataLocation(body: string): string | undefined {
  const [, literal] = /^\s*\{\s*"metadata-location"\s*:\s*("(?:[^"\\]|\\.)*")/s.exec(body) ?? [];
  if (literal === undefined) return undefined;
  try {
    return JSON.parse(literal) as string;
  } catch {
    return undefined;
  }
}
