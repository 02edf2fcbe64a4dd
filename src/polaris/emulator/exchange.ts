import type { IncomingHttpHeaders } from 'node:http';
import type { Catalog } from './catalog.ts';
import type { Caller } from './principals.ts';
import type { Operation } from './privileges.ts';
import { Refusal } from './reply.ts';
import type { World } from './world.ts';

/** One request on its way through a handler. */
export class Exchange {
  readonly world: World;
  readonly path: readonly string[];
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly #caller: Caller | undefined;
  /** Takes the time that a real server would spend on the operation. */
  readonly work: () => Promise<void>;

  constructor(spec: {
    world: World;
    path: readonly string[];
    query: string;
    headers: IncomingHttpHeaders;
    body: string;
    caller: Caller | undefined;
    work: () => Promise<void>;
  }) {
    this.world = spec.world;
    this.path = spec.path;
    this.query = spec.query;
    this.headers = spec.headers;
    this.body = spec.body;
    this.#caller = spec.caller;
    this.work = spec.work;
  }

  /** The decoded path parameter at a place counted from 0. */
  parameter(place: number): string {
    const value = this.path[place];
    if (value === undefined) throw new Error('The route has no such parameter.');
    return value;
  }

  /** Namespace levels, which Polaris separates by U+001F. */
  namespace(place: number): readonly string[] {
    return this.parameter(place).split('\u001F');
  }

  get search(): URLSearchParams {
    return new URLSearchParams(this.query);
  }

  get caller(): Caller {
    if (this.#caller === undefined) throw new Error('The route takes requests without a token.');
    return this.#caller;
  }

  /** The catalog that the first path parameter names. Throws Polaris's odd 404 of a namespace without a name. */
  catalog(): Catalog {
    const catalog = this.world.catalogs.get(this.parameter(0));
    if (catalog === undefined) throw new Refusal(404, 'NoSuchNamespaceException', "Namespace does not exist: ''");
    return catalog;
  }

  /** The catalog, when the caller may do the operation on it. Throws 403 otherwise. */
  authorized(operation: Operation, namespace: readonly string[] = []): Catalog {
    const catalog = this.catalog();
    this.world.principals.authorize(this.caller, operation, catalog, namespace);
    return catalog;
  }
}
