import { REFUSALS } from '../core/refusal.ts';
import type { Outcome } from '../core/types.ts';

/** Whether any table would have got this answer: it is about the target, not about one table. */
export function concernsTarget(outcome: Outcome): boolean {
  switch (outcome.kind) {
    case 'unavailable':
    case 'unauthorized':
    case 'unknown':
      return true;
    case 'refused':
      return REFUSALS[outcome.reason].scope === 'target';
    case 'admitted':
    case 'stale':
    case 'lost-race':
    case 'name-taken':
      return false;
  }
}
