import { z } from 'zod';

/**
 * What `/api/v1` answers, as schemas: the OpenAPI document is made of them, and the answers are of their types. Keys are
 * in snake_case as everywhere outside, times in ISO 8601, and what is not known is left out.
 */
const time = z.iso.datetime();
const amount = z.int().min(0);
const ms = z.number().min(0);
const table = z.string().describe('As `polaris-push status` writes it: `sales.orders`, with odd levels in quotes.');

const trouble = z
  .strictObject({ at: time, detail: z.string().describe('For people; may hold names from the source.') })
  .describe('What went wrong last, and when; it stays after it was mended.');

const quantiles = z.strictObject({
  count: amount.describe('Of how many values, the newest ones.'),
  p50: ms,
  p99: ms,
});

const counts = z.record(z.string(), amount);

const slot = z.strictObject({
  state: z.enum(['reserved', 'extended', 'unreserved', 'lost', 'missing']),
  active: z.boolean().describe('Somebody streams from it.'),
  retained_bytes: amount.optional().describe('WAL that the server keeps for it.'),
  safe_bytes: z.int().optional().describe('WAL that may yet be written before it is in danger.'),
});

const source = z.strictObject({
  name: z.string(),
  kind: z.string(),
  state: z.enum(['starting', 'following', 'down']),
  since: time,
  caught_up_at: time.optional().describe('When all work of the first reconciliation was done.'),
  last_error: trouble.optional(),
  reconciled: z.strictObject({ at: time, tables: amount }).optional(),
  measured_at: time.optional().describe('When the following were measured.'),
  lag_ms: ms.optional().describe('How long changes have been waiting at the source.'),
  lag_bytes: amount.optional().describe("Of the source's log, not confirmed yet."),
  clock_skew_ms: z.number().optional().describe("How far the source's clock is ahead."),
  slot: slot.optional(),
  queue: z.strictObject({ visible: amount, in_flight: amount, delayed: amount }).optional(),
  polls: z.strictObject({ tables: amount, budget_per_second: z.number() }).optional(),
  throttled: amount.optional().describe('Requests that the source refused as too many.'),
});

const target = z.strictObject({
  name: z.string(),
  state: z.enum(['up', 'down']),
  since: time,
  last_error: trouble.optional(),
  tables: z.strictObject({
    entries: amount,
    delivered: amount,
    pending: amount,
    parked: amount.describe('Without held DROPs.'),
    held: amount.describe('DROPs that wait for a human.'),
    skipped: amount.describe('Not mirrored, such as views.'),
  }),
  parked_by_code: counts.describe('Parked tables and held DROPs by their code.'),
  limit: z.number().describe('Requests that may be under way together.'),
  in_flight: amount,
  breaker: z.enum(['closed', 'open', 'half-open']),
  oldest_pending_since: time.optional(),
  stalled_ms: ms.describe('How long what is under way has made no progress.'),
  admitted: amount.describe('Notifications admitted in this run.'),
  per_second: z.number().min(0).describe('Of them, in the last seconds.'),
  last_delivery_at: time.optional(),
  latency_ms: quantiles.optional().describe('Of notifications, from sending to the answer.'),
  commit_to_visible_ms: quantiles.optional(),
  audit: z
    .strictObject({ at: time, tables: amount, drift: counts })
    .optional()
    .describe('The last audit of this run; `drift` counts what differed.'),
});

const sink = z.strictObject({
  name: z.string(),
  state: z.enum(['up', 'down']),
  since: time,
  last_error: trouble.optional(),
  waiting: amount,
  refused: amount,
  oldest: time.optional(),
  forwarded: amount.describe('Events that it took in this run.'),
});

export const statusSchema = z.strictObject({
  version: z.string(),
  at: time,
  started_at: time,
  admin: z.boolean().describe('Whether an admin token is configured, so that `retry` and `drops/release` are there.'),
  source,
  targets: z.array(target),
  sinks: z.array(sink),
  ledger: z.strictObject({
    path: z.string(),
    state: z.enum(['open', 'failed']),
    bytes: amount.optional(),
    commit_ms: quantiles.optional(),
  }),
});
export type StatusAnswer = z.output<typeof statusSchema>;

export const historySchema = z.strictObject({
  every_ms: amount.describe('Between two points.'),
  points: z
    .array(
      z.strictObject({
        at: time,
        lag_ms: ms.optional(),
        lag_bytes: amount.optional(),
        targets: z.record(z.string(), z.strictObject({ per_second: z.number().min(0), pending: amount })),
      }),
    )
    .describe('Of the last hour at most, the oldest first.'),
});
export type HistoryAnswer = z.output<typeof historySchema>;

const notification = z.strictObject({
  at: time.describe('When it was answered.'),
  target: z.string(),
  table,
  type: z.enum(['CREATE', 'UPDATE', 'DROP', 'VALIDATE']),
  outcome: z.string().describe('`admitted`, or why not.'),
  reason: z.string().optional(),
  detail: z.string().optional(),
  timestamp: z.int().describe('Of the notification, epoch ms.'),
  metadata_location: z.string().optional(),
  ms: ms.describe('From sending to the answer.'),
  commit_to_visible_ms: z.number().optional(),
});
export type NotificationAnswer = z.output<typeof notification>;

export const notificationsSchema = z.strictObject({
  notifications: z.array(notification).describe('The newest first.'),
});

const parked = z.strictObject({
  state: z.enum(['parked', 'held']),
  code: z.string(),
  summary: z.string(),
  detail: z.string(),
  fix: z.string(),
  since: time,
  type: z.enum(['CREATE', 'UPDATE', 'DROP', 'VALIDATE']),
});
export type ParkedAnswer = z.output<typeof parked>;

export const tablesSchema = z.strictObject({
  tables: z.array(
    z.strictObject({
      target: z.string(),
      table,
      state: z.enum(['parked', 'held', 'pending']),
      parked: parked.optional(),
      hints: amount.optional().describe('Changes that no finished read covers.'),
      open: z.string().optional().describe('A notification whose answer is not known.'),
    }),
  ),
  complete: z.boolean().describe('Whether there are no more.'),
});
export type TablesAnswer = z.output<typeof tablesSchema>;

export const searchSchema = z.strictObject({
  tables: z.array(table),
  complete: z.boolean().describe('Whether every table was looked at, and no more match.'),
});
export type SearchAnswer = z.output<typeof searchSchema>;

const delivered = z.strictObject({
  type: z.enum(['CREATE', 'UPDATE', 'DROP', 'VALIDATE']),
  timestamp: z.int(),
  metadata_location: z.string().optional(),
});

export const tableSchema = z.strictObject({
  table,
  targets: z.array(
    z.strictObject({
      target: z.string(),
      state: z.enum(['delivered', 'dropped', 'pending', 'parked', 'held', 'skipped', 'known']),
      hints: amount.describe('Changes that no finished read covers.'),
      delivered: delivered.optional().describe('The last that Polaris admitted.'),
      open: delivered.optional().describe('Sent, and its answer is not known.'),
      parked: parked.optional(),
      skipped: z.string().optional().describe('Why it is not mirrored.'),
    }),
  ),
  notifications: z.array(notification).describe('The last ones of this run that are remembered, the newest first.'),
});
export type TableAnswer = z.output<typeof tableSchema>;

/** What `retry` and `drops/release` take. */
export const orderSchema = z.strictObject({
  tables: z
    .array(table)
    .max(1000)
    .optional()
    .describe('Which ones; all that are parked, or held, when left out, 10,000 at a time.'),
  target: z.string().optional().describe('On which target; on all when left out.'),
});

export const orderedSchema = z.strictObject({
  tables: amount.describe('How many tables the agent was asked to work on, as seen now.'),
  request: z.int().optional().describe('The number of the request; left out when there was nothing to do.'),
});

export const refusalSchema = z.strictObject({ error: z.string() });
