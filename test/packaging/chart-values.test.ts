import { describe, expect, test } from 'vitest';
import { connectors } from '../../connectors/index.ts';
import { chartConfigSchema } from '../../scripts/docs/chart-config-schema.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';

type Node = { readonly [key: string]: unknown };

const ours = await configJsonSchema(connectors);
const schema = chartConfigSchema(ours);

/** Every node of a schema, with the path to it. */
function nodes(value: unknown, path = ''): readonly (readonly [string, Node])[] {
  if (typeof value !== 'object' || value === null) return [];
  const below = Object.entries(value).flatMap(([key, item]) => nodes(item, `${path}/${key}`));
  return Array.isArray(value) ? below : [[path, value as Node], ...below];
}

/** The node of a secret by the end of its path. */
const secretAt = (end: string): Node => {
  const found = nodes(schema).find(([path]) => path.endsWith(end));
  if (found === undefined) throw new RangeError(`no ${end}`);
  return found[1];
};

/** Whether a text fits the patterns that a secret's schema consists of. */
const takes = (secret: Node, text: string): boolean => {
  const forms = secret['anyOf'] as readonly { pattern: string }[];
  const { pattern: forbidden } = secret['not'] as { pattern: string };
  return forms.some(({ pattern }) => new RegExp(pattern).test(text)) && !new RegExp(forbidden).test(text);
};

describe("The configuration within the chart's values", () => {
  test('takes a variable in the place of any secret, and never the secret', () => {
    const secrets = nodes(ours).filter(
      ([path, node]) => node['writeOnly'] === true && !path.endsWith('/additionalProperties'),
    );
    expect(secrets.length).toBeGreaterThan(8);
    for (const [path] of secrets) {
      const secret = secretAt(path.slice(path.lastIndexOf('/properties')));
      expect({ path, variable: takes(secret, '${SOME_SECRET}'), written: takes(secret, 'hunter2') }).toEqual({
        path,
        variable: true,
        written: false,
      });
    }
  });

  test.for([
    ['postgresql://polaris_push:${HMS_PASSWORD}@db:5432/metastore', true],
    ['postgresql://polaris_push@db:5432/metastore', true],
    ['postgresql://db:5432/metastore?sslmode=verify-full', true],
    ['${CONNECTION}', true],
    ['postgresql://polaris_push:hunter2@db:5432/metastore', false],
    ['postgresql://polaris_push:hunter2@${HOST}:5432/metastore', false],
  ] as const)('as a connection: %s is taken: %s', ([connection, taken]) => {
    expect(takes(secretAt('/properties/connection'), connection)).toBe(taken);
  });

  test('takes a variable for every number, switch and choice', () => {
    const bare = nodes(schema).filter(([path, node]) => {
      const typed = ['number', 'integer', 'boolean'].includes(String(node['type'])) || 'enum' in node;
      return typed && !/\/anyOf\/\d+$/.test(path) && path !== '/properties/source/properties/kind';
    });
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  test('has every source, chosen by its kind', () => {
    const source = (schema['properties'] as Node)['source'] as Node;
    expect(source['properties']).toEqual({ kind: { enum: Object.keys(connectors) } });
    expect(source['allOf']).toHaveLength(Object.keys(connectors).length);
  });

  test('keeps to keywords that draft 07 has', () => {
    const later = [
      '$defs',
      'prefixItems',
      'unevaluatedProperties',
      'unevaluatedItems',
      'dependentRequired',
      'minContains',
    ];
    const found = nodes(schema).flatMap(([path, node]) =>
      later.filter((key) => key in node).map((key) => `${path}/${key}`),
    );
    expect(found).toEqual([]);
  });
});
