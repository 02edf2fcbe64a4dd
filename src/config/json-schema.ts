import { z } from 'zod';
import type { Connectors } from './load.ts';
import { defaultOf } from './print.ts';
import { configSchema } from './schema.ts';
import { formsOf, isSecret, type Schema } from './shape.ts';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The JSON Schema (draft 2020-12) of configuration files whose source is one of the given connectors. */
export async function configJsonSchema(connectors: Connectors): Promise<JsonSchema> {
  const definitions = await Promise.all(Object.values(connectors).map((load) => load()));
  const [only, ...more] = definitions.map(({ config }) => config);
  if (only === undefined) throw new RangeError('There is a connector at least.');
  const source = more.length === 0 ? only : z.union([only, ...more]);
  const schema = z.toJSONSchema(configSchema(source), {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => inWords(zodSchema, jsonSchema),
  });
  return { title: 'Configuration of polaris-push', ...schema };
}

/** Defaults as they are written, secrets marked, and `<key>_file` beside every secret. */
function inWords(schema: Schema, json: JsonSchema): void {
  // Ours is `30s`, not the ISO 8601 duration that JSON Schema's format means.
  if (json.format === 'duration' || json.format === 'size') delete json.format;
  if (json['secret'] === true) {
    delete json['secret'];
    json.writeOnly = true;
  }
  const written = defaultOf(schema);
  if (written !== undefined) json.default = written;
  const [form] = formsOf(schema);
  if (form instanceof z.ZodObject && json.properties !== undefined) withFiles(form, json);
}

function withFiles(form: z.ZodObject, json: JsonSchema): void {
  const properties = json.properties ?? {};
  for (const [key, child] of Object.entries(form.shape)) {
    const file = `${key}_file`;
    if (!isSecret([child as Schema]) || Object.hasOwn(form.shape, file)) continue;
    properties[file] = {
      type: 'string',
      minLength: 1,
      description: `A file that holds \`${key}\`, read once at start.`,
    };
    if (json.required?.includes(key) !== true) continue;
    json.required = json.required.filter((name) => name !== key);
    json.allOf = [...(json.allOf ?? []), { oneOf: [{ required: [key] }, { required: [file] }] }];
  }
}
