import { SingleFlight } from '../runtime/single-flight.ts';
import { parseJson } from './answer.ts';
import type { Failure } from './classify.ts';
import { DEFAULT_SEPARATOR, encodePrefix, encodeSeparator, type Addressing } from '../runtime/rest-names.ts';
import { failureOf, type Session } from './session.ts';

/** What the server says about the catalog before anything else is asked. */
export type CatalogConfig = {
  readonly addressing: Addressing;
  /** Where tables of the catalog lie unless told otherwise. */
  readonly baseLocation?: string | undefined;
};

export type CatalogConfigAnswer = { readonly kind: 'config'; readonly config: CatalogConfig } | Failure;

/** With 36 endpoints the recorded one has 2 KB. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * `GET /v1/config?warehouse=…`: how to address the catalog. Asked for once and kept, until a 404 raises the suspicion
 * that the catalog was made anew under another prefix.
 */
export class CatalogDirectory implements AsyncDisposable {
  readonly #session: Session;
  readonly #closing = new AbortController();
  readonly #asking = new SingleFlight(() => this.#ask());
  #known: CatalogConfig | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  async config(signal: AbortSignal): Promise<CatalogConfigAnswer> {
    if (this.#known !== undefined) return { kind: 'config', config: this.#known };
    return await this.#asking.join(signal);
  }

  /** The next call asks the server again. */
  forget(): void {
    this.#known = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('The client was closed.'));
  }

  async #ask(): Promise<CatalogConfigAnswer> {
    const { catalog } = this.#session.config;
    const reply = await this.#session.call(
      {
        kind: 'config',
        method: 'GET',
        path: `v1/config?warehouse=${encodeURIComponent(catalog)}`,
        maxBodyBytes: MAX_CONFIG_BYTES,
      },
      this.#closing.signal,
    );
    if (reply.kind === 'failed' || reply.answer.status !== 200) {
      const failure = failureOf(reply);
      // Nothing but a question was asked, so nothing is unknown.
      return failure.kind === 'unknown' ? { kind: 'unavailable', message: failure.message } : failure;
    }
    const config = readCatalogConfig(reply.body, catalog);
    if (config === undefined) {
      const { uri } = this.#session.config;
      const message = `The answer of ${uri}/v1/config is not that of an Iceberg REST catalog; is the uri right?`;
      return { kind: 'refused', reason: 'unrecognized', status: 200, message };
    }
    this.#known = config;
    return { kind: 'config', config };
  }
}

/** `overrides` come before `defaults`, as the Iceberg REST specification has it. Undefined when it is no such answer. */
export function readCatalogConfig(body: string, catalog: string): CatalogConfig | undefined {
  const answer = parseJson(body);
  if (typeof answer !== 'object' || answer === null || !('overrides' in answer || 'defaults' in answer)) {
    return undefined;
  }
  const { defaults, overrides } = answer as { defaults?: unknown; overrides?: unknown };
  const properties: Readonly<Record<string, unknown>> = { ...asObject(defaults), ...asObject(overrides) };
  const text = (key: string): string | undefined => {
    const value = properties[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    addressing: {
      prefix: encodePrefix(text('prefix') ?? catalog),
      separator: encodeSeparator(text('namespace-separator') ?? DEFAULT_SEPARATOR),
    },
    baseLocation: text('default-base-location'),
  };
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});
