import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent as HttpClients, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/quickstart/postgres.ts';
import { METRICS, PREFIX } from '../../src/observe/definitions.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Agent } from '../faults/agent.ts';
import { FaultProxy } from '../faults/fault-proxy.ts';
import { CATALOG, eventually, openWorld, type World } from '../pipeline/world.ts';
import { readExposition } from './scrape.ts';

/** More than must fail before a target is taken for down. */
const TABLES = Array.from({ length: 8 }, (_, i) => `sales.t${i}`);
const PATIENCE_MS = 40_000;

let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.writer.createNamespace('sales');
  for (const table of TABLES) await world.writer.createTable(table);
});
afterAll(async () => world[Symbol.asyncDispose]());

/** The agent as a process that listens, and a way to Polaris that can be cut. */
async function observed() {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-observed-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const [port, nowhere] = [await freePort(), await freePort()];
  const polaris = Number(new URL(world.polaris.uri).port);
  const way = stack.use(await FaultProxy.start(polaris));
  const config = {
    source: { kind: 'hive', connection: world.postgres.url(), slot: `of_port_${port}` },
    targets: [
      {
        name: 'main',
        uri: `http://127.0.0.1:${way.port}/api/catalog`,
        catalog: CATALOG,
        auth: { client_id: 'root', client_secret: 's3cr3t' },
      },
    ],
    ledger: { path: join(folder, 'ledger.db') },
    http: { listen: `127.0.0.1:${port}` },
  };
  const file = join(folder, 'polaris-push.yaml');
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const url = `http://127.0.0.1:${port}`;
  const ask = async (path: string) => {
    const answer = await fetch(`${url}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  const untilStatus = (path: string, status: number) =>
    eventually(async () => {
      const found = await ask(path).catch((error: unknown) => ({ status: 0, text: String(error) }));
      return found.status === status ? undefined : `${path}: ${found.status} ${found.text}`;
    }, PATIENCE_MS);
  return {
    url,
    ask,
    untilStatus,
    scrape: async () => readExposition((await ask('/metrics')).text),
    start: (env: Readonly<Record<string, string>> = {}) => {
      const shell = Object.entries(env).map(([name, value]) => `export ${name}='${value}'`);
      return stack.use(new Agent({ file, shell: shell.length === 0 ? undefined : shell.join(' && ') }));
    },
    cut: () => {
      way.redirect(nowhere);
      way.reset();
    },
    mend: () => way.redirect(polaris),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A change of each table, one after the other as a metastore makes them. */
async function changeAll(): Promise<void> {
  for (const table of TABLES) await world.writer.commit(table);
}

describe('an agent that listens', () => {
  test('is alive at once, ready when it follows, caught up when all is delivered, and tells all metrics', async () => {
    await using agent = await observed();
    const running = agent.start();
    await agent.untilStatus('/livez', 200);
    await agent.untilStatus('/readyz', 200);
    await running.caughtUp();
    await agent.untilStatus('/readyz?caught-up=true', 200);
    await changeAll();
    await world.equal();
    let found = await agent.scrape();
    const at = (key: string) => found.series.get(`${PREFIX}${key}`);
    await eventually(async () => {
      found = await agent.scrape();
      const count = at('notifications_total{target="main",type="UPDATE",outcome="admitted"}') ?? 0;
      // It is measured every ten seconds.
      const active = at('source_slot_active{source="hive"}');
      return count >= TABLES.length && active === 1 ? undefined : `${count} updates, slot active: ${active}`;
    }, PATIENCE_MS);
    const names = found.names.map(({ name }) => name).filter((name) => name.startsWith(PREFIX));
    expect(names.toSorted()).toEqual(
      Object.keys(METRICS)
        .map((name) => `${PREFIX}${name}`)
        .toSorted(),
    );
    expect(at('notifications_total{target="main",type="CREATE",outcome="admitted"}')).toBe(TABLES.length);
    expect(at('commit_to_visible_seconds_count{source="hive",target="main"}')).toBeGreaterThanOrEqual(TABLES.length);
    expect(at('hints_total{source="hive",kind="upserted"}')).toBeGreaterThanOrEqual(TABLES.length);
    expect(at('delivered_tables{target="main"}')).toBe(TABLES.length);
    expect(at('pending_tables{target="main"}')).toBe(0);
    expect(at('source_up{source="hive"}')).toBe(1);
    expect(at('source_lag_bytes{source="hive"}')).toBeGreaterThanOrEqual(0);
    expect(at('source_lag_seconds{source="hive"}')).toBeLessThan(10);
    expect(at('source_slot_state{source="hive",slot="reserved"}')).toBe(1);
    expect(at('token_renewals_total{target="main",result="ok"}')).toBeGreaterThanOrEqual(1);
    expect(at('target_requests_total{target="main",operation="notify",status="2xx"}')).toBeGreaterThan(TABLES.length);
    expect(at('ledger_commit_duration_seconds_count')).toBeGreaterThan(0);
    expect(at('ledger_bytes')).toBeGreaterThan(4_096);
    expect(await running.stop()).toBe(0);
  });

  test('is not ready while its target is away, stays alive, and is ready again when it is back', async () => {
    await using agent = await observed();
    const running = agent.start();
    await running.caughtUp();
    await agent.untilStatus('/readyz', 200);
    agent.cut();
    await changeAll();
    await agent.untilStatus('/readyz', 503);
    const { text } = await agent.ask('/readyz');
    const { checks } = JSON.parse(text) as { checks: { name: string; ok: boolean; detail: string }[] };
    expect(checks.filter(({ ok }) => !ok)).toMatchObject([{ name: 'target main' }]);
    expect(checks.find(({ ok }) => !ok)?.detail).toMatch(/^down for \d+ s: .*ECONN(?:REFUSED|RESET)/);
    expect((await agent.ask('/livez')).status).toBe(200);
    const { series } = await agent.scrape();
    expect(series.get(`${PREFIX}target_up{target="main"}`)).toBe(0);
    expect(series.get(`${PREFIX}pending_tables{target="main"}`)).toBeGreaterThan(0);
    agent.mend();
    await agent.untilStatus('/readyz', 200);
    await world.equal();
    expect(await running.stop()).toBe(0);
  });

  test('answers scrapes while it drains, and ends none the less', async () => {
    await using agent = await observed();
    const running = agent.start();
    await running.caughtUp();
    const scrapes: string[] = [];
    const stop = new AbortController();
    const scraping = (async () => {
      while (!stop.signal.aborted) {
        const answer = await agent.ask('/metrics').catch(() => undefined);
        if (answer === undefined) return;
        scrapes.push(`${answer.status} ${answer.text.includes(`${PREFIX}build_info`)}`);
        await systemClock.sleep(5, stop.signal);
      }
    })();
    await eventually(async () => (scrapes.length > 3 ? undefined : 'no scrape yet'), PATIENCE_MS);
    expect(await running.stop()).toBe(0);
    stop.abort();
    await scraping;
    expect(new Set(scrapes)).toEqual(new Set(['200 true']));
  });

  test('delivers changes as ever under a flood of requests that it bounds', async () => {
    await using agent = await observed();
    const running = agent.start();
    await running.caughtUp();
    const clients = new HttpClients({ connections: 300, pipelining: 1 });
    const flooding = new AbortController();
    const answers = new Map<number, number>();
    const flood = async () => {
      while (!flooding.signal.aborted) {
        const status = await request(`${agent.url}/metrics`, { dispatcher: clients, signal: flooding.signal }).then(
          async ({ statusCode, body }) => {
            await body.dump();
            return statusCode;
          },
          () => 0,
        );
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }
    };
    const flooders = Array.from({ length: 300 }, flood);
    await eventually(async () => ((answers.get(429) ?? 0) > 300 ? undefined : 'not refused yet'), PATIENCE_MS);
    await changeAll();
    await world.equal();
    expect((answers.get(200) ?? 0) + (answers.get(429) ?? 0)).toBeGreaterThan(500);
    flooding.abort();
    await Promise.all(flooders);
    await clients.destroy();
    // Not one of them is left over.
    await agent.untilStatus('/readyz', 200);
    expect(await running.stop()).toBe(0);
  });

  test('tells the service manager that it has started, how it stands, that it is alive and that it stops', async () => {
    await using agent = await observed();
    const folder = mkdtempSync(join(tmpdir(), 'polaris-push-systemd-'));
    const told = join(folder, 'told');
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\nprintf '%s\\n' "$@" >> '${told}'\n`, { mode: 0o755 });
    const PATH = `${folder}:${process.env['PATH'] ?? ''}`;
    const running = agent.start({ NOTIFY_SOCKET: join(folder, 'socket'), WATCHDOG_USEC: '200000', PATH });
    await running.caughtUp();
    const lines = () => readFileSync(told, 'utf8').split('\n');
    const status = /^STATUS=hive:.* following, main up$/;
    await eventually(
      async () => (lines().some((line) => status.test(line)) ? undefined : lines().join('\n')),
      PATIENCE_MS,
    );
    expect(await running.stop()).toBe(0);
    for (const line of ['READY=1', 'WATCHDOG=1', 'STOPPING=1']) expect(lines()).toContain(line);
    rmSync(folder, { recursive: true });
  });
});
