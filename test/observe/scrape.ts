import type { AgentParts } from '../../src/observe/agent-state.ts';
import type { MonitoredParts } from '../../src/observe/monitor.ts';
import { MemoryLedger } from '../../src/ledger/memory.ts';

/** A scrape, read as Prometheus reads it: what is exposed, and the value of each series by its text. */
export function readExposition(text: string) {
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => ({ name, kind }));
  const series = new Map(
    [...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, key = '', value]) => [key, Number(value)]),
  );
  return { names, series };
}

/** The parts of an agent that has one target, `main`, and nothing to do. */
export function quietParts(parts: Partial<MonitoredParts> = {}): MonitoredParts & { readonly ledger: MemoryLedger } {
  const ledger = new MemoryLedger();
  const drivers: AgentParts['drivers'] = [
    { name: 'main', standing: { limit: 8, inFlight: 2, breaker: 'closed', stalledMs: 0 } },
  ];
  return { sourceName: 'lab', ledgerPath: '/nowhere/ledger.db', drivers, ...parts, ledger };
}
