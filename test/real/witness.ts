import type { Emulator } from '../../src/polaris/emulator/emulator.ts';
import type { AnsweredRequest } from '../../src/polaris/emulator/options.ts';
import type { Request, SourceTable } from './driver.ts';

type Admitted = { readonly type: 'CREATE' | 'UPDATE' | 'DROP'; readonly table: string; readonly timestamp: bigint };

/** Watches what reaches Polaris, for the rules that no comparison of end states can show. */
export class Witness {
  readonly #admitted: Admitted[] = [];
  #notifications = 0;
  #seen = 0;

  constructor(emulator: Pick<Emulator, 'onRequest'>) {
    emulator.onRequest((request) => this.#take(request));
  }

  /** Notifications that reached Polaris, prechecks included. */
  get notifications(): number {
    return this.#notifications;
  }

  /**
   * What was wrong with the notifications since the last call, during which `requests` were carried out and after which
   * the metastore holds `tables`.
   */
  violations(requests: readonly Request[], tables: readonly SourceTable[]): readonly string[] {
    const fresh = this.#admitted.slice(this.#seen);
    this.#seen = this.#admitted.length;
    const mayLeave = leaving(requests);
    const living = new Set(tables.map(({ table }) => table));
    return fresh
      .filter(({ type, table }) => type === 'DROP' && living.has(table) && !mayLeave(table))
      .map(({ table }) => `${table}: a DROP was sent, though the metastore had the table all the time`);
  }

  /** Rule: the timestamps of one table strictly increase, through restarts, kills, DROPs and re-creations. */
  timestampViolations(): readonly string[] {
    const last = new Map<string, bigint>();
    const found: string[] = [];
    for (const { table, timestamp, type } of this.#admitted) {
      const before = last.get(table);
      if (before !== undefined && timestamp <= before) {
        found.push(`${table}: the timestamp of a ${type} is ${timestamp}, after ${before}`);
      }
      last.set(table, timestamp);
    }
    return found;
  }

  #take({ kind, type, table, timestamp, status }: AnsweredRequest): void {
    if (kind !== 'notification') return;
    this.#notifications++;
    if (status !== 204 || table === undefined || timestamp === undefined) return;
    if (type !== 'CREATE' && type !== 'UPDATE' && type !== 'DROP') return;
    this.#admitted.push({ type, table: [...table.namespace, table.name].join('.'), timestamp });
  }
}

/** Whether the requests took a table's name away, if only for a moment. */
function leaving(requests: readonly Request[]): (table: string) => boolean {
  const tables = new Set<string>();
  const namespaces = new Set<string>();
  const pending = [...requests];
  for (let request = pending.shift(); request !== undefined; request = pending.shift()) {
    const { command, table, namespace, writers } = request;
    if (/^(drop|rename)/.test(command) && typeof table === 'string') tables.add(table);
    if (command.startsWith('cascade') && typeof namespace === 'string') namespaces.add(namespace);
    if (command === 'parallel') pending.push(...(writers as readonly (readonly Request[])[]).flat());
  }
  return (table) => tables.has(table) || namespaces.has(table.slice(0, table.lastIndexOf('.')));
}
