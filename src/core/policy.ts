/** What the operator chose, as far as the core needs it. All durations in ms. */
export type Policy = {
  /** When a VALIDATE comes before a CREATE or UPDATE: for tables that Polaris doesn't hold yet, for all, or never. */
  readonly prechecks: 'new' | 'always' | 'never';
  /**
   * Ask what Polaris serves before the first CREATE of a table (2 ms of its time against 6 and more for a CREATE), and
   * adopt what is already right: for an empty ledger in front of a catalog that isn't.
   */
  readonly adopt: boolean;
  /** A re-created table of the same name: an UPDATE that keeps its grants in Polaris, or a DROP and a CREATE. */
  readonly recreate: 'keep' | 'replace';
  /** `fenced`: DROPs within the budget; `report`: every DROP is held for a human; `never`: what vanished stays in Polaris. */
  readonly drops: 'fenced' | 'report' | 'never';
  /** How long after a table was found absent its DROP is sent, if it is absent still: a re-creation within keeps its grants. */
  readonly dropGraceMs: number;
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /**
   * How far above the source's clock to try when Polaris refuses a timestamp as old, one step per refusal. The admitted
   * timestamp can't be read, so these are guesses; when they are used up the entry is parked as TIMESTAMP_AHEAD.
   */
  readonly leapsMs: readonly number[];
  /** How long a DROP of an old name waits for the new name to settle, at most. */
  readonly renameWaitMs: number;
};

export const DEFAULT_POLICY: Policy = {
  prechecks: 'new',
  adopt: false,
  recreate: 'keep',
  drops: 'fenced',
  dropGraceMs: 0,
  backoff: { baseMs: 100, maxMs: 10_000 },
  leapsMs: [0, 1000, 60_000, 3_600_000, 86_400_000],
  renameWaitMs: 300_000,
};
