import { execFile } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { tracedReads } from '../../src/connector/traced.ts';
import { openTracing } from '../../src/observe/opentelemetry.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import { tracedTarget } from '../../src/polaris/traced.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Trail } from '../../src/runtime/tracing.ts';
import { agentFile } from '../cli/agent-file.ts';
import { FakeSource, id } from '../connector/fake-source.ts';
import { configured, KeptLog, notification, polaris, polarisError, SECRET, StandIn } from '../polaris/stand-in.ts';

const never = new AbortController().signal;
/** Where the API keeps what an SDK has registered. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');
const ms = ([seconds, nanos]: readonly [number, number]) => seconds * 1000 + nanos / 1e6;
const named = (name: string) => ({ span: name });
const notFound = () => Promise.reject(new Error('Cannot find package'));
const instrumentation = () => {};
const mask = (text: string) => text.replaceAll(SECRET, '***');

/** What `node --import` of an SDK's own set-up leaves: a provider, propagation as W3C has it, a context that follows awaits. */
function sdk() {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  provider.register();
  return { exporter, provider, span: (name: string) => exporter.getFinishedSpans().find((one) => one.name === name) };
}

afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const open = (log = new KeptLog()) => openTracing({ log, clock: systemClock, version: '1.2.3', mask });

/** One read and one notification of `sales.orders`, through parts that are traced. */
async function deliver(behaviour: Parameters<typeof polaris>[0]) {
  const { exporter, span } = sdk();
  await using server = await StandIn.start(polaris(behaviour));
  const log = new KeptLog();
  const tracing = await open(log);
  if (tracing === undefined) throw new Error('There is an SDK.');
  await using target = await openPolaris(configured(server.port), { clock: systemClock, log, tracing });
  const shared = { tracing, trail: new Trail() };
  const reads = tracedReads(new FakeSource().put('sales.orders'), { ...shared, name: 'fake' });
  await reads.resolve([id('sales.orders')], never);
  const outcome = await tracedTarget(target, shared).notify(notification(), never);
  const sent = server.seen.find(({ path }) => path.endsWith('/notifications'));
  return { outcome, sent, exporter, read: span('resolve'), notify: span('notify') };
}

describe('With an SDK of OpenTelemetry', () => {
  test('a notification is a span that Polaris learns of, linked to the read that led to it', async () => {
    const { outcome, sent, read, notify } = await deliver(() => ({ status: 204 }));
    expect(outcome.kind).toBe('admitted');
    expect(read?.attributes).toEqual({
      'polaris_push.source': 'fake',
      'polaris_push.tables': 1,
      'polaris_push.table': 'sales.orders',
    });
    expect(notify?.attributes).toEqual({
      'polaris_push.target': 'main',
      'polaris_push.table': 'sales.orders',
      'polaris_push.type': 'CREATE',
      'polaris_push.timestamp': notification().timestamp,
      'polaris_push.outcome': 'admitted',
    });
    expect(notify?.status.code).toBe(SpanStatusCode.UNSET);
    expect(notify?.links.map((link) => link.context)).toEqual([read?.spanContext()]);
    expect(notify?.instrumentationScope).toMatchObject({ name: 'polaris-push', version: '1.2.3' });
    const { traceId, spanId } = notify?.spanContext() ?? {};
    expect(sent?.headers['traceparent']).toBe(`00-${traceId}-${spanId}-01`);
  });

  test('a notification that failed is a failed span, and says why without secrets', async () => {
    const { notify } = await deliver(() => polarisError(500, 'RuntimeException', `out of luck, ${SECRET}`));
    expect(notify?.attributes['polaris_push.outcome']).toBe('unavailable');
    expect(notify?.status.code).toBe(SpanStatusCode.ERROR);
    expect(notify?.status.message).toContain('out of luck');
    expect(notify?.status.message).not.toContain(SECRET);
  });

  test('a read that throws is a failed span, and throws', async () => {
    const { span } = sdk();
    const tracing = await open();
    const source = { resolve: () => Promise.reject(new Error(`no route, ${SECRET}`)) };
    const reads = tracedReads(source, { tracing: tracing!, trail: new Trail(), name: 'fake' });
    await expect(reads.resolve([id('a.b'), id('a.c')], never)).rejects.toThrow('no route');
    expect(span('resolve')?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no route, ***' });
    expect(span('resolve')?.attributes).toEqual({ 'polaris_push.source': 'fake', 'polaris_push.tables': 2 });
  });

  test('a commit is a span of its own, though it ends within another one, and lasts as long as it took', async () => {
    const { span } = sdk();
    const tracing = await open();
    await tracing!.within('outer', {}, async () => tracing!.record('ledger commit', 250, { records: 3 }));
    const { startTime, endTime, parentSpanContext, attributes } = span('ledger commit')!;
    expect(ms(endTime) - ms(startTime)).toBeCloseTo(250, 0);
    expect(parentSpanContext).toBeUndefined();
    expect(attributes).toEqual({ records: 3 });
  });

  test('the header is left to an instrumentation of the HTTP client, where there is one', async () => {
    const watched = channel('undici:request:create');
    watched.subscribe(instrumentation);
    try {
      const { sent, notify } = await deliver(() => ({ status: 204 }));
      expect(notify).toBeDefined();
      expect(sent?.headers['traceparent']).toBeUndefined();
    } finally {
      watched.unsubscribe(instrumentation);
    }
  });

  test('what was collected is handed over at the end, but an exporter that hangs holds up nothing', async () => {
    const { provider } = sdk();
    const tracing = await open();
    const flushed = vi.spyOn(provider, 'forceFlush');
    await tracing?.flush();
    expect(flushed).toHaveBeenCalledOnce();
    flushed.mockRejectedValueOnce(new Error('The collector is away.'));
    await expect(tracing?.flush()).resolves.toBeUndefined();
    flushed.mockReturnValueOnce(new Promise(() => {}));
    const quick = { ...systemClock, sleep: () => Promise.resolve() };
    const impatient = await openTracing({ log: new KeptLog(), clock: quick, version: '1', mask });
    await expect(impatient?.flush()).resolves.toBeUndefined();
  });

  test('an SDK of an API that is older than the one here is no reason not to start, but said', async () => {
    // As another copy of the API would have left it.
    const registry = { version: '1.0.0', trace: new NodeTracerProvider() };
    const place = globalThis as Record<symbol, unknown>;
    const before = place[REGISTRY];
    place[REGISTRY] = registry;
    try {
      const log = new KeptLog();
      expect(await open(log)).toBeUndefined();
      expect(log.lines).toMatchObject([{ level: 'warn', event: 'tracing-off' }]);
      expect(String(log.lines[0]?.fields['detail'])).toContain('version 1.0.0');
    } finally {
      place[REGISTRY] = before;
    }
  });

  test('an API that was not installed is no reason not to start, but said', async () => {
    sdk();
    const log = new KeptLog();
    expect(await openTracing({ log, clock: systemClock, version: '1', mask, load: notFound })).toBeUndefined();
    expect(log.lines).toMatchObject([{ level: 'warn', event: 'tracing-off' }]);
  });
});

describe('Without an SDK', () => {
  test('nothing is traced, and the API is not asked for', async () => {
    const load = vi.fn<() => Promise<never>>();
    expect(await openTracing({ log: new KeptLog(), clock: systemClock, version: '1', mask, load })).toBeUndefined();
    expect(load).not.toHaveBeenCalled();
  });

  test('a process loads nothing of OpenTelemetry', async () => {
    await using file = await agentFile();
    const hook = `import { registerHooks } from 'node:module';
      registerHooks({ load: (url, context, next) => {
        if (url.includes('opentelemetry')) process.stderr.write('LOADED ' + url + '\\n');
        return next(url, context);
      } });`;
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
    const args = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, main];
    const run = promisify(execFile)(process.execPath, [...args, 'backfill', '--config', file.config]);
    // It got as far as Polaris, which nobody can reach: all parts are there.
    const { code, stderr } = await run.then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
    expect(code).toBe(4);
    expect(stderr).toContain('[POLARIS_UNAVAILABLE]');
    // Our own adapter is there to look for an SDK; it is a file of ours.
    expect(stderr.split('\n').filter((line) => line.startsWith('LOADED') && line.includes('node_modules'))).toEqual([]);
  });
});

describe('The trail', () => {
  test('forgets the oldest reads, so that it never grows with traffic', () => {
    const trail = new Trail();
    trail.read([id('a.first'), id('a.again')], named('1'));
    for (let i = 0; i < 9_998; i += 1) trail.read([id(`b.t${i}`)], named('2'));
    trail.read([id('a.again')], named('3'));
    trail.read([id('c.one')], named('4'));
    expect(trail.of(id('a.first'))).toEqual([]);
    expect(trail.of(id('a.again'))).toEqual([named('3')]);
    expect(trail.of(id('c.one'))).toEqual([named('4')]);
  });
});
