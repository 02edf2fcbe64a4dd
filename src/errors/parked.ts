type ParkSpec = {
  /** One line: what is wrong. */
  readonly summary: string;
  /** What somebody does about it, after which the next hint or reconciliation tries again by itself. */
  readonly fix: string;
};

/** Why an entry waits for something outside the agent: what `status` says of each. docs/reference/errors.md is generated from it. */
export const PARKED = {
  METADATA_MISSING: {
    summary: "The table's metadata file does not exist, or Polaris can't see it.",
    fix: 'Restore the file, or commit to the table; check that Polaris reads the same storage as the source.',
  },
  METADATA_UNREADABLE: {
    summary: "Polaris can't read the table's metadata file: it is damaged, empty, or storage refuses Polaris.",
    fix: "Look at the file and at the storage permissions of the catalog's role; then commit to the table or wait for the next reconciliation.",
  },
  METADATA_INVALID: {
    summary: 'The metadata file is no Iceberg table metadata that this Polaris understands.',
    fix: 'Repair the table in the source (a format version that Polaris supports, a table UUID), or exclude it under tables.exclude.',
  },
  LOCATION_NOT_ALLOWED: {
    summary: 'The table lies outside the locations that the Polaris catalog allows.',
    fix: "Add its location to the catalog's allowedLocations, map it with tables.locations, or exclude the table under tables.exclude.",
  },
  NAME_NOT_ADDRESSABLE: {
    summary: "Polaris can't address a table of this name.",
    fix: 'Rename the table in the source, map its namespace with tables.namespace, or exclude it under tables.exclude.',
  },
  NAME_TAKEN: {
    summary: 'A view or a generic table holds the name in Polaris.',
    fix: 'Drop or rename that view or generic table in Polaris, or exclude the table under tables.exclude.',
  },
  TIMESTAMP_AHEAD: {
    summary: 'Polaris admitted a timestamp from another sender that lies far ahead of the source.',
    fix: 'Make sure that nobody else sends notifications for this catalog. Dropping the table in Polaris clears its timestamp (grants and policies on it are lost); the next reconciliation creates it anew.',
  },
  DROP_HELD: {
    summary: 'The table is gone from the source, and its DROP waits for a human.',
    fix: 'If these tables are really gone: `polaris-push drops release`. If not, restore them in the source.',
  },
  REFUSED: {
    summary: 'Polaris refused the notification, again and again, for a reason that the agent does not know.',
    fix: "Read Polaris's message and its log; exclude the table under tables.exclude to silence this.",
  },
} as const satisfies Record<string, ParkSpec>;
