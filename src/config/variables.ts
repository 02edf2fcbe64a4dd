import { showPath, type Path, type Problem } from './document.ts';

/** A configuration whose `${NAME}`s are replaced. `substituted` holds the paths (`showPath`) of the values that had one. */
export type Substitution = {
  readonly content: unknown;
  readonly substituted: ReadonlySet<string>;
  readonly problems: readonly Problem[];
};

/**
 * Replaces `${NAME}` and `${NAME:-default}` in every value, not in keys. As in a shell, the default also takes the place
 * of an empty variable. `$${` stands for a literal `${`.
 */
export function substitute(content: unknown, env: Readonly<Record<string, string | undefined>>): Substitution {
  const substituted = new Set<string>();
  const problems: Problem[] = [];

  const replace = (text: string, path: Path) =>
    text.replaceAll(/\$\$\{|\$\{([^}]*)\}|\$\{/g, (found, expression: string | undefined) => {
      if (found === '$${') return '${';
      const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(expression ?? '') ?? [];
      if (name === undefined) {
        problems.push({ path, message: 'expected ${NAME} or ${NAME:-default}; write $${ for a literal ${' });
        return '';
      }
      substituted.add(showPath(path));
      const value = env[name];
      if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
      if (value === undefined) problems.push({ path, message: `the environment variable ${name} is not set` });
      return value ?? '';
    });

  const visit = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return replace(value, path);
    if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index]));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, [...path, key])]));
    return value;
  };

  return { content: visit(content, []), substituted, problems };
}
