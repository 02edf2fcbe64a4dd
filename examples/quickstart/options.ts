import { parseArgs } from 'node:util';

export const HELP = `Usage: npm start [-- options]

Shows polaris-push at its main job: keeping an EXTERNAL catalog of Apache Polaris
equal to a Hive Metastore. Without options everything it needs is embedded: a
PostgreSQL with a metastore's tables, a writer that does on it what Hive and
Iceberg do, and an emulated Polaris. On a terminal it goes on until Ctrl-C.

  --once                run a fixed workload, compare, and end; what happens
                        without a terminal anyway. Exits with 0 only if equal
  --help                print this

Against your own systems (nothing is written to the metastore; the replication
slot is made for this run and dropped at its end):

  --hms URL             the metastore's database, postgresql://user@host/database
                        (password in the URL or in PGPASSWORD)
  --polaris URL         Polaris's catalog API, https://host/api/catalog
  --catalog NAME        the EXTERNAL catalog in Polaris (hive_mirror)
  --realm NAME          the realm in Polaris, if not the default one
  --client-id ID        of the principal in Polaris (or POLARIS_CLIENT_ID)
  --client-secret-file FILE
                        its secret (or POLARIS_CLIENT_SECRET)
  --hive-catalog NAME   the metastore's own catalog (hive)
  --publication NAME    the publication in its database (polaris_push); created
                        when it is missing and the role may do so
  --once                reconcile, compare, and end

Exit codes: 0 equal, 1 unexpected error, 2 usage or configuration,
3 not equal, 4 unreachable or not authorized, 130 interrupted.
`;

/** The user's own systems. */
export type OwnSystems = {
  readonly hms: string;
  readonly polaris: string;
  readonly catalog: string;
  readonly realm?: string | undefined;
  readonly clientId: string;
  readonly clientSecret: { readonly file: string } | { readonly value: string };
  readonly hiveCatalog: string;
  readonly publication: string;
};

export type Options = { readonly once: boolean; readonly help: boolean; readonly own?: OwnSystems | undefined };

/** The command line is not valid; the message says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Throws `UsageError`. */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Options {
  const values = parsed(argv);
  const { once = false, help = false, hms, polaris } = values;
  if (hms === undefined && polaris === undefined) {
    const stray = Object.keys(values).find((name) => name !== 'once' && name !== 'help');
    if (stray !== undefined) throw new UsageError(`--${stray} goes with --hms and --polaris.`);
    return { once, help };
  }
  if (hms === undefined || polaris === undefined) throw new UsageError('--hms and --polaris go together.');
  const clientId = values['client-id'] ?? env['POLARIS_CLIENT_ID'];
  if (clientId === undefined) throw new UsageError('Missing: --client-id, or POLARIS_CLIENT_ID.');
  return {
    once,
    help,
    own: {
      hms: address('--hms', hms, /^postgres(ql)?:$/),
      polaris: address('--polaris', polaris, /^https?:$/).replace(/\/+$/, ''),
      catalog: values.catalog ?? 'hive_mirror',
      realm: values.realm,
      clientId,
      clientSecret: secret(values['client-secret-file'], env['POLARIS_CLIENT_SECRET']),
      hiveCatalog: values['hive-catalog'] ?? 'hive',
      publication: values.publication ?? 'polaris_push',
    },
  };
}

function parsed(argv: readonly string[]) {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      options: {
        once: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        hms: string,
        polaris: string,
        catalog: string,
        realm: string,
        'client-id': string,
        'client-secret-file': string,
        'hive-catalog': string,
        publication: string,
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

function address(option: string, text: string, protocol: RegExp): string {
  // Not quoted: it may hold a password.
  if (!protocol.test(URL.parse(text)?.protocol ?? ''))
    throw new UsageError(`${option}: expected a URL such as in --help.`);
  return text;
}

function secret(file: string | undefined, value: string | undefined): OwnSystems['clientSecret'] {
  if (file !== undefined) return { file };
  if (value !== undefined) return { value };
  throw new UsageError('Missing: --client-secret-file, or POLARIS_CLIENT_SECRET.');
}
