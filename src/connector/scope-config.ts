import { z } from 'zod';
import { parsePattern, type Pattern } from './pattern.ts';

/** Which of the source's tables are mirrored, and how their names and locations read in Polaris. */
export type Scope = {
  /** A table is in scope if any of these matches its name in the source … */
  readonly include: readonly Pattern[];
  /** … and none of these. */
  readonly exclude: readonly Pattern[];
  readonly locations: readonly { readonly from: string; readonly to: string }[];
  readonly namespace: NamespaceMapping;
};

/** Applied to a source's namespace in this order: case, flatten, prefix. The table's own name never changes. */
export type NamespaceMapping = {
  readonly case: 'preserve' | 'lower' | 'upper';
  /** Joins all levels into one; undefined: the levels stay. */
  readonly flatten?: string | undefined;
  readonly prefix: readonly string[];
};

const pattern = z.string().transform((text, context): Pattern => {
  try {
    return parsePattern(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as SyntaxError).message });
    return z.NEVER;
  }
});

const level = z
  .string()
  .min(1)
  .refine((text) => text !== '.' && text !== '..' && !text.includes('\u{1f}'), {
    error: 'Polaris cannot address a namespace level named "." or "..", nor one with the character U+001F',
  });

const prefix = z.union(
  [
    level.refine((text) => !text.includes('.'), { error: 'for several levels write a list, such as [lake, raw]' }),
    z.array(level).min(1),
  ],
  { error: 'expected one namespace level, or a list of levels such as [lake, raw]' },
);

const namespaceConfig = z
  .strictObject({
    case: z
      .enum(['preserve', 'lower', 'upper'])
      .describe("Letter case of the namespace's levels in Polaris.")
      .default('preserve'),
    flatten: level
      .describe('Joins the levels of a namespace into one, with this text between them. Absent: the levels stay.')
      .optional(),
    prefix: prefix.describe('A level, or a list of levels, put above every namespace.').optional(),
  })
  .transform((config): NamespaceMapping => ({
    case: config.case,
    flatten: config.flatten,
    prefix: config.prefix === undefined ? [] : [config.prefix].flat(),
  }));

const locationConfig = z.strictObject({
  from: z.string().min(1).describe('What a location in the source begins with.'),
  to: z.string().min(1).describe('What it begins with in Polaris.'),
});

/** The section `tables` of the configuration. */
export const scopeConfig = z
  .strictObject({
    include: z
      .array(pattern)
      .min(1)
      .describe(
        "Patterns of the tables to mirror, by the source's names: levels separated by dots, `*` for any characters within a level, `**` for any number of levels. Case-sensitive; a backslash takes the next character literally.",
      )
      .prefault(['**']),
    exclude: z.array(pattern).describe('Patterns of tables not to mirror; they win over `include`.').prefault([]),
    locations: z
      .array(locationConfig)
      .superRefine((rules, context) => {
        for (const [index, { from }] of rules.entries())
          if (rules.findIndex((rule) => rule.from === from) !== index)
            context.addIssue({ code: 'custom', path: [index, 'from'], message: 'another rule has the same prefix' });
      })
      .describe('Rewrites the beginning of metadata locations. The longest matching `from` wins and is applied once.')
      .default([]),
    namespace: namespaceConfig
      .describe('How namespaces are named in Polaris. Applied in the order case, flatten, prefix.')
      .prefault({}),
  })
  .transform((config): Scope => config);

/** Everything the source has, under its own names. */
export const everything: Scope = scopeConfig.parse({});
