import type { JsonSchema } from '../../src/config/json-schema.ts';

type Node = Readonly<Record<string, unknown>>;

/** A value that is, or holds, a variable. */
const VARIABLE = { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}' };
/** `user:password@` in an address, the password written out. */
const PASSWORD = { pattern: '://[^:@/\\s]*:[^$@/\\s][^@/\\s]*@' };
/** An address without a password. */
const ADDRESS = { type: 'string', pattern: '^[a-z]+://([^:@/\\s]+@)?[^@\\s]+$' };

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What the chart takes as `config`: the schema of configuration files, save that
 *
 * - a secret can't be written out, only be a variable (or come from its `_file`), as the chart puts this into a ConfigMap;
 * - any value may be a variable, as in the file, where its text is looked at only after the replacement;
 * - the source is chosen by `kind`, so that a mistake within it is told as such and not as four kinds that don't fit;
 * - it keeps to draft 07, which every Helm 3 knows.
 */
export function chartConfigSchema(schema: JsonSchema): Node {
  const { $schema, title, ...own } = relaxed(schema) as Node;
  if ($schema === undefined || title === undefined) throw new RangeError('expected a whole schema');
  const properties = own['properties'] as Record<string, Node>;
  // The chart says where it listens, so that this section may hold the rest of it alone.
  const { required, ...http } = properties['http'] ?? {};
  if (required === undefined) throw new RangeError('expected http.listen to be required');
  return { ...own, properties: { ...properties, source: byKind(properties['source'] ?? {}), http } };
}

function relaxed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relaxed);
  if (!isNode(value)) return value;
  const relax = (key: string, item: unknown) => (key === 'propertyNames' || key === 'default' ? item : relaxed(item));
  const node: Node = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, relax(key, item)]));
  const { description } = node;
  const described = typeof description === 'string' ? { description } : {};
  if (node['writeOnly'] === true) return { ...described, ...byReference(node) };
  const narrow = node['type'] === 'string' && ['pattern', 'enum', 'format'].some((key) => key in node);
  const other = ['number', 'integer', 'boolean'].includes(String(node['type']));
  if (!narrow && !other) return node;
  return { ...described, anyOf: [node, VARIABLE] };
}

/** Headers count as secrets, too, but a chart can't tell which are. */
function byReference(node: Node): Node {
  if (typeof node['description'] !== 'string') return node;
  const isAddress = /:\\\/\\\//.test(String(node['pattern']));
  return { anyOf: isAddress ? [VARIABLE, ADDRESS] : [VARIABLE], not: PASSWORD };
}

/** Alternatives that differ by a constant `kind`, as conditions on it. */
function byKind(source: Node): Node {
  const forms = (source['anyOf'] as readonly Node[] | undefined) ?? [source];
  const kindOf = (form: Node) => (form['properties'] as Record<string, Node>)['kind']?.['const'];
  const kinds = forms.map(kindOf);
  return {
    ...(source['description'] === undefined ? {} : { description: source['description'] }),
    type: 'object',
    required: ['kind'],
    properties: { kind: { enum: kinds } },
    allOf: forms.map((form) => ({
      if: { properties: { kind: { const: kindOf(form) } }, required: ['kind'] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: form,
    })),
  };
}
