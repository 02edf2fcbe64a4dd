import { z } from 'zod';
import { duration, secret } from './schema.ts';

/** A header field name, RFC 9110 section 5.1. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible ASCII and inner blanks: anything else would be refused at the first request. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const NOT_A_VALUE = 'has characters that a header cannot hold';

/** What a client sets itself on its requests; an extra header of such a name would be sent twice or break the framing. */
const OWN_HEADERS: readonly string[] = [
  'accept',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'if-none-match',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
];

/** An `http://` or `https://` address without credentials, query and fragment: it appears in logs and errors. */
export const webAddress = () =>
  z.string().superRefine((text, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message });
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) return refuse('expected an http:// or https:// address');
    if (url.username !== '' || url.password !== '') refuse('put credentials under auth, not into the address');
    if (url.search !== '' || url.hash !== '') refuse('expected an address without ? and #');
  });

/** Base64 of 24 to 64 bytes, as Standard Webhooks writes secrets. */
const WRITTEN_SECRET = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/;

/**
 * What signs webhooks. Anything else behind `whsec_` would decode to few bytes or none, and anybody can sign with no key;
 * a short text can be guessed from one signed request.
 */
export const webhookSecret = () =>
  secret().refine((text) => (text.startsWith('whsec_') ? WRITTEN_SECRET.test(text) : text.length >= 16), {
    error: 'expected whsec_ and base64 of 24 to 64 bytes, or any other text of at least 16 characters',
  });

/** The value of a header. */
export const headerValue = () => z.string().regex(HEADER_VALUE, { error: NOT_A_VALUE });

/** Extra headers of every request; their values are secrets. `own` are further names that the client sets itself. */
export const extraHeaders = (own: readonly string[] = []) =>
  z
    .record(z.string(), secret().regex(HEADER_VALUE, { error: NOT_A_VALUE }))
    .superRefine((headers, context) => {
      for (const name of Object.keys(headers)) {
        const refuse = (message: string) => context.addIssue({ code: 'custom', message, path: [name] });
        if (!HEADER_NAME.test(name)) refuse('not the name of a header');
        if ([...OWN_HEADERS, ...own].includes(name.toLowerCase())) refuse('this header is set by polaris-push itself');
      }
    })
    .default({});

/** How long the phases of one request may take, in ms. */
export type HttpTimeouts = {
  readonly connectMs: number;
  readonly headersMs: number;
  readonly bodyMs: number;
  readonly totalMs: number;
};

/** `total` describes what it means to a caller that the whole took too long. */
export const httpTimeouts = (total: string) =>
  z
    .strictObject({
      connect: duration().prefault('5s').describe('For name look-up, TCP and TLS together.'),
      headers: duration().prefault('30s').describe('From the request to the first line of the answer.'),
      body: duration().prefault('10s').describe('Between two pieces of an answer.'),
      total: duration().prefault('60s').describe(total),
    })
    .transform(({ connect, headers, body, total: whole }): HttpTimeouts => ({
      connectMs: connect,
      headersMs: headers,
      bodyMs: body,
      totalMs: whole,
    }));

/** A PEM file to trust, `tls.ca_file`. */
export const tlsConfig = () =>
  z.strictObject({
    ca_file: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of certificate authorities to trust besides those of the system.'),
  });
