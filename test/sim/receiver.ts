import { keyOf, showTable } from '../../src/core/table.ts';
import { tableEvent, type TableEvent } from '../../src/forward/cloud-event.ts';
import type { OutgoingEvent, SinkAnswer } from '../../src/forward/sink.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Choose } from './choices.ts';

export const SINK = 'receiver';

/**
 * Who gets the events of admitted notifications, with troubles of its own. Its choices are apart from those of the rest,
 * as nothing that it does may change what else happens.
 */
export class SimReceiver {
  /** Events that wait before newer ones take their tables' places; 0: always. */
  readonly limit: number;
  readonly #choose: Choose;
  readonly #last = new Map<string, TableEvent['data']>();
  /** Takes nothing, or always answers too late. */
  trouble: 'down' | 'silent' | undefined;
  received = 0;

  constructor(choose: Choose) {
    this.#choose = choose;
    this.limit = [0, 0, 3, 1000][choose(4)]!;
  }

  /** Between two turns of anything: it comes and goes as it likes, and so it does not at quiet moments. */
  turn(isCalm: boolean): void {
    if (isCalm) this.trouble = undefined;
    else if (this.#choose(40) === 0) this.trouble = ([undefined, 'down', 'silent'] as const)[this.#choose(3)];
  }

  tookMs(): number {
    return this.#choose(10) === 0 ? this.#choose(20_000) : this.#choose(50);
  }

  get(event: OutgoingEvent): SinkAnswer {
    if (this.trouble === 'down') return { kind: 'failed', detail: 'nobody listens' };
    const { id, data } = tableEvent.parse(JSON.parse(event.body));
    if (id !== event.id) throw new Error(`The event ${id} is called ${event.id}.`);
    const place = placeOf(data.target, keyOf({ namespace: data.namespace, name: data.table }));
    // What an agent sent before it died may arrive after what the next one sent: as receivers should, it goes by time.
    if ((this.#last.get(place)?.timestamp ?? 0) < data.timestamp) this.#last.set(place, data);
    this.received++;
    return this.trouble === 'silent' ? { kind: 'failed', detail: 'no answer in time' } : { kind: 'accepted' };
  }

  /** What it wasn't told of, though Polaris is known to have admitted it; at a moment when nothing waits. */
  missing(ledger: Ledger, targets: readonly string[]): readonly string[] {
    return targets.flatMap((target) =>
      [...ledger.entries(target)].flatMap(({ table, delivered, doubt }) => {
        // In doubt, the ledger doesn't know that it was admitted.
        if (delivered === undefined || doubt) return [];
        const last = this.#last.get(placeOf(target, keyOf(table)));
        const isTold =
          last?.timestamp === delivered.timestamp &&
          last.type === delivered.type &&
          (delivered.type === 'DROP' || last['metadata-location'] === delivered.metadataLocation);
        const heard = last === undefined ? 'nothing' : `${last.type} ${last.timestamp}`;
        return isTold
          ? []
          : [
              `${target} admitted ${delivered.type} ${delivered.timestamp} of ${showTable(table)}; the last event is ${heard}`,
            ];
      }),
    );
  }
}

const placeOf = (target: string, table: string): string => `${target} ${table}`;
