import { stringify } from 'yaml';
import { z } from 'zod';
import { maskPasswords } from '../runtime/secrets.ts';
import { showPath, type Path } from './document.ts';
import type { LoadedConfig } from './load.ts';
import { below, formsOf, isSecret, type Schema } from './shape.ts';
import { showDuration, showSize } from './units.ts';

/**
 * The effective configuration as its author would write it: variables replaced, defaults filled in, secrets masked.
 * A secret that came from a file is shown as its file.
 */
export const printConfig = (written: LoadedConfig['written']): string => stringify(effectiveConfig(written));

export function effectiveConfig({ content, schema, files }: LoadedConfig['written']): unknown {
  const visit = (value: unknown, schemas: readonly Schema[], path: Path): unknown => {
    if (Array.isArray(value)) return value.map((item, index) => visit(item, below(schemas, index), [...path, index]));
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(withDefaults(value as Section, schemas)).map(([key, item]) => {
        const file = files.get(showPath([...path, key]));
        return file === undefined
          ? [key, visit(item, below(schemas, key, value), [...path, key])]
          : [`${key}_file`, file];
      });
      return Object.fromEntries(entries) as unknown;
    }
    if (isSecret(schemas)) return '***';
    return typeof value === 'string' ? maskPasswords(value) : value;
  };
  return visit(content, [schema], []);
}

type Section = Readonly<Record<string, unknown>>;

/** The section in the order of its schema, with the defaults of the keys that it lacks. */
function withDefaults(value: Section, schemas: readonly Schema[]): Section {
  const form = formFor(value, schemas);
  if (form === undefined) return value;
  const known = Object.entries(form.shape).flatMap(([key, child]) => {
    const item = Object.hasOwn(value, key) ? value[key] : defaultOf(child as Schema);
    return item === undefined ? [] : [[key, item] as const];
  });
  return {
    ...Object.fromEntries(known),
    ...Object.fromEntries(Object.entries(value).filter(([key]) => !Object.hasOwn(form.shape, key))),
  };
}

/** Of the sections that `schemas` allow, the one that accepts the value. */
const formFor = (value: Section, schemas: readonly Schema[]): z.ZodObject | undefined => {
  const forms = schemas.flatMap(formsOf).filter((form) => form instanceof z.ZodObject);
  return forms.length === 1 ? forms[0] : forms.find((form) => form.safeParse(value).success);
};

/** A key's default in the words of the configuration; undefined if it has none. */
export function defaultOf(schema: Schema): unknown {
  if (schema instanceof z.ZodPrefault) return schema.def.defaultValue;
  if (schema instanceof z.ZodDefault) return inWords(schema.def.defaultValue, schema.def.innerType);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodReadonly || schema instanceof z.ZodNullable)
    return defaultOf(schema.def.innerType);
  return schema instanceof z.ZodPipe ? defaultOf(schema.def.in) : undefined;
}

/** A default of the normalised kind: milliseconds and bytes get their units back. */
function inWords(value: unknown, schema: Schema): unknown {
  if (typeof value !== 'number') return value;
  const format = formatOf(schema);
  if (format === 'duration') return showDuration(value);
  return format === 'size' ? showSize(value) : value;
}

/** `duration` or `size`, for values that are written with a unit. */
const formatOf = (schema: Schema): unknown => z.globalRegistry.get(schema)?.['format'];
