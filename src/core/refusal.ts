import type { ParkCode, RefusalReason } from './types.ts';

/**
 * `table`: the table's own fault, so its entry is parked after `retries` more tries and bothers nobody else.
 * `target`: nothing can be delivered to this catalog until somebody acts, so every lane waits and none is parked.
 */
export type Refusal =
  | { readonly scope: 'table'; readonly retries: number; readonly park: ParkCode }
  | { readonly scope: 'target' };

export const REFUSALS: Readonly<Record<RefusalReason, Refusal>> = {
  // A file that can't be read may be a hiccup of the object store, so these are tried again.
  'metadata-missing': { scope: 'table', retries: 3, park: 'METADATA_MISSING' },
  'metadata-unreadable': { scope: 'table', retries: 3, park: 'METADATA_UNREADABLE' },
  'metadata-invalid': { scope: 'table', retries: 0, park: 'METADATA_INVALID' },
  'location-not-allowed': { scope: 'table', retries: 0, park: 'LOCATION_NOT_ALLOWED' },
  'name-not-addressable': { scope: 'table', retries: 0, park: 'NAME_NOT_ADDRESSABLE' },
  unrecognized: { scope: 'table', retries: 5, park: 'REFUSED' },
  'not-authorized': { scope: 'target' },
  'internal-catalog': { scope: 'target' },
  'no-such-catalog': { scope: 'target' },
  'no-such-realm': { scope: 'target' },
};
