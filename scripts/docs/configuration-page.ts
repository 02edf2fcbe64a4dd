import { configJsonSchema, type JsonSchema } from '../../src/config/json-schema.ts';
import type { Connectors } from '../../src/config/load.ts';
import { code, heading, table } from './markdown.ts';

const INTRODUCTION = `One YAML file, given with \`--config\`. \`polaris-push config print\` shows what it amounts to, \`polaris-push config schema\`
prints the JSON Schema, which editors can complete from (also as [config.schema.json](config.schema.json)).

- An unknown key is an error. All problems are told at once, with their lines.
- \`\${NAME}\` in any value is replaced by that environment variable, \`\${NAME:-default}\` by the default if it is unset or empty;
  \`$\${\` is a literal \`\${\`. Within \`{ }\` and \`[ ]\` such a value needs quotes.
- A secret can be kept in a file: \`client_secret_file: /run/secrets/polaris\` in the place of \`client_secret: …\`. The file is
  read once at start; a line feed at its end doesn't count. Keys that allow it are marked *secret*.
- Within a URL, characters such as \`@\`, \`/\` and \`#\` of a password are percent-encoded.
- Durations have a unit: \`500ms\`, \`30s\`, \`15m\`, \`1h\`, \`7d\`. Sizes too: \`512KiB\`, \`64MiB\`, \`1GiB\`.
`;

const EXAMPLE = `## Example

\`\`\`yaml
source:
  kind: hive
  connection: postgresql://polaris_push:\${HMS_PASSWORD}@localhost:5432/metastore
tables:
  include: ["sales.*", "finance.*"]
  exclude: ["*.tmp_*"]
  locations: [{ from: "s3a://", to: "s3://" }]
targets:
  - name: main
    uri: https://polaris.example.com/api/catalog
    catalog: hive_mirror
    auth: { client_id: sync_agent, client_secret_file: /run/secrets/polaris }
ledger: { path: /var/lib/polaris-push/ledger.db }
\`\`\`
`;

/** Every key, from the schemas of their owners. */
export async function configurationPage(connectors: Connectors): Promise<string> {
  const kinds = await Promise.all(
    Object.entries(connectors).map(async ([kind, load]) => ({
      kind,
      source: (await configJsonSchema({ [kind]: load })).properties?.['source'] as JsonSchema,
    })),
  );
  const whole = await configJsonSchema(connectors);
  const { source: _, ...sections } = (whole.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  return [
    heading('Configuration'),
    INTRODUCTION,
    EXAMPLE,
    ...kinds.map(({ kind, source }) => `## source, kind: ${kind}\n\n${source.description}\n\n${keys(source)}\n`),
    ...Object.entries(sections).map(([name, schema]) => section(name, schema, whole.required?.includes(name) === true)),
  ].join('\n');
}

function section(name: string, schema: JsonSchema, required: boolean): string {
  const rows = rowsOf('', schema);
  const [description, presence] = [schema.description ?? '', required ? ' Required.' : ''];
  if (rows.length > 0) return `## ${name}\n\n${description}${presence}\n\n${keys(schema)}\n`;
  return `## ${name}\n\n${description}${presence}\n\nOne of ${allowed(schema)}. Default: ${defaultText(schema)}.\n`;
}

const keys = (schema: JsonSchema) => table(['key', 'value', 'default', 'meaning'], rowsOf('', schema));

type Row = readonly [key: string, value: string, fallback: string, meaning: string];

function rowsOf(prefix: string, schema: JsonSchema): readonly Row[] {
  if (schema.items !== undefined && typeof schema.items === 'object' && !Array.isArray(schema.items))
    return rowsOf(prefix === '' ? '[].' : `${prefix.slice(0, -1)}[].`, schema.items);
  return sectionsOf(schema).flatMap((own) => rowsOfSection(prefix, own));
}

function rowsOfSection(prefix: string, own: JsonSchema): readonly Row[] {
  return Object.entries((own.properties ?? {}) as Readonly<Record<string, JsonSchema>>).flatMap(
    ([key, child]): readonly Row[] => {
      const required = own.required?.includes(key) === true || eitherOf(own, key);
      const name = `${prefix}${key}`;
      const row: Row = [code(name), allowed(child), required ? '*required*' : defaultText(child), meaning(child)];
      // A secret's file is told once, above all tables.
      if (key.endsWith('_file') && own.properties?.[key.slice(0, -5)] !== undefined && isReadOnce(child)) return [];
      return [row, ...rowsOf(`${name}.`, child)];
    },
  );
}

/** Whether the key is required unless its file is given. */
const eitherOf = (schema: JsonSchema, key: string) =>
  schema.allOf?.some(({ oneOf }) => oneOf?.some(({ required }) => required?.includes(key))) === true;

const isReadOnce = ({ description }: JsonSchema) => description?.endsWith('read once at start.') === true;

/** The sections among the alternatives; those that differ by a key such as `type` are told one after the other, each led by it. */
const sectionsOf = (schema: JsonSchema): readonly JsonSchema[] =>
  schema.properties === undefined
    ? (schema.anyOf ?? schema.oneOf ?? []).filter(({ properties }) => properties !== undefined)
    : [schema];

const meaning = ({ description, writeOnly }: JsonSchema) =>
  `${description ?? ''}${writeOnly === true ? ' *Secret.*' : ''}`;

function allowed(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.const !== undefined) return code(String(schema.const));
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) return [...new Set(alternatives.map(allowed))].join(' or ');
  if (schema.type === 'array') return `list of ${allowed((schema.items ?? {}) as JsonSchema)}`;
  if (schema.type === 'object') return schema.properties === undefined ? 'names and texts' : 'section';
  if (schema.type === 'integer' || schema.type === 'number') return `number${range(schema)}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  return unitOf(schema) ?? 'text';
}

/** `duration` and `size` are texts of a pattern. */
function unitOf({ pattern }: JsonSchema): string | undefined {
  if (pattern?.includes('(ms|s|m|h|d)') === true) return 'duration';
  return pattern?.includes('(B|KiB|MiB|GiB)') === true ? 'size' : undefined;
}

function range({ minimum, maximum }: JsonSchema): string {
  const highest = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && highest !== undefined) return `, ${minimum} to ${highest}`;
  return minimum === undefined ? '' : `, at least ${minimum}`;
}

function defaultText(schema: JsonSchema): string {
  if (schema.default === undefined) return '';
  if (typeof schema.default === 'object' && JSON.stringify(schema.default) === '{}') return '';
  return code(typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default));
}
