import { existsSync } from 'node:fs';
import type { AppDeps } from '../app.ts';
import type { TableIdentifier } from '../core/types.ts';
import { deliver } from '../pipeline/deliver.ts';
import type { CommandContext } from './context.ts';
import { submit } from './requests.ts';
import { runReport } from './run-report.ts';

/** Tables of one target. */
export type MendOrder = { readonly target: string; readonly tables: readonly TableIdentifier[] };

/**
 * Has tables delivered anew, whatever the ledger says of them: by the agent if one runs on this ledger, else here and now.
 * Tells whether they are done with; a running agent is only told.
 */
export async function mend(context: CommandContext, orders: readonly MendOrder[]): Promise<'done' | 'told'> {
  if (isAgentRunning(context, await import('../app.ts'))) {
    for (const { target, tables } of orders) await submit(context, { kind: 'mend', what: 'table', target, tables });
    return 'told';
  }
  const { App } = await import('../app.ts');
  const { out, log, signal, deadline } = context;
  await using app = await App.open(depsOf(context));
  await app.claim();
  const drivers = app.drivers(runReport({ out, log, source: app.connector.source }));
  await deliver({ drivers, orders, doubt: true }, signal, deadline);
  signal.throwIfAborted();
  return 'done';
}

type Readers = Pick<typeof import('../app.ts'), 'openReader'>;

function isAgentRunning({ config }: CommandContext, { openReader }: Readers): boolean {
  if (!existsSync(config.ledger.path)) return false;
  using reader = openReader(config);
  return reader.owner()?.alive === true;
}

export const depsOf = ({ config, loaded, clock, random, log, tracing }: CommandContext): AppDeps => ({
  config,
  definition: loaded.connector,
  clock,
  random,
  log,
  tracing,
});
