import { expect, test } from 'vitest';
import { Monitor } from '../../src/observe/monitor.ts';
import type { ServiceManager } from '../../src/observe/sd-notify.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { quietParts } from './scrape.ts';

/** A service manager that remembers what it was told. */
function manager() {
  const told: string[] = [];
  const watched: { readonly alive: () => boolean; readonly signal: AbortSignal }[] = [];
  const it: ServiceManager = {
    tell: async (...assignments) => void told.push(...assignments),
    keepAlive: async (alive, signal) => void watched.push({ alive, signal }),
  };
  return { it, told, watched };
}

test('for the service manager a standby has started and is alive, until it takes over and that depends on its work', async () => {
  const { it, told, watched } = manager();
  const facts = { version: '0', source: 'lab', targets: ['main'], sinks: [] };
  await using monitor = new Monitor(facts, { clock: systemClock, log: silentLog, manager: it });
  monitor.standBy();
  expect(told).toEqual(['READY=1', 'STATUS=standby']);
  expect(watched[0]?.alive()).toBe(true);
  expect(watched[0]?.signal.aborted).toBe(false);
  monitor.start(quietParts());
  expect(watched.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(told.at(-1)).toMatch(/^STATUS=lab/);
});
