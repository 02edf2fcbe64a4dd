import { describe, expect, test } from 'vitest';
import { Monitor, type MonitoredParts } from '../../src/observe/monitor.ts';
import { openHttpServer } from '../../src/runtime/http-server.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { quietParts } from './scrape.ts';

const TOKEN = 'a-token-of-32-characters-or-more';
const SECRET = 'planted-secret';
type Body = { readonly checks: readonly { readonly name: string; readonly detail?: string }[] };

const mask = (text: string) => text.replaceAll(SECRET, '***');

async function monitored(parts: Partial<MonitoredParts> = {}, token?: string) {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const access = token === undefined ? {} : ({ token, open: ['health'] } as const);
  const server = stack.use(await openHttpServer({ host: '127.0.0.1', port: 0, ...access }, { log: silentLog }));
  const facts = { version: '1', source: 'lab', targets: ['main', 'other'], sinks: [] };
  const monitor = stack.use(new Monitor(facts, { clock, log: silentLog, mask }));
  monitor.serve(server);
  const all = quietParts(parts);
  monitor.start(all);
  const ask = async (path: string, headers = {}) => {
    await clock.advance(1_000);
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { headers });
    const { checks } = (await answer.json()) as Body;
    return { status: answer.status, checks };
  };
  /** The status, and the details of checks by name. */
  const look = async (path: string) => {
    const { status, checks } = await ask(path);
    return [status, Object.fromEntries(checks.map(({ name, detail }) => [name, detail]))] as const;
  };
  return { monitor, clock, ledger: all.ledger, ask, look, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('/livez', () => {
  test('is fine while source and targets are down: to start anew would not help', async () => {
    await using agent = await monitored();
    agent.monitor.see({ kind: 'source-down', detail: 'gone' });
    agent.monitor.see({ kind: 'target-down', target: 'main', detail: 'gone' });
    expect((await agent.ask('/livez')).status).toBe(200);
  });

  test('fails when something is under way for ten minutes without progress, and names it', async () => {
    const standing = { limit: 8, inFlight: 1, breaker: 'closed' } as const;
    const stalled = (ms: number) => ({ drivers: [{ name: 'main', standing: { ...standing, stalledMs: ms } }] });
    await using slow = await monitored(stalled(599_999));
    expect((await slow.ask('/livez')).status).toBe(200);
    await using stuck = await monitored(stalled(600_000));
    const [status, checks] = await stuck.look('/livez');
    expect(status).toBe(503);
    expect(checks['deliveries to main']).toBe('something is under way for 600 s without progress');
    expect(checks['deliveries to other']).toBe('going on');
  });

  test('fails when the ledger has failed', async () => {
    await using agent = await monitored();
    agent.ledger.fail();
    expect(await agent.look('/livez')).toMatchObject([503, { ledger: 'it accepts nothing more' }]);
  });
});

describe('/readyz', () => {
  test('is not ready before the source is followed, and ready then', async () => {
    await using agent = await monitored();
    expect(await agent.look('/readyz')).toMatchObject([
      503,
      { source: 'starting for 1 s', 'target main': 'up for 1 s' },
    ]);
    agent.monitor.see({ kind: 'source-up' });
    expect(await agent.look('/readyz')).toMatchObject([200, { source: 'following for 1 s' }]);
  });

  test('turns with each target and with the source, and says since when and why, without secrets', async () => {
    await using agent = await monitored();
    const { monitor, clock } = agent;
    monitor.see({ kind: 'source-up' });
    monitor.see({ kind: 'target-down', target: 'other', detail: `503 with ${SECRET}` });
    await clock.advance(59_000);
    // The newest reason, and since the first.
    monitor.see({ kind: 'target-down', target: 'other', detail: `504 with ${SECRET}` });
    const [down, checks] = await agent.look('/readyz');
    expect([down, checks['target other'], checks['target main']]).toEqual([
      503,
      'down for 60 s: 504 with ***',
      'up for 60 s',
    ]);
    monitor.see({ kind: 'target-up', target: 'other' });
    expect((await agent.ask('/readyz')).status).toBe(200);
    monitor.see({ kind: 'source-down', detail: 'no route to host' });
    expect(await agent.look('/readyz')).toMatchObject([503, { source: 'down for 1 s: no route to host' }]);
    monitor.see({ kind: 'source-up' });
    expect((await agent.ask('/readyz')).status).toBe(200);
  });

  test('asks for more only when told: that everything was caught up with once', async () => {
    await using agent = await monitored();
    agent.monitor.see({ kind: 'source-up' });
    await agent.ledger.append([{ kind: 'seen', target: 'main', table: { namespace: ['a'], name: 'b' }, count: 1 }]);
    for (const path of ['/readyz', '/readyz?caught-up=false']) expect((await agent.ask(path)).status).toBe(200);
    for (const path of ['/readyz?caught-up=true', '/readyz?caught-up'])
      expect(await agent.look(path)).toMatchObject([
        503,
        { 'caught up': 'not yet: 1 pending for main, 0 pending for other' },
      ]);
    agent.monitor.see({ kind: 'caught-up', tables: 1, tookMs: 1 });
    expect((await agent.ask('/readyz?caught-up=true')).status).toBe(200);
  });

  test('tells whoever has no token which checks fail, and no more', async () => {
    await using agent = await monitored({}, TOKEN);
    agent.monitor.see({ kind: 'target-down', target: 'main', detail: 'the address of Polaris' });
    const stranger = await agent.ask('/readyz');
    expect([stranger.status, stranger.checks.filter((check) => 'detail' in check)]).toEqual([503, []]);
    const { checks } = await agent.ask('/readyz', { authorization: `Bearer ${TOKEN}` });
    expect(checks.map(({ detail }) => detail)).toContainEqual(expect.stringContaining('the address of Polaris'));
  });
});
