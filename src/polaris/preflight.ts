import type { Finding } from '../core/finding.ts';
import { nextTimestamp } from '../core/timestamp.ts';
import type { Notification, Outcome, RefusalReason, TableIdentifier } from '../core/types.ts';
import type { Obstacle } from '../runtime/transport.ts';
import type { CatalogConfig, CatalogDirectory } from './addressing.ts';
import { deniedPrincipal, type Failure } from './classify.ts';
import type { TargetConfig } from './config.ts';
import { createCatalogCommand, grantCommands, PRIVILEGES, showCatalogCommand } from './provisioning.ts';
import { failureOf, type Session } from './session.ts';

export type PreflightParts = {
  readonly session: Session;
  readonly directory: CatalogDirectory;
  readonly notify: (notification: Notification, signal: AbortSignal) => Promise<Outcome>;
};

/** A table that nobody has; a VALIDATE of it makes neither namespace nor table (recorded). */
const PROBE: TableIdentifier = { namespace: ['polaris_push_check'], name: 'probe' };
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Looks at the target from the outside in, and stops at the first thing that hides all that lies behind it. Changes
 * nothing. Throws only the signal's reason.
 */
export async function* preflight(parts: PreflightParts, signal: AbortSignal): AsyncGenerator<Finding> {
  const { session, directory } = parts;
  const { config } = session;
  if (!config.uri.endsWith('/api/catalog')) {
    yield {
      level: 'warning',
      subject: 'uri',
      detail: `${config.uri} doesn't end in /api/catalog, where Polaris serves its catalog API.`,
      fix: `uri: ${new URL(config.uri).origin}/api/catalog, unless a gateway rewrites the path.`,
    };
  }
  const reach = await reachable(session, signal);
  yield* reach;
  if (failed(reach)) return;

  const token = await session.tokens.token(signal);
  if (token.kind !== 'token') {
    yield tokenFinding(token, config);
    return;
  }
  yield { level: 'ok', subject: 'token', detail: `There is one (${config.auth.kind}).` };

  // A check is asked for to learn what holds now.
  directory.forget();
  const answer = await directory.config(signal);
  if (answer.kind !== 'config') {
    yield catalogFinding(answer, config);
    return;
  }
  const { baseLocation } = answer.config;
  yield {
    level: 'ok',
    subject: 'catalog',
    detail: `${config.catalog} exists${baseLocation === undefined ? '' : `, with its base at ${baseLocation}`}.`,
  };
  yield* probe(parts, answer.config, signal);
}

const sentence = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);

const failed = (findings: readonly Finding[]): boolean => findings.some(({ level }) => level === 'error');

/** Asks without a token, so that a wrong address and a wrong secret can be told apart. Any answer of HTTP will do. */
async function reachable(session: Session, signal: AbortSignal): Promise<readonly Finding[]> {
  const { config } = session;
  const path = `v1/config?warehouse=${encodeURIComponent(config.catalog)}`;
  const request = { kind: 'check', method: 'GET', path, maxBodyBytes: MAX_ANSWER_BYTES } as const;
  const reply = await session.send(request, undefined, signal);
  if (reply.kind === 'failed') {
    return [
      {
        level: 'error',
        subject: 'reachable',
        detail: sentence(reply.failure.message),
        fix: reply.obstacle === undefined ? SILENT_FIX : OBSTACLE_FIXES[reply.obstacle],
        code: 'POLARIS_UNAVAILABLE',
      },
    ];
  }
  const { answer } = reply;
  const reached: Finding = { level: 'ok', subject: 'reachable', detail: `${config.uri} answers.` };
  const failure = failureOf(reply);
  if (failure.kind === 'refused' && failure.reason === 'no-such-realm') return [reached, realmFinding(config)];
  const redirected = answer.status >= 300 && answer.status < 400;
  const elsewhere = answer.status === 404 && !(failure.kind === 'refused' && failure.reason === 'no-such-catalog');
  if (redirected || elsewhere) {
    return [
      {
        level: 'error',
        subject: 'uri',
        detail: `${config.uri} is not where Polaris serves its catalog API: ${sentence(answer.message)}`,
        fix: `Correct the uri; it usually is ${new URL(config.uri).origin}/api/catalog.`,
      },
    ];
  }
  if (answer.status >= 500) {
    return [
      {
        level: 'error',
        subject: 'reachable',
        detail: `${config.uri} answers, but Polaris isn't available: ${sentence(answer.message)}`,
        fix: "Look at Polaris's own log, and at the proxy before it.",
        code: 'POLARIS_UNAVAILABLE',
      },
    ];
  }
  const realm = config.realm === undefined ? 'The default realm is served.' : `${config.realm} is served.`;
  return [reached, { level: 'ok', subject: 'realm', detail: realm }];
}

const SILENT_FIX =
  'Is this the port of Polaris, and http or https as the server has it? Otherwise raise timeouts.headers, or look at what stands before Polaris.';

const OBSTACLE_FIXES: Readonly<Record<Obstacle, string>> = {
  name: 'Correct the host in uri, or the DNS settings of this machine.',
  refused: 'Start Polaris, or correct host and port in uri.',
  tls: 'Give the authority that signed the server certificate as tls.ca_file; the certificate must name the host in uri.',
  timeout: 'Let a firewall or security group pass connections from here, or raise timeouts.connect.',
  connection: 'Is there a route to the host, and does it speak http or https as in uri?',
};

const realmFinding = ({ realm }: TargetConfig): Finding => ({
  level: 'error',
  subject: 'realm',
  code: 'POLARIS_NO_SUCH_REALM',
  detail:
    realm === undefined
      ? 'Polaris wants a realm and none is configured.'
      : `Polaris has no realm ${JSON.stringify(realm)}.`,
  fix: 'Set realm to one of polaris.realm-context.realms of the server.',
});

function tokenFinding(failure: Failure, config: TargetConfig): Finding {
  if (failure.kind === 'refused' && failure.reason === 'no-such-realm') return realmFinding(config);
  const code = failure.kind === 'unauthorized' ? 'POLARIS_UNAUTHORIZED' : 'POLARIS_UNAVAILABLE';
  const base = { level: 'error', subject: 'token', detail: sentence(failure.message), code } as const;
  switch (config.auth.kind) {
    case 'client-credentials':
      return failure.kind === 'unauthorized'
        ? { ...base, fix: 'Correct auth.client_id, auth.client_secret (or client_secret_file) and auth.scope.' }
        : { ...base, fix: 'Make the token endpoint reachable, or correct auth.token_uri.' };
    case 'token':
      return { ...base, fix: 'Put a valid token into auth.token.' };
    case 'token-file':
      return { ...base, fix: 'Let auth.token_file name a file with a token that this process may read.' };
  }
}

function catalogFinding(failure: Failure, config: TargetConfig): Finding {
  if (failure.kind === 'unauthorized') return refusedToken(failure, config);
  const base = { level: 'error', subject: 'catalog', detail: sentence(failure.message) } as const;
  if (failure.kind === 'refused' && failure.reason === 'no-such-catalog') {
    const detail = `Polaris has no catalog ${JSON.stringify(config.catalog)}.`;
    return {
      ...base,
      code: 'POLARIS_NO_SUCH_CATALOG',
      detail,
      fix: `Correct the catalog's name, or make it:\n${createCatalogCommand(config)}`,
    };
  }
  return base;
}

function refusedToken(failure: Failure, config: TargetConfig): Finding {
  const base = {
    level: 'error',
    subject: 'token',
    detail: `Polaris does not accept the token: ${sentence(failure.message)}`,
    code: 'POLARIS_UNAUTHORIZED',
  } as const;
  switch (config.auth.kind) {
    case 'client-credentials':
      return {
        ...base,
        fix:
          config.auth.tokenUri === undefined
            ? 'Does the principal still exist? Otherwise look at the log of Polaris.'
            : 'Let Polaris accept tokens of this identity provider (polaris.authentication.type external or mixed), and check auth.scope.',
      };
    case 'token':
      return {
        ...base,
        fix: 'The token has expired, or is for another realm or server: put a new one into auth.token.',
      };
    case 'token-file':
      return { ...base, fix: `What renews ${config.auth.path} doesn't, or renews it for another realm or server.` };
  }
}

/** One VALIDATE tells the catalog's type and all five privileges; authorization comes first, then type, then location. */
async function* probe(parts: PreflightParts, { baseLocation }: CatalogConfig, signal: AbortSignal) {
  const { session, notify } = parts;
  const { config, clock } = session;
  const base = baseLocation?.replace(/\/+$/, '') ?? 'file:///polaris-push-check';
  const outcome = await notify(
    {
      type: 'VALIDATE',
      table: PROBE,
      timestamp: nextTimestamp(undefined, clock.now()),
      metadataLocation: `${base}/${PROBE.namespace.join('/')}/${PROBE.name}/metadata/00000-0.metadata.json`,
    },
    signal,
  );
  const refusal = outcome.kind === 'refused' ? outcome.reason : undefined;
  // A location is looked at last, so its refusal proves the rest. An invented one proves nothing about the catalog's own.
  if (outcome.kind === 'admitted' || refusal === 'location-not-allowed') {
    yield { level: 'ok', subject: 'type', detail: `${config.catalog} is EXTERNAL.` } satisfies Finding;
    yield { level: 'ok', subject: 'privileges', detail: 'All five are granted.' } satisfies Finding;
    yield locationFinding(outcome, baseLocation, config);
    return;
  }
  yield probeFailure(outcome, refusal, config);
}

function locationFinding(outcome: Outcome, baseLocation: string | undefined, config: TargetConfig): Finding {
  if (outcome.kind === 'admitted' && baseLocation !== undefined) {
    return { level: 'ok', subject: 'locations', detail: `Tables below ${baseLocation} are allowed.` };
  }
  return {
    level: 'warning',
    subject: 'locations',
    detail:
      outcome.kind === 'refused'
        ? `Not allowed: ${sentence(outcome.message)}`
        : 'The catalog tells no base location, so allowed locations were not tried.',
    fix: `Compare allowedLocations with where the source's tables lie:\n${showCatalogCommand(config)}`,
  };
}

function probeFailure(
  outcome: Exclude<Outcome, { kind: 'admitted' }>,
  refusal: RefusalReason | undefined,
  config: TargetConfig,
): Finding {
  if (refusal === 'not-authorized') {
    const { principal, principalRole } = deniedPrincipal(outcome.message);
    const who = principal === undefined ? 'The principal' : `Principal ${principal}`;
    return {
      level: 'error',
      subject: 'privileges',
      detail: `${who} lacks privileges on ${config.catalog}; all of ${PRIVILEGES.join(', ')} are needed on the catalog itself.`,
      fix: `As an administrator of Polaris:\n${grantCommands(config, principalRole)}`,
      code: 'POLARIS_FORBIDDEN',
    };
  }
  if (refusal === 'internal-catalog') {
    const command = createCatalogCommand(config, `${config.catalog}_mirror`);
    return {
      level: 'error',
      subject: 'type',
      code: 'POLARIS_CATALOG_INTERNAL',
      detail: `${config.catalog} is an INTERNAL catalog, which takes no notifications.`,
      fix: `A catalog's type can't be changed. Make an EXTERNAL one and set catalog to its name:\n${command}`,
    };
  }
  if (outcome.kind === 'unauthorized') return refusedToken(outcome, config);
  return {
    level: 'error',
    subject: 'notifications',
    detail: `A VALIDATE of an invented table failed: ${sentence(outcome.message)}`,
    fix:
      outcome.kind === 'unavailable' || outcome.kind === 'unknown'
        ? "Look at Polaris's log: can it get credentials for the catalog's storage?"
        : `Is this an Apache Polaris that takes notifications? Look at the catalog:\n${showCatalogCommand(config)}`,
  };
}
