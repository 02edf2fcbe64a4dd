import type { Persistence } from './recording.ts';

/** A Polaris to replay the recording against. */
export interface ConformanceServer extends AsyncDisposable {
  /** `http://host:port`, without a path. */
  readonly uri: string;
  readonly credentials: { readonly clientId: string; readonly clientSecret: string };
  /** A folder that both the server and this process can read, for its catalogs. */
  readonly warehouse: string;
  /** Which recording it is held to; either of them when undefined. */
  readonly persistence?: Persistence | undefined;
  /** Where it serves its health, if it does. */
  readonly managementUri?: string | undefined;
  /** Another server that is set up otherwise. Absent where only the one given server exists. */
  variant?(setup: ServerSetup): Promise<ConformanceServer>;
  /** Restarts it, with its state kept and its signing key lost. */
  restart?(): Promise<void>;
}

export type ServerSetup = {
  readonly pagination?: boolean | undefined;
  readonly rateLimitPerSecond?: number | undefined;
  readonly requireRealmHeader?: boolean | undefined;
  readonly tokenLifetimeSeconds?: number | undefined;
};
