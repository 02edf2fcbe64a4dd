/** A deliberate mistake: one line of one file, which must hold `from` exactly once. */
export type Mutant = { readonly title: string; readonly file: string; readonly from: string; readonly to: string };

/** Each breaks one rule that the simulator and the tests must defend. */
export const MUTANTS: readonly Mutant[] = [
  {
    title: 'a timestamp may be used twice',
    file: 'src/core/timestamp.ts',
    from: 'last === undefined ? 0 : last + 1',
    to: 'last === undefined ? 0 : last',
  },
  {
    title: 'a hint that came during a notification gets no read of its own',
    file: 'src/core/lane.ts',
    from: 'return isOvertaken(rest) ? then(ended, read(rest)) : ended;',
    to: 'return ended;',
  },
  {
    title: 'hints without a finished read are forgotten at a restart',
    file: 'src/core/lane.ts',
    from: "phase: entry.seen > entry.settled || entry.open !== undefined ? 'waiting' : 'idle',",
    to: "phase: entry.open !== undefined ? 'waiting' : 'idle',",
  },
  {
    title: 'a finished read is taken to cover hints that came after it',
    file: 'src/core/lane.ts',
    from: "finish(recorded(lane, { kind: 'settled', seen: lane.readAt, skipped }));",
    to: "finish(recorded(lane, { kind: 'settled', seen: lane.entry.seen, skipped }));",
  },
  {
    title: 'the same leap is tried for ever above a foreign timestamp',
    file: 'src/core/lane.ts',
    from: 'const leapMs = policy.leapsMs[leaps - 1];',
    to: 'const leapMs = policy.leapsMs[0];',
  },
  {
    title: 'a table that Polaris never heard of is not validated',
    file: 'src/core/lane.ts',
    from: 'if (!precheck) return send(lane, sending);',
    to: 'if (lane.attempts === 0) return send(lane, sending);',
  },
  {
    title: 'a notification without an answer is taken not to be applied',
    file: 'src/core/decide.ts',
    from: 'entry.open === undefined && !entry.doubt;',
    to: '!entry.doubt;',
  },
  {
    title: 'a table that became something else is taken to be gone',
    file: 'src/core/decide.ts',
    from: 'return mirrored !== undefined && state.incarnation !== undefined && mirrored !== state.incarnation;',
    to: 'return mirrored !== undefined && state.incarnation !== undefined;',
  },
  {
    title: 'a DROP of an old name does not wait for the new one',
    file: 'src/core/decide.ts',
    from: "state.kind === 'absent' && !released ? entry.after : undefined;",
    to: "state.kind === 'absent' && released ? entry.after : undefined;",
  },
  {
    title: 'a new metadata location of the same table is nothing new',
    file: 'src/core/decide.ts',
    from: 'if (certain && held?.metadataLocation === metadataLocation && held.incarnation === incarnation)',
    to: 'if (certain && held !== undefined && held.incarnation === incarnation)',
  },
  {
    title: 'an earlier intent without an outcome is forgotten by the next one',
    file: 'src/core/fold.ts',
    from: '...overtaken(entry),',
    to: '...entry,',
  },
  {
    title: 'an intent that nobody will ask for again is taken not to be applied',
    file: 'src/core/fold.ts',
    from: 'return { ...entry, open: undefined, delivered, doubt: true };',
    to: 'return { ...entry, open: undefined };',
  },
  {
    title: 'a breaker waits for ever for a try that sent nothing',
    file: 'src/core/breaker.ts',
    from: `  unused(): void {
    this.#probing = false;`,
    to: '  unused(): void {',
  },
  {
    title: 'a notification leaves before its intent is durable',
    file: 'src/pipeline/driver.ts',
    from: 'await slot.durable;',
    to: 'await Promise.resolve();',
  },
  {
    title: 'a DROP that waited for its turn is sent although its table was hinted at meanwhile',
    file: 'src/pipeline/driver.ts',
    from: "if (notification.type === 'DROP' && isOvertaken(slot.lane)) {",
    to: "if (notification.type === 'VALIDATE' && slot.lane.phase === 'idle') {",
  },
  {
    title: 'lanes whose read failed are not told',
    file: 'src/pipeline/driver.ts',
    from: "for (const slot of batch) this.#feed(slot, { kind: 'unresolved', ...this.#moment() });",
    to: '',
  },
  {
    title: 'a lane that is done keeps its place among those that may send',
    file: 'src/pipeline/driver.ts',
    from: 'this.#admitted--;',
    to: '',
  },
  {
    title: 'nobody tries a target again when its breaker is half open',
    file: 'src/pipeline/driver.ts',
    from: 'this.#attend(this.#pumpWhenHalfOpen());',
    to: '',
  },
  {
    title: 'a change is acknowledged before its hints are durable',
    file: 'src/pipeline/intake.ts',
    from: 'await Promise.all([...record(',
    to: 'void Promise.all([...record(',
  },
  {
    title: 'a rename hints at its old name alone',
    file: 'src/pipeline/intake.ts',
    from: 'put({ table: change.to });',
    to: '',
  },
  {
    title: 'what was left undone is read before it is known whether the source is the same',
    file: 'src/pipeline/pipeline.ts',
    from: 'fenced.then(() => driver.run(until, kill))',
    to: 'driver.run(until, kill)',
  },
  {
    title: 'a list says nothing of tables that it lacks',
    file: 'src/pipeline/reconcile.ts',
    from: 'for (const driver of drivers) hints += await hintUnlisted(listed, driver, ledger);',
    to: '',
  },
  {
    title: 'a parked table is never tried again',
    file: 'src/pipeline/reconcile.ts',
    from: '|| entry?.parked !== undefined) return true;',
    to: ') return true;',
  },
  {
    title: 'a list undoes what a rename waits for',
    file: 'src/pipeline/reconcile.ts',
    from: '({ table, after: entry?.after });',
    to: '({ table, after: entry?.parked && entry.after });',
  },
  {
    title: 'a ledger says that it is durable before it is',
    file: 'src/ledger/memory.ts',
    from: 'return this.#nextCommit();',
    to: 'void this.#nextCommit(); return Promise.resolve();',
  },
  {
    title: 'the event of an admission is recorded after its outcome instead of with it',
    file: 'src/pipeline/driver.ts',
    from: 'slot.durable = this.#durable = this.#parts.ledger.append([...records, ...events]);',
    to: 'slot.durable = this.#durable = this.#parts.ledger.append(records).then(() => this.#parts.ledger.append(events));',
  },
  {
    title: 'the answer to an event forgets the newer one that took its place',
    file: 'src/ledger/memory-outbox.ts',
    from: 'event.id === record.id && event.timestamp === record.timestamp && event.buried === undefined;',
    to: 'event.id === record.id && event.buried === undefined;',
  },
  {
    title: 'no event tells of what Polaris was found to serve',
    file: 'src/pipeline/admission.ts',
    from: "record.outcome === 'admitted' || record.outcome === 'served'",
    to: "record.outcome === 'admitted'",
  },
  {
    title: 'an outage of a sink counts against its events',
    file: 'src/pipeline/forward.ts',
    from: 'if (this.#taken > lane.takenThen) lane.held += 1;',
    to: 'lane.held += 1;',
  },
];
