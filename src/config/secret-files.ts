import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Secrets } from '../runtime/secrets.ts';
import { showPath, type Path, type Problem } from './document.ts';
import { below, formsOf, isSecret, type Schema } from './shape.ts';

/** A configuration ready for its schema. `files` says which secret (`showPath`) came from which file. */
export type Settled = {
  readonly content: unknown;
  readonly files: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
};

/**
 * Goes through a configuration along its schema: reads `<key>_file` in the place of any secret key, registers every
 * secret, and turns substituted text into the number or boolean that its schema wants.
 */
export function settle(
  content: unknown,
  schema: Schema,
  { substituted, secrets }: { readonly substituted: ReadonlySet<string>; readonly secrets: Secrets },
): Settled {
  const problems: Problem[] = [];
  const files = new Map<string, string>();

  const visit = (value: unknown, schemas: readonly Schema[], path: Path): unknown => {
    if (Array.isArray(value)) return value.map((item, index) => visit(item, below(schemas, index), [...path, index]));
    if (typeof value === 'object' && value !== null) return section(value as Section, schemas, path);
    if (typeof value !== 'string') return value;
    secrets.addPasswordsOf(value);
    if (isSecret(schemas)) secrets.add(value);
    return substituted.has(showPath(path)) ? coerced(value, schemas) : value;
  };

  const section = (value: Section, schemas: readonly Schema[], path: Path): unknown =>
    Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) => {
        const own = below(schemas, key, value);
        const base = key.replace(/_file$/, '');
        const isFile = own.length === 0 && base !== key && isSecret(below(schemas, base, value));
        if (!isFile) return [[key, visit(item, own, [...path, key])]];
        const secret = secretFrom(item, [...path, key], Object.hasOwn(value, base) ? base : undefined);
        if (secret === undefined) return Object.hasOwn(value, base) ? [] : [[base, PLACEHOLDER]];
        files.set(showPath([...path, base]), String(item));
        return [[base, secret]];
      }),
    );

  const secretFrom = (file: unknown, path: Path, rival: string | undefined): string | undefined => {
    const read = rival === undefined ? readSecret(file) : { problem: `given together with ${rival}; keep one of them` };
    if (read.secret === undefined) problems.push({ path, message: read.problem });
    else {
      secrets.add(read.secret);
      secrets.addPasswordsOf(read.secret);
    }
    return read.secret;
  };

  return { content: visit(content, [schema], []), files, problems };
}

type Section = Readonly<Record<string, unknown>>;

/** Stands for a secret whose file had a problem, so that it isn't reported as missing too. */
const PLACEHOLDER = 'unreadable';

type Read =
  | { readonly secret: string; readonly problem?: undefined }
  | { readonly secret?: undefined; readonly problem: string };

function readSecret(file: unknown): Read {
  if (typeof file !== 'string' || file === '') return { problem: 'expected the path of a file' };
  try {
    const secret = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return secret === '' ? { problem: `the file ${file} is empty` } : { secret };
  } catch (error) {
    return { problem: `the file ${file} cannot be read: ${reasonOf(error)}` };
  }
}

/** A system error in the words of people. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
};

function coerced(text: string, schemas: readonly Schema[]): unknown {
  const forms = schemas.flatMap(formsOf);
  if (forms.some((form) => form instanceof z.ZodNumber) && /^-?[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  if (forms.some((form) => form instanceof z.ZodBoolean) && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}
