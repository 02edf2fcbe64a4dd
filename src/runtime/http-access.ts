import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

/** What a route is of. Areas that are open are answered without the token. */
export type HttpArea = 'health' | 'metrics' | 'page';

export type HttpAccessConfig = {
  /** Undefined: whoever reaches the address may ask. */
  readonly token?: string | undefined;
  readonly open?: readonly HttpArea[] | undefined;
};

export type Verdict =
  /** `trusted`: it has the token, or none is needed. */
  | { readonly kind: 'allowed'; readonly trusted: boolean }
  | { readonly kind: 'no-token' }
  /** It was sent to another name, as by a web page whose name was made to lead here (DNS rebinding). */
  | { readonly kind: 'foreign-name' };

/** Who may ask what. */
export class HttpAccess {
  readonly #token: Buffer | undefined;
  readonly #open: ReadonlySet<HttpArea>;
  readonly #ownNamesOnly: boolean;

  /** @param host Where the server listens. */
  constructor({ token, open = [] }: HttpAccessConfig, host: string) {
    this.#token = token === undefined ? undefined : digest(token);
    this.#open = new Set(open);
    this.#ownNamesOnly = token === undefined && isLoopback(host);
  }

  judge(area: HttpArea, headers: IncomingHttpHeaders): Verdict {
    if (this.#token === undefined) {
      const foreign = this.#ownNamesOnly && headers.host !== undefined && !isLoopback(nameIn(headers.host));
      return foreign ? { kind: 'foreign-name' } : { kind: 'allowed', trusted: true };
    }
    const given = tokenIn(headers.authorization);
    if (given !== undefined && timingSafeEqual(digest(given), this.#token)) return { kind: 'allowed', trusted: true };
    return this.#open.has(area) ? { kind: 'allowed', trusted: false } : { kind: 'no-token' };
  }
}

/** Whether only this machine can reach this address, or this name leads nowhere else. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Without the port, and without the brackets of an IPv6 address. */
const nameIn = (host: string): string => /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host)?.slice(1).join('') ?? host;

/** `Bearer` as programs send it; of `Basic`, which browsers ask people for, the password. */
function tokenIn(authorization: string | undefined): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme === '') return undefined;
  const pair = Buffer.from(value, 'base64').toString();
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined;
}

/** Of one length whatever the text, so that comparing tells nothing of it. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
