import { z } from 'zod';

/** The section `ledger` of the configuration. */
export const ledgerConfig = z.strictObject({
  path: z
    .string()
    .min(1)
    .default('/var/lib/polaris-push/ledger.db')
    .describe(
      'File of the ledger. Its folder is created when it is missing. On a local disk: SQLite cannot rely on the locks of a network file system. One process owns it at a time; its size grows with the number of tables and of events that wait for a sink, never with traffic.',
    ),
});

export type LedgerConfig = z.output<typeof ledgerConfig>;
