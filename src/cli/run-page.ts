import { openOutbox, openReader, type App } from '../app.ts';
import type { Monitor } from '../observe/monitor.ts';
import type { AdminOrder, StatusApi } from '../observe/status-api.ts';
import type { CommandContext } from './context.ts';

/** The status page of a running agent and its API; closes before the parts that it asks. */
export type RunPage = Pick<StatusApi, 'see'> & AsyncDisposable;

/** Serves the page where the agent listens; undefined when it doesn't. */
export async function servePageOf(
  { config, clock, log, secrets }: CommandContext,
  { http }: App,
  monitor: Monitor | undefined,
): Promise<RunPage | undefined> {
  if (http === undefined || monitor === undefined) return undefined;
  const { StatusApi: Api } = await import('../observe/status-api.ts');
  await using stack = new AsyncDisposableStack();
  // A connection of its own, as that of another process would be.
  const ledger = stack.use(openReader(config));
  const submit = (order: AdminOrder): number => {
    using outbox = openOutbox(config, clock);
    return outbox.submit(order);
  };
  const api = stack.use(
    new Api({
      clock,
      log,
      snapshot: () => monitor.snapshot(),
      ledger,
      submit,
      adminToken: config.http?.adminToken,
      mask: (text) => secrets.mask(text),
    }),
  );
  stack.use(api.serve(http));
  const kept = stack.move();
  return { see: (event) => api.see(event), [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
