import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Reply } from './reply.ts';

const unzip = promisify(gunzip);
const BODY_LIMIT_BYTES = 10 * 1024 * 1024;

export const TOO_LARGE = Symbol('too large');
export const CUT_OFF = Symbol('cut off');

export const headerOf = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

/**
 * The body as text, unzipped if need be. Polaris takes up to 10 MiB; what is beyond is read and forgotten, as a client
 * that is cut off while it writes doesn't get to see the answer.
 */
export async function readBody(request: IncomingMessage): Promise<string | typeof TOO_LARGE | typeof CUT_OFF> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= BODY_LIMIT_BYTES) chunks.push(chunk);
    }
    if (size > BODY_LIMIT_BYTES) return TOO_LARGE;
    const content = Buffer.concat(chunks);
    return (request.headers['content-encoding'] === 'gzip' ? await unzip(content) : content).toString();
  } catch {
    return CUT_OFF;
  }
}

/** Sends an answer; one to HEAD keeps its headers and loses its body. */
export function sendReply(response: ServerResponse, method: string, requestId: string, reply: Reply): void {
  const text = reply.text ?? (reply.body === undefined ? '' : JSON.stringify(reply.body));
  const headers: Record<string, string | number> = { 'x-request-id': requestId };
  if (text !== '') headers['content-type'] = 'application/json;charset=UTF-8';
  if (text !== '' && method === 'HEAD') headers['content-encoding'] = 'identity';
  if (method !== 'HEAD' && reply.status !== 204 && reply.status !== 304) {
    headers['content-length'] = Buffer.byteLength(text);
  }
  response.writeHead(reply.status, Object.assign(headers, reply.headers));
  response.end(method === 'HEAD' ? undefined : text);
}
