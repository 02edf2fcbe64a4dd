import type { RefusalReason } from '../core/types.ts';
import { PushError, type ErrorCode } from '../errors/errors.ts';
import type { Failure } from './classify.ts';

const REFUSAL_CODES: Readonly<Record<RefusalReason, ErrorCode>> = {
  'not-authorized': 'POLARIS_FORBIDDEN',
  'no-such-catalog': 'POLARIS_NO_SUCH_CATALOG',
  'no-such-realm': 'POLARIS_NO_SUCH_REALM',
  'internal-catalog': 'POLARIS_CATALOG_INTERNAL',
  'metadata-missing': 'POLARIS_REFUSED',
  'metadata-unreadable': 'POLARIS_REFUSED',
  'metadata-invalid': 'POLARIS_REFUSED',
  'location-not-allowed': 'POLARIS_REFUSED',
  'name-not-addressable': 'POLARIS_REFUSED',
  unrecognized: 'POLARIS_REFUSED',
};

/** The error for a caller who can't go on without the answer. `what` says what was asked, e.g. `Listing its tables`. */
export function toError(failure: Failure, target: string, what: string): PushError {
  return new PushError(codeOf(failure), `Target ${target}: ${what}: ${failure.message}`);
}

function codeOf(failure: Failure): ErrorCode {
  switch (failure.kind) {
    case 'unauthorized':
      return 'POLARIS_UNAUTHORIZED';
    case 'refused':
      return REFUSAL_CODES[failure.reason];
    case 'stale':
    case 'lost-race':
    case 'name-taken':
      return 'POLARIS_REFUSED';
    case 'unavailable':
    case 'unknown':
      return 'POLARIS_UNAVAILABLE';
  }
}
