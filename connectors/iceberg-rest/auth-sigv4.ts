import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { PushError } from '../../src/errors/errors.ts';
import type { AuthDeps, Authorizer } from './auth.ts';
import type { SigV4Auth } from './config.ts';
import { sentence } from './failure.ts';

/** AWS Signature Version 4, by the AWS SDK's own signer and credentials; those of a role are renewed by the SDK. */
export function openSigner(auth: SigV4Auth, deps: AuthDeps): Authorizer {
  const signer = new SignatureV4({
    service: auth.service,
    region: auth.region,
    credentials: credentialsOf(auth),
    sha256: Sha256,
  });
  return {
    prove: async ({ method, url }, signal) => {
      signal.throwIfAborted();
      try {
        const { headers } = await signer.sign(
          {
            method,
            protocol: url.protocol,
            hostname: url.hostname,
            path: url.pathname,
            query: Object.fromEntries(url.searchParams),
            headers: { host: url.host },
          },
          { signingDate: new Date(deps.catalogTime()) },
        );
        const { host: _, ...proof } = headers;
        for (const [name, value] of Object.entries(proof))
          if (name.toLowerCase() === 'x-amz-security-token') deps.redactor.addToken(value);
        return proof;
      } catch (error) {
        signal.throwIfAborted();
        throw new PushError(
          'REST_CREDENTIALS_MISSING',
          sentence(error instanceof Error ? error.message : String(error)),
        );
      }
    },
    renew: () => Promise.resolve(false),
    async [Symbol.asyncDispose]() {},
  };
}

function credentialsOf({ role, region }: SigV4Auth) {
  if (role === undefined) return fromNodeProviderChain({ clientConfig: { region } });
  return fromTemporaryCredentials({
    params: {
      RoleArn: role.arn,
      RoleSessionName: 'polaris-push',
      ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
    },
    clientConfig: { region },
  });
}
