import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../runtime/clock.ts';

/** What a token says. `roles` are the principal roles asked for by scope; undefined means all. */
export type TokenClaims = { readonly clientId: string; readonly roles: readonly string[] | undefined };

/** Signed, stateless tokens in the shape of a JWT. `forget()` draws a new key, as a restart of Polaris may do. */
export class Tokens {
  readonly lifetimeSeconds: number;
  readonly #clock: Clock;
  #key = randomBytes(32);

  constructor(lifetimeSeconds: number, clock: Clock) {
    this.lifetimeSeconds = lifetimeSeconds;
    this.#clock = clock;
  }

  issue(claims: TokenClaims): string {
    const issuedAt = Math.floor(this.#clock.now() / 1000);
    const payload = {
      iss: 'polaris',
      sub: claims.clientId,
      jti: randomUUID(),
      client_id: claims.clientId,
      scope: claims.roles === undefined ? ALL_ROLES : claims.roles.map((role) => `${ROLE_PREFIX}${role}`).join(' '),
      iat: issuedAt,
      // In ms, unlike a JWT's exp, so that a lifetime below one second works in tests.
      expiresAtMs: this.#clock.now() + this.lifetimeSeconds * 1000,
    };
    const head = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
    return `${head}.${this.#sign(head)}`;
  }

  /** Undefined for a token that is expired, or that this server (since its last restart) didn't issue. */
  verify(token: string): TokenClaims | undefined {
    const end = token.lastIndexOf('.');
    const start = token.indexOf('.');
    if (start < 0 || end <= start) return undefined;
    const expected = Buffer.from(this.#sign(token.slice(0, end)));
    const given = Buffer.from(token.slice(end + 1));
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
    const payload = JSON.parse(Buffer.from(token.slice(start + 1, end), 'base64url').toString()) as {
      client_id: string;
      scope: string;
      expiresAtMs: number;
    };
    if (payload.expiresAtMs <= this.#clock.now()) return undefined;
    return { clientId: payload.client_id, roles: rolesOf(payload.scope) };
  }

  forget(): void {
    this.#key = randomBytes(32);
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }
}

const ROLE_PREFIX = 'PRINCIPAL_ROLE:';
const ALL_ROLES = `${ROLE_PREFIX}ALL`;

/** The principal roles that a valid scope names; undefined for all. */
export function rolesOf(scope: string): readonly string[] | undefined {
  const roles = scope.split(' ').map((part) => part.slice(ROLE_PREFIX.length));
  return roles.includes('ALL') ? undefined : roles;
}

/** Polaris knows only scopes of principal roles; it doesn't check that the role exists. */
export const isValidScope = (scope: string): boolean =>
  scope.split(' ').every((part) => part.startsWith(ROLE_PREFIX) && part.length > ROLE_PREFIX.length);

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
