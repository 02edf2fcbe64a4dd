import { showTable } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';
import { deniedPrincipal, saysNoSuchTable } from './classify.ts';
import { toError } from './failure.ts';
import { encodeTable, type Addressing } from '../runtime/rest-names.ts';
import { grantCommands } from './provisioning.ts';
import { failureOf, type Reply, type Session } from './session.ts';

/** Who gives access to the table's files, as the Iceberg REST specification names it. */
export type Delegation = 'vended-credentials' | 'remote-signing';

export type LoadTableOptions = {
  /** Sent as `X-Iceberg-Access-Delegation`; absent: no header, and no access to the files is asked for. */
  readonly delegation?: Delegation | undefined;
};

export type LoadedTable = {
  readonly metadataLocation: string;
  /** Table metadata as Iceberg specifies it. Integers beyond 2^53, such as snapshot ids, are bigints: no digit is lost. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** How to reach the files. **Holds secrets** when credentials are vended: not for logs. */
  readonly config: Readonly<Record<string, string>>;
  /** Vended credentials by the prefix of the locations that they are for. **Holds secrets.** */
  readonly storageCredentials: readonly StorageCredential[];
};

export type StorageCredential = {
  readonly prefix: string;
  readonly config: Readonly<Record<string, string>>;
};

/** Metadata of a table with a hundred thousand snapshots has some 50 MB. */
const MAX_TABLE_BYTES = 256 * 1024 * 1024;

type Place = {
  readonly session: Session;
  readonly addressing: Addressing;
  readonly table: TableIdentifier;
};

/** Loads a table. Throws `PushError`: `POLARIS_NO_SUCH_TABLE`, `POLARIS_FORBIDDEN` with the commands that grant access. */
export async function loadTable(place: Place, options: LoadTableOptions, signal: AbortSignal): Promise<LoadedTable> {
  const { session, addressing, table } = place;
  const { delegation } = options;
  const encoded = encodeTable(table, addressing.separator);
  if (encoded.kind === 'unaddressable') {
    const { name } = session.config;
    throw new PushError('POLARIS_NO_SUCH_TABLE', `Target ${name}: ${showTable(table)}: ${encoded.reason}`);
  }
  const reply = await session.call(
    {
      kind: 'load',
      method: 'GET',
      path: `v1/${addressing.prefix}/${encoded.path}`,
      ...(delegation === undefined ? {} : { headers: { 'x-iceberg-access-delegation': delegation } }),
      maxBodyBytes: MAX_TABLE_BYTES,
    },
    signal,
  );
  if (reply.kind !== 'answer' || reply.answer.status !== 200) throw failed(reply, place, options);
  if (reply.cut) throw problem(place, `its answer is longer than ${MAX_TABLE_BYTES} bytes.`);
  const loaded = readTable(reply.body);
  if (loaded === undefined) throw problem(place, 'its answer has no metadata-location or no metadata.');
  return loaded;
}

function failed(reply: Reply, { session, table }: Place, { delegation }: LoadTableOptions): PushError {
  const { config } = session;
  const failure = failureOf(reply);
  const what = `Loading ${showTable(table)} failed`;
  if (reply.kind === 'answer' && saysNoSuchTable(reply.answer)) {
    return new PushError('POLARIS_NO_SUCH_TABLE', `Target ${config.name}: ${what}: ${reply.answer.message}`);
  }
  if (failure.kind !== 'refused' || failure.reason !== 'not-authorized') return toError(failure, config.name, what);
  // Access to the files is more than sight of the metadata (recorded).
  return forbidden(failure.message, {
    session,
    what,
    privileges: [delegation === undefined ? 'TABLE_READ_PROPERTIES' : 'TABLE_READ_DATA'],
  });
}

/** A denial, with the commands that end it. */
export function forbidden(
  message: string,
  about: { readonly session: Session; readonly what: string; readonly privileges: readonly string[] },
): PushError {
  const { session, what, privileges } = about;
  const { config } = session;
  const { principal, principalRole } = deniedPrincipal(message);
  const who = principal === undefined ? 'the principal' : `principal ${principal}`;
  return new PushError(
    'POLARIS_FORBIDDEN',
    `Target ${config.name}: ${what}: ${who} lacks ${privileges.join(', ')} on ${config.catalog}.`,
    { fix: `As an administrator of Polaris:\n${grantCommands(config, principalRole, privileges)}` },
  );
}

const problem = ({ session, table }: Place, why: string): PushError =>
  new PushError('POLARIS_REFUSED', `Target ${session.config.name}: ${showTable(table)} can't be loaded: ${why}`);

function readTable(body: string): LoadedTable | undefined {
  const answer = asRecord(parseExactly(body));
  const metadataLocation = answer?.['metadata-location'];
  const metadata = asRecord(answer?.['metadata']);
  if (typeof metadataLocation !== 'string' || metadata === undefined) return undefined;
  const credentials = answer?.['storage-credentials'];
  return {
    metadataLocation,
    metadata,
    config: texts(answer?.['config']),
    storageCredentials: Array.isArray(credentials) ? credentials.flatMap(readCredential) : [],
  };
}

/** JSON with exact integers; undefined when it is none. */
function parseExactly(body: string): unknown {
  try {
    return JSON.parse(body, exactInteger as Reviver) as unknown;
  } catch {
    return undefined;
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

function exactInteger(this: unknown, _key: string, value: unknown, { source = '' }: { readonly source?: string }) {
  const isCut = typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
  return isCut ? BigInt(source) : value;
}

function readCredential(value: unknown): StorageCredential[] {
  const credential = asRecord(value);
  const prefix = credential?.['prefix'];
  return typeof prefix === 'string' ? [{ prefix, config: texts(credential?.['config']) }] : [];
}

const asRecord = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;

const texts = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(asRecord(value) ?? {}).flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : [])),
  );
