import { parseTable } from '../core/table.ts';
import type { TableIdentifier } from '../core/types.ts';
import { PushError } from '../errors/errors.ts';

/** A table as `status` names it, by its name in Polaris. Throws `USAGE`. */
export function tableArgument(text: string): TableIdentifier {
  try {
    return parseTable(text);
  } catch (error) {
    throw new PushError('USAGE', `${(error as SyntaxError).message}.`, {
      fix: 'Write it as `status` does, e.g. sales.orders.',
    });
  }
}

/** The only target, or the one of that name. Throws `USAGE`. */
export function oneTarget<T extends { readonly name: string }>(targets: readonly T[], name: string | undefined): T {
  const named = targets.filter((target) => name === undefined || target.name === name);
  const [target] = named;
  if (target !== undefined && named.length === 1) return target;
  const names = targets.map((each) => each.name).join(', ');
  const detail =
    target === undefined ? `No target is called ${name}; configured: ${names}.` : `Several targets: ${names}.`;
  throw new PushError('USAGE', detail, { fix: 'Name one with --target.' });
}
