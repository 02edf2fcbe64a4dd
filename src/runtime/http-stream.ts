import type { ServerResponse } from 'node:http';

/** Parts of a body that come in time. Texts are sent as UTF-8. */
export type HttpStream = AsyncIterable<string | Uint8Array>;

/** A client that doesn't read for so long is cut off. */
const STALLED_MS = 60_000;

/**
 * Sends a body part by part, and the next one only when the connection has taken the last: what a slow client doesn't read
 * is never produced. Ends with the stream, or when `until` aborts. Rejects with what the stream throws.
 */
export async function sendStream(
  response: ServerResponse,
  answer: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>> | undefined;
    readonly body: HttpStream;
  },
  until: AbortSignal,
): Promise<void> {
  // A closing server waits for its connections; this one ends with its stream.
  response.shouldKeepAlive = false;
  response.writeHead(answer.status, answer.headers);
  response.flushHeaders();
  const parts = answer.body[Symbol.asyncIterator]();
  try {
    while (!until.aborted) {
      const part = await unlessAborted(parts.next(), until);
      if (part === undefined || part.done === true) break;
      if (!response.write(part.value)) await drained(response, until);
    }
    response.end();
  } finally {
    // A stream that waits for its next part ends when that has come.
    parts.return?.().catch(() => {});
  }
}

async function drained(response: ServerResponse, until: AbortSignal): Promise<void> {
  const cut = setTimeout(() => response.destroy(), STALLED_MS);
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once('drain', resolve);
  await unlessAborted(promise, until);
  response.off('drain', resolve);
  clearTimeout(cut);
}

/** Undefined when `signal` aborts first. Leaves nothing behind at the signal, which lives as long as the connection. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
