import { nextTimestamp } from '../core/timestamp.ts';
import type { Outcome, TableIdentifier, TableState } from '../core/types.ts';
import type { Connector } from '../connector/connector.ts';
import type { Target } from '../polaris/target.ts';
import { Gate } from '../runtime/gate.ts';

/** What a VALIDATE said of one table; `skipped` when there was nothing to validate. */
export type Validation =
  | { readonly target: string; readonly table: TableIdentifier; readonly outcome: Outcome }
  | { readonly target: string; readonly table: TableIdentifier; readonly skipped: string };

export type ValidateParts = {
  readonly connector: Connector;
  readonly targets: readonly Target[];
  /** VALIDATEs under way together, per target. */
  readonly concurrency: number;
};

/**
 * Sends a VALIDATE for every table that the source lists: it finds missing privileges and forbidden locations before
 * anything is written. It changes nothing, and neither reads the metadata file nor sees a view that holds the name.
 * One page of the list at a time, so memory is bounded.
 */
export async function* validate(parts: ValidateParts, signal: AbortSignal): AsyncGenerator<Validation> {
  for await (const page of parts.connector.list(signal)) {
    for (const target of parts.targets) {
      const gate = new Gate(() => parts.concurrency);
      yield* await Promise.all(
        page.map(async (state) => {
          await gate.enter();
          try {
            return await validateOne(state, target, signal);
          } finally {
            gate.leave();
          }
        }),
      );
    }
  }
}

async function validateOne(state: TableState, target: Target, signal: AbortSignal): Promise<Validation> {
  const { table } = state;
  if (state.kind !== 'present') {
    return {
      target: target.name,
      table,
      skipped: state.kind === 'unsupported' ? state.reason : 'gone from the source',
    };
  }
  const { metadataLocation, tableUuid, asOf } = state;
  const timestamp = nextTimestamp(undefined, asOf);
  const outcome = await target.notify({ type: 'VALIDATE', table, timestamp, metadataLocation, tableUuid }, signal);
  return { target: target.name, table, outcome };
}
