import { channel } from 'node:diagnostics_channel';
import type { Attributes, Span as ApiSpan, SpanContext, TracerProvider } from '@opentelemetry/api';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Span, SpanAttributes, SpanReference, Tracing } from '../runtime/tracing.ts';

type Api = typeof import('@opentelemetry/api');

export type TracingDeps = {
  readonly log: Log;
  readonly clock: Clock;
  readonly version: string;
  /** Masks secrets in what failures say. */
  readonly mask: (text: string) => string;
  /** Where the API comes from; the package, but for tests. */
  readonly load?: (() => Promise<Api>) | undefined;
};

/** A collector that doesn't answer must not hold up the end. */
const FLUSH_MS = 2_000;

/** Where every copy of the API, of whatever 1.x version, keeps what an SDK has registered (its `internal/global-utils`). */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');

type Registry = { readonly version?: unknown; readonly trace?: unknown };

/**
 * Tracing by the SDK of OpenTelemetry that was loaded before (`node --import …`), set up by its own variables `OTEL_*`.
 * Undefined when there is none: then not even its API is loaded. An API that can't be found, or that is newer than the
 * SDK's and would be ignored by it, is a warning: tracing is no reason not to start.
 */
export async function openTracing(deps: TracingDeps): Promise<Tracing | undefined> {
  const registry = (globalThis as { readonly [REGISTRY]?: Registry })[REGISTRY];
  if (registry?.trace === undefined) return undefined;
  const { log, load = () => import('@opentelemetry/api') } = deps;
  try {
    const api = await load();
    if (api.trace.getTracerProvider() === registry.trace) return new OpenTelemetry(api, deps);
    const detail = `The SDK registered with version ${String(registry.version)} of @opentelemetry/api; the one beside polaris-push doesn't fit.`;
    log.warn('tracing-off', { detail, fix: FIX });
  } catch (error) {
    log.warn('tracing-off', { detail: '@opentelemetry/api was not found beside polaris-push.', fix: FIX, error });
  }
  return undefined;
}

const FIX = 'Install polaris-push, the SDK and @opentelemetry/api with one npm install, in one folder.';

class OpenTelemetry implements Tracing {
  readonly #api: Api;
  readonly #deps: TracingDeps;
  readonly #tracer: ReturnType<Api['trace']['getTracer']>;

  constructor(api: Api, deps: TracingDeps) {
    this.#api = api;
    this.#deps = deps;
    this.#tracer = api.trace.getTracer('polaris-push', deps.version);
  }

  async within<T>(
    name: string,
    { kind = 'internal', attributes, links = [] }: Parameters<Tracing['within']>[1],
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    const { context, trace, SpanKind } = this.#api;
    const span = this.#tracer.startSpan(name, {
      kind: kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL,
      attributes: present(attributes),
      links: links.map((link) => ({ context: link.span as SpanContext })),
    });
    const view = this.#view(span);
    try {
      return await context.with(trace.setSpan(context.active(), span), () => work(view));
    } catch (error) {
      view.failed(error instanceof Error ? error.message : String(error));
      throw error;
    } finally {
      span.end();
    }
  }

  record(name: string, tookMs: number, attributes?: SpanAttributes): void {
    const endTime = this.#deps.clock.now();
    const { ROOT_CONTEXT } = this.#api;
    // Whatever is under way in this turn of the event loop is not what it belongs to.
    const options = { startTime: endTime - tookMs, attributes: present(attributes), root: true };
    this.#tracer.startSpan(name, options, ROOT_CONTEXT).end(endTime);
  }

  headers(): Readonly<Record<string, string>> {
    // The SDK's own instrumentation of undici does it, with a span of its own; the header would be there twice.
    if (channel('undici:request:create').hasSubscribers) return {};
    const headers: Record<string, string> = {};
    const { context, propagation } = this.#api;
    propagation.inject(context.active(), headers);
    return headers;
  }

  async flush(): Promise<void> {
    const provider = delegateOf(this.#api.trace.getTracerProvider());
    if (provider.forceFlush === undefined) return;
    const timeout = new AbortController();
    const late = this.#deps.clock.sleep(FLUSH_MS, timeout.signal);
    try {
      await Promise.race([provider.forceFlush(), late]);
    } catch (error) {
      this.#deps.log.debug('spans-not-exported', { error });
    } finally {
      timeout.abort();
    }
  }

  #view(span: ApiSpan): Span {
    const { SpanStatusCode } = this.#api;
    const reference: SpanReference = { span: span.spanContext() };
    return {
      reference,
      set: (attributes) => void span.setAttributes(present(attributes)),
      failed: (message) => void span.setStatus({ code: SpanStatusCode.ERROR, message: this.#deps.mask(message) }),
    };
  }
}

type Flushable = { readonly forceFlush?: () => Promise<void> };

/** The API hands out a stand-in that has the SDK's provider inside. */
function delegateOf(provider: TracerProvider): Flushable {
  const { getDelegate } = provider as { readonly getDelegate?: () => Flushable };
  return getDelegate === undefined ? (provider as Flushable) : getDelegate.call(provider);
}

const present = (attributes: SpanAttributes = {}): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes;
