import { readFile } from 'node:fs/promises';
import { PushError } from '../errors/errors.ts';

/** The PEM file of `tls.ca_file`; undefined if there is none. Throws `PushError` CONFIG_INVALID when it can't be used. */
export async function readAuthorities(caFile: string | undefined): Promise<string | undefined> {
  if (caFile === undefined) return undefined;
  const refuse = (why: string, cause?: unknown) =>
    new PushError('CONFIG_INVALID', `tls.ca_file ${caFile} ${why}.`, {
      cause,
      fix: 'Let tls.ca_file name a PEM file with the certificate of the authority that signed the server certificate.',
    });
  let pem: string;
  try {
    pem = await readFile(caFile, 'utf8');
  } catch (error) {
    throw refuse(`can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`, error);
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw refuse('holds no PEM certificate');
  return pem;
}
