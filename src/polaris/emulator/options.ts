import type { TableIdentifier } from '../../core/types.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { StorageType } from './catalog.ts';
import type { WireType } from './notification-request.ts';
import type { RequestKind } from './routes.ts';

/** A catalog that exists from the start. */
export type EmulatedCatalog = {
  readonly name: string;
  /** EXTERNAL unless told. */
  readonly type?: 'EXTERNAL' | 'INTERNAL' | undefined;
  /** `file:///…` or `s3://…`; must lie in one of `allowedLocations`. */
  readonly baseLocation: string;
  /** `[baseLocation]` unless told. */
  readonly allowedLocations?: readonly string[] | undefined;
  /** From the scheme of `baseLocation` unless told. Only FILE has its metadata files read. */
  readonly storageType?: StorageType | undefined;
  readonly properties?: Readonly<Record<string, string>> | undefined;
};

export type EmulatorOptions = {
  /** 0 (the default) takes any free port; `uri` tells which. */
  readonly port?: number | undefined;
  /** 127.0.0.1 unless told. */
  readonly host?: string | undefined;
  readonly catalogs?: readonly EmulatedCatalog[] | undefined;
  /** Of the service administrator; `root` / `s3cr3t` unless told. */
  readonly credentials?: { readonly clientId: string; readonly clientSecret: string } | undefined;
  /** The only realm there is; POLARIS unless told. */
  readonly realm?: string | undefined;
  /** Whether a request must name its realm in the header `Polaris-Realm`; false unless told. */
  readonly requireRealmHeader?: boolean | undefined;
  /** Whether lists honour `pageSize` and `pageToken`; false unless told, as in Polaris. */
  readonly pagination?: boolean | undefined;
  /** Requests a second, with a burst of as many; no limit unless told. */
  readonly rateLimitPerSecond?: number | undefined;
  /** 3,600 unless told. */
  readonly tokenLifetimeSeconds?: number | undefined;
  /** How long a request takes at least, by its kind. A notification spends it between looking at the table and committing. */
  readonly latencyMs?: Readonly<Partial<Record<RequestKind, number>>> | undefined;
  /** `never` takes every metadata file for readable and right, as is done for object stores anyway; `file` unless told. */
  readonly readMetadata?: 'file' | 'never' | undefined;
  readonly clock?: Clock | undefined;
};

/** A request as `intercept` sees it. */
export type EmulatedRequest = {
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  readonly kind: RequestKind;
  readonly requestId: string;
  readonly catalog?: string | undefined;
  readonly table?: TableIdentifier | undefined;
  /** Of a notification that could be parsed. */
  readonly type?: WireType | undefined;
  readonly timestamp?: bigint | undefined;
  readonly metadataLocation?: string | undefined;
};

/** A request and how it was answered; `status` is undefined when the connection was cut instead. */
export type AnsweredRequest = EmulatedRequest & {
  readonly status: number | undefined;
  readonly error?: string | undefined;
};

/** What happens to a request. */
export type Fault =
  | 'pass'
  /** The connection is cut, and nothing was done. */
  | 'reset'
  /** The connection is cut after the request has had its effect: the client can't know. */
  | 'apply-then-reset'
  /** The request is handled, later. */
  | { readonly delayMs: number }
  /** Answered so, with no effect. */
  | {
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>> | undefined;
    };
