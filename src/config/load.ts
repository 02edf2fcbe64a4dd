import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ConnectorDefinition } from '../connector/connector.ts';
import { PushError } from '../errors/errors.ts';
import type { Secrets } from '../runtime/secrets.ts';
import { ConfigDocument, showPath, type Problem } from './document.ts';
import { nearest } from './nearest.ts';
import { problemsOf, wording } from './problems.ts';
import { configSchema, type Config } from './schema.ts';
import { reasonOf, settle } from './secret-files.ts';
import type { Schema } from './shape.ts';
import { substitute } from './variables.ts';

/** The connectors that exist: kind → its definition, loaded when asked for. */
export type Connectors = Readonly<Record<string, () => Promise<ConnectorDefinition<{ readonly kind: string }>>>>;

export type LoadDeps = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly connectors: Connectors;
  /** Learns every secret that the configuration holds. */
  readonly secrets: Secrets;
};

/** A configuration that its schema accepted, and what `config print` needs to show it as its author would write it. */
export type LoadedConfig = {
  readonly config: Config;
  readonly connector: ConnectorDefinition<{ readonly kind: string }>;
  readonly written: { readonly content: unknown; readonly schema: Schema; readonly files: ReadonlyMap<string, string> };
};

/**
 * Reads a configuration file. Throws `PushError`: `CONFIG_UNREADABLE`, or `CONFIG_INVALID` with every problem that was
 * found, one per line, each with its line in the file. No message holds a secret.
 */
export async function loadConfig(file: string, deps: LoadDeps): Promise<LoadedConfig> {
  return parseConfig(readConfig(file), file, deps);
}

/** The same for the text of a configuration, wherever it comes from; `file` names it in messages. */
export async function parseConfig(text: string, file: string, deps: LoadDeps): Promise<LoadedConfig> {
  const document = new ConfigDocument(text);
  const fail = (problems: readonly Problem[]): never => {
    throw invalid(file, document, problems, deps.secrets);
  };
  if (document.problems.length > 0) return fail(document.problems);
  const written = document.read();
  if (written.problems.length > 0) return fail(written.problems);
  const { content, substituted, problems: variables } = substitute(written.content, deps.env);
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    return fail([{ path: [], message: 'expected a section with the keys source, targets and ledger' }]);

  const { connector, problems: kinds } = await connectorOf((content as { source?: unknown }).source, deps.connectors);
  const schema = configSchema(connector?.config ?? z.custom<{ readonly kind: string }>());
  const settled = settle(content, schema, { substituted, secrets: deps.secrets });
  const parsed = schema.safeParse(settled.content, { error: wording });
  const subject = { content: settled.content, schema, substituted };
  const problems = [...variables, ...kinds, ...settled.problems, ...problemsOf(parsed.error?.issues ?? [], subject)];
  if (problems.length > 0 || !parsed.success || connector === undefined) return fail(firstOfEach(problems));
  const unheard = unheardOf(parsed.data, connector);
  if (unheard !== undefined) return fail([unheard]);
  return { config: parsed.data, connector, written: { content: settled.content, schema, files: settled.files } };
}

/** What takes announcements needs a server that takes them. */
function unheardOf({ source, http }: Config, connector: ConnectorDefinition<{ readonly kind: string }>) {
  const key = http === undefined ? connector.hooked?.(source) : undefined;
  if (key === undefined) return undefined;
  const message = `needs http.listen, where it is taken; add a section "http: { listen: 127.0.0.1:9184 }"`;
  return { path: ['source', key], message };
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new PushError('CONFIG_UNREADABLE', `${file}: ${reasonOf(error)}.`, { cause: error });
  }
}

async function connectorOf(source: unknown, connectors: Connectors) {
  const kinds = Object.keys(connectors);
  if (typeof source !== 'object' || source === null || Array.isArray(source)) {
    const message = `${source === undefined ? 'missing' : 'expected a section'}; it names the connector with kind: ${kinds.join(' | ')}`;
    return { connector: undefined, problems: [{ path: ['source'], message }] };
  }
  const { kind } = source as { kind?: unknown };
  const load = typeof kind === 'string' && Object.hasOwn(connectors, kind) ? connectors[kind] : undefined;
  if (load !== undefined) return { connector: await load(), problems: [] };
  const meant = typeof kind === 'string' ? nearest(kind, kinds) : undefined;
  const message =
    kind === undefined
      ? `missing; expected one of: ${kinds.join(', ')}`
      : `no connector has this name, ${meant === undefined ? `known: ${kinds.join(', ')}` : `did you mean ${meant}?`}`;
  return { connector: undefined, problems: [{ path: ['source', 'kind'], message }] };
}

/** A value whose variable or file is missing says so once, not again as what its schema makes of the gap. */
function firstOfEach(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ path }) => {
    const key = showPath(path);
    return key === '' || (!seen.has(key) && seen.add(key) !== undefined);
  });
}

function invalid(file: string, document: ConfigDocument, problems: readonly Problem[], secrets: Secrets): PushError {
  const located = problems.map((problem) => ({ ...problem, line: problem.line ?? document.lineOf(problem.path) ?? 1 }));
  const lines = located
    .toSorted((a, b) => a.line - b.line)
    .map(({ path, message, line }) => `${file}:${line}: ${path.length === 0 ? '' : `${showPath(path)}: `}${message}`);
  return new PushError('CONFIG_INVALID', secrets.mask(`\n${lines.join('\n')}`));
}

/** All connectors, or the one of `kind`. Throws `USAGE` if there is none. */
export function connectorsOfKind(connectors: Connectors, kind: string | undefined): Connectors {
  if (kind === undefined) return connectors;
  const load = Object.hasOwn(connectors, kind) ? connectors[kind] : undefined;
  if (load !== undefined) return { [kind]: load };
  throw new PushError('USAGE', `No connector is called ${kind}; known: ${Object.keys(connectors).join(', ')}.`);
}
