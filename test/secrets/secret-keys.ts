import { z } from 'zod';
import { formsOf, isSecret, type Schema } from '../../src/config/shape.ts';

/** The path of every secret key that a schema has; `*` stands for any item of a list and any key of a map. */
export function secretKeys(schema: Schema, path: readonly string[] = []): ReadonlySet<string> {
  if (isSecret([schema])) return new Set([path.join('.')]);
  return new Set(
    formsOf(schema).flatMap((form) => {
      if (form instanceof z.ZodArray) return [...secretKeys(form.def.element, [...path, '*'])];
      if (form instanceof z.ZodRecord) return [...secretKeys(form.def.valueType, [...path, '*'])];
      if (!(form instanceof z.ZodObject)) return [];
      return Object.entries(form.shape).flatMap(([key, child]) => [...secretKeys(child as Schema, [...path, key])]);
    }),
  );
}

/** The paths of the values that hold the mark, written likewise. `maps` are the paths whose keys are anybody's. */
export function markedKeys(value: unknown, maps: RegExp, path: readonly string[] = []): ReadonlySet<string> {
  if (typeof value === 'string') return new Set(value.includes('MARKED') ? [path.join('.')] : []);
  if (typeof value !== 'object' || value === null) return new Set();
  const anyKey = Array.isArray(value) || maps.test(path.join('.'));
  return new Set(
    Object.entries(value).flatMap(([key, item]) => [...markedKeys(item, maps, [...path, anyKey ? '*' : key])]),
  );
}
