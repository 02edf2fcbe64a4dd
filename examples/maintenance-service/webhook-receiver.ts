import { PushError } from '../../src/errors/errors.ts';
import { tableEvent, type TableEvent } from '../../src/forward/cloud-event.ts';
import type { HttpRequest, HttpResponse, Routes } from '../../src/runtime/http-server.ts';
import { verifyWebhook } from '../../src/runtime/webhook-signature.ts';

export const EVENTS_PATH = '/events';

/** An event takes some 700 bytes; names can make it longer. */
const MAX_BODY_BYTES = 64 * 1024;
const RETRY_AFTER_SECONDS = '5';

export type WebhookOptions = {
  readonly secret: string;
  /** Resolves when the event is done with; what it throws is answered with 503, so that it comes again. */
  readonly onEvent: (event: TableEvent, signal: AbortSignal) => Promise<unknown>;
  /** Told what was turned away, and what failed. */
  readonly onProblem: (problem: string) => void;
};

/**
 * Takes forwarded events at `POST /events`. Answers 204 only when an event is done with; 401 to whom the secret isn't
 * known; 400 to what isn't an event, which its sender puts aside.
 */
export function receiveWebhooks(routes: Routes, options: WebhookOptions): Disposable {
  return routes.route('POST', EVENTS_PATH, (request) => receive(request, options));
}

async function receive(request: HttpRequest, options: WebhookOptions): Promise<HttpResponse> {
  const { secret, onEvent, onProblem } = options;
  const body = await request.body(MAX_BODY_BYTES);
  const verified = verifyWebhook(secret, request.headers, body, Date.now());
  if (verified.kind === 'invalid') {
    onProblem(`turned away a request: ${verified.reason}`);
    return { status: 401, body: `${verified.reason}\n` };
  }
  const event = parseEvent(body.toString());
  if (event === undefined) {
    onProblem(`turned away request ${verified.id}: it is no event of a table`);
    return { status: 400, body: 'This is no event of a table.\n' };
  }
  try {
    await onEvent(event, request.signal);
    return { status: 204 };
  } catch (error) {
    onProblem(`${event.subject}: ${error instanceof Error ? error.message : String(error)}`);
    const why = error instanceof PushError ? `${error.code}\n` : 'It failed.\n';
    return { status: 503, headers: { 'retry-after': RETRY_AFTER_SECONDS }, body: why };
  }
}

/** Undefined for what isn't an event. */
export function parseEvent(text: string): TableEvent | undefined {
  try {
    return tableEvent.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
