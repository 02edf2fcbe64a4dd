import { z } from 'zod';
import { maskPasswords } from '../runtime/secrets.ts';
import { showPath, type Path, type Problem } from './document.ts';
import { nearest } from './nearest.ts';
import { below, formsOf, isSecret, keysOf, type Schema } from './shape.ts';

type Issue = z.core.$ZodIssue;

/** What the issues are about: needed to say what was found, and what may be said of it. */
export type Subject = {
  readonly content: unknown;
  readonly schema: Schema;
  /** Paths (`showPath`) of values that hold a variable; those may be secret whatever the key. */
  readonly substituted: ReadonlySet<string>;
};

/** Our words for zod's issues; a message that a schema gives itself wins over them. */
export const wording: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_type')
    return issue.input === undefined ? 'missing' : `expected ${KINDS[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `expected ${alternatives(issue.values.map(String))}`;
  if (issue.code === 'too_small') return tooSmall(Number(issue.minimum), issue.origin);
  if (issue.code === 'too_big') return `expected at most ${issue.maximum}${UNITS[issue.origin] ?? ''}`;
  return issue.code === 'invalid_format' ? `expected a valid ${issue.format}` : undefined;
};

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a section',
  record: 'a section',
  array: 'a list',
};

const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' items' };

const tooSmall = (minimum: number, origin: string) => {
  if (minimum === 1 && origin === 'string') return 'must not be empty';
  if (minimum === 1 && origin === 'array') return 'must not be an empty list';
  return `expected at least ${minimum}${UNITS[origin] ?? ''}`;
};

const alternatives = (values: readonly string[]) =>
  values.length === 1 ? values[0] : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

/** One problem per thing to correct: a missing key that was only misspelt is told with its misspelling. */
export function problemsOf(issues: readonly Issue[], subject: Subject): readonly Problem[] {
  const problems = issues.flatMap((issue) => problemsOfIssue(issue, [], subject));
  const respelt = new Set(
    problems.flatMap(({ path, meant }) => (meant === undefined ? [] : showPath(withLast(path, meant)))),
  );
  return problems.filter(({ path, missing }) => missing !== true || !respelt.has(showPath(path)));
}

type Detailed = Problem & { readonly meant?: string | undefined; readonly missing?: boolean | undefined };

const withLast = (path: Path, key: string): Path => [...path.slice(0, -1), key];

function problemsOfIssue(issue: Issue, above: Path, subject: Subject): readonly Detailed[] {
  const path: Path = [...above, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, subject));
  if (issue.code === 'invalid_union') return problemsOfUnion(issue, path, subject);
  const { value } = at(subject, path);
  const missing = issue.code === 'invalid_type' && value === undefined;
  const wrong = missing && issue.message !== 'missing' ? `missing; ${issue.message}` : issue.message;
  return [{ path, message: wrong + (missing ? '' : found(path, subject)), missing }];
}

function unknownKey(above: Path, key: string, subject: Subject): Detailed {
  const { schemas, value } = at(subject, above);
  const known = keysOf(schemas, value);
  const files = known.filter((name) => isSecret(below(schemas, name, value))).map((name) => `${name}_file`);
  const meant = nearest(key, [...known, ...files]);
  const hint = meant === undefined ? `; known here: ${known.join(', ')}` : `, did you mean ${meant}?`;
  return { path: [...above, key], message: `unknown key${hint}`, meant };
}

/** Of a union's options, the one that the value was most likely meant to be. */
function problemsOfUnion(issue: Issue & { code: 'invalid_union' }, path: Path, subject: Subject): readonly Detailed[] {
  const ranked = issue.errors
    .filter((errors) => !errors.some(({ code, path: [step] }) => step === undefined && code !== 'unrecognized_keys'))
    .toSorted((a, b) => weight(a) - weight(b));
  const [best] = ranked;
  if (best !== undefined) return best.flatMap((nested) => problemsOfIssue(nested, path, subject));
  const { value } = at(subject, path);
  return [{ path, message: issue.message + found(path, subject), missing: value === undefined }];
}

/** A key that an option doesn't know speaks louder against it than one that is missing. */
const weight = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 10 * issue.keys.length : 1), 0);

/** What stands at `path`, and which schemas may describe it. */
function at(subject: Subject, path: Path): { readonly schemas: readonly Schema[]; readonly value: unknown } {
  let schemas: readonly Schema[] = [subject.schema];
  let value = subject.content;
  for (const step of path) {
    schemas = below(schemas, step, value);
    value = (value as Record<string | number, unknown> | null | undefined)?.[step];
  }
  return { schemas, value };
}

/** ` (found …)`. Text is shown only where no secret can be: under a key that takes no section and isn't secret itself. */
function found(path: Path, subject: Subject): string {
  const { schemas, value } = at(subject, path);
  const forms = schemas.flatMap(formsOf);
  const shown =
    forms.length > 0 &&
    !isSecret(schemas) &&
    !forms.some((form) => form instanceof z.ZodObject || form instanceof z.ZodArray);
  if (value === null) return ' (found nothing after the colon)';
  if (Array.isArray(value)) return ' (found a list)';
  if (typeof value === 'object') return ' (found a section)';
  if (subject.substituted.has(showPath(path))) return ' (found the value of a variable)';
  if (typeof value !== 'string')
    return shown ? ` (found the ${typeof value} ${JSON.stringify(value)})` : ` (found a ${typeof value})`;
  return shown ? ` (found "${shorten(maskPasswords(value))}")` : ' (found text)';
}

const shorten = (text: string) => (text.length <= 60 ? text : `${text.slice(0, 57)}...`);
