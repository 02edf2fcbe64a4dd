import { z } from 'zod';

/** Any schema, looked at from outside. */
export type Schema = z.core.$ZodType;

/**
 * What a schema looks like to somebody who writes the configuration: wrappers (optional, default, transform) are
 * looked through, and a union is all of its options.
 */
export function formsOf(schema: Schema): readonly Schema[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodReadonly)
    return formsOf(schema.def.innerType);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return formsOf(schema.def.innerType);
  if (schema instanceof z.ZodPipe) return formsOf(schema.def.in);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap(formsOf);
  return [schema];
}

/** The schemas that may describe the value under `key` of a value that `schemas` describe. */
export function below(schemas: readonly Schema[], key: string | number, value?: unknown): readonly Schema[] {
  return narrowed(schemas.flatMap(formsOf), value).flatMap((form): readonly Schema[] => {
    if (form instanceof z.ZodArray) return typeof key === 'number' ? [form.def.element] : [];
    if (form instanceof z.ZodRecord) return [form.def.valueType];
    return form instanceof z.ZodObject && Object.hasOwn(form.shape, key) ? [form.shape[key] as Schema] : [];
  });
}

/** The keys that a section described by `schemas` may have. */
export const keysOf = (schemas: readonly Schema[], value?: unknown): readonly string[] => [
  ...new Set(
    narrowed(schemas.flatMap(formsOf), value).flatMap((form) =>
      form instanceof z.ZodObject ? Object.keys(form.shape) : [],
    ),
  ),
];

/** Whether a value that one of `schemas` describes must never be shown. */
export const isSecret = (schemas: readonly Schema[]): boolean =>
  schemas.flatMap(formsOf).some((form) => z.globalRegistry.get(form)?.['secret'] === true);

/** Of the forms that have a literal key (a discriminator) only those that fit the value, if any fits. */
function narrowed(forms: readonly Schema[], value: unknown): readonly Schema[] {
  if (typeof value !== 'object' || value === null) return forms;
  const fitting = forms.filter(
    (form) =>
      !(form instanceof z.ZodObject) ||
      Object.entries(form.shape).every(
        ([key, child]) => !(child instanceof z.ZodLiteral) || child.values.has((value as Record<string, never>)[key]),
      ),
  );
  return fitting.length > 0 ? fitting : forms;
}
