import { posix } from 'node:path';
import type { SourceFile, Violation } from './tree.ts';

/**
 * Who may import what. A folder ends with a slash; anything else is one file. The first match from the top decides;
 * every folder may import itself. `packages: false` allows no package and no Node module either.
 */
const DIRECTIONS: readonly { readonly from: string; readonly may: readonly string[]; readonly packages?: false }[] = [
  { from: 'src/core/', may: [], packages: false },
  { from: 'src/errors/', may: [], packages: false },
  { from: 'src/runtime/', may: ['src/core/', 'src/errors/'] },
  // It looks at the agent through its ports, and tells of what it saw.
  {
    from: 'src/observe/',
    may: [
      'src/core/',
      'src/errors/',
      'src/runtime/',
      'src/connector/figures.ts',
      'src/ledger/ledger.ts',
      'src/ledger/outbox.ts',
      'src/pipeline/events.ts',
      'src/pipeline/standing.ts',
    ],
  },
  { from: 'src/connector/', may: ['src/core/', 'src/errors/', 'src/runtime/'] },
  { from: 'src/polaris/', may: ['src/core/', 'src/errors/', 'src/runtime/'] },
  { from: 'src/ledger/', may: ['src/core/', 'src/errors/', 'src/runtime/'] },
  { from: 'src/forward/', may: ['src/core/', 'src/errors/', 'src/runtime/'] },
  {
    from: 'src/pipeline/',
    may: [
      'src/core/',
      'src/errors/',
      'src/runtime/',
      'src/connector/connector.ts',
      'src/polaris/target.ts',
      'src/ledger/ledger.ts',
      'src/ledger/inbox.ts',
      'src/ledger/outbox.ts',
      'src/forward/sink.ts',
      'src/forward/cloud-event.ts',
    ],
  },
  {
    from: 'src/config/',
    may: [
      'src/core/',
      'src/errors/',
      'src/runtime/',
      'src/connector/connector.ts',
      'src/connector/scope-config.ts',
      'src/polaris/config.ts',
      'src/ledger/config.ts',
      'src/forward/config.ts',
    ],
  },
  // The composition root is the only one that knows concrete classes.
  { from: 'src/app.ts', may: ['src/', 'connectors/index.ts'] },
  // A development server of its own; no part of the agent.
  {
    from: 'src/cli/emulate.ts',
    may: ['src/cli/', 'src/polaris/emulator/', 'src/errors/', 'src/runtime/', 'src/core/'],
  },
  {
    from: 'src/cli/',
    may: [
      'src/core/',
      'src/errors/',
      'src/runtime/',
      'src/observe/',
      'src/config/',
      'src/pipeline/',
      'src/app.ts',
      'src/connector/connector.ts',
      'src/polaris/target.ts',
      'src/ledger/ledger.ts',
      'src/ledger/outbox.ts',
      'connectors/index.ts',
    ],
  },
  { from: 'src/main.ts', may: ['src/cli/', 'src/errors/', 'src/runtime/'] },
];

const OF_CONNECTORS = ['src/core/', 'src/errors/', 'src/runtime/', 'src/connector/'];

/** Imports of one file that go in a forbidden direction. Only the product's own folders have directions. */
export function directions({ path, text }: SourceFile): readonly Violation[] {
  const rule = ruleFor(path);
  if (rule === undefined) return [];
  return importsOf(text).flatMap((specifier) => {
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined;
    const allowed =
      target === undefined
        ? rule.packages !== false
        : rule.may.some((place) => target === place || within(place, target));
    return allowed ? [] : [{ path, message: `must not import ${target ?? specifier}` }];
  });
}

/** Every specifier that a file imports or exports from, also with `import()` and for types only. */
export const importsOf = (text: string): readonly string[] =>
  [
    ...text.matchAll(
      /(?:^|[;\s])(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g,
    ),
  ].map(([, from, direct]) => from ?? direct ?? '');

function ruleFor(path: string): { readonly may: readonly string[]; readonly packages?: false } | undefined {
  if (!path.endsWith('.ts')) return undefined;
  if (path === 'connectors/index.ts') return { may: ['connectors/', ...OF_CONNECTORS] };
  const [, connector] = /^(connectors\/[^/]+\/)/.exec(path) ?? [];
  // The entry of a function is a composition root of its own.
  if (connector !== undefined && path.startsWith(`${connector}lambda`)) return { may: [connector, 'src/'] };
  if (connector !== undefined) return { may: [connector, ...OF_CONNECTORS] };
  const rule = DIRECTIONS.find(({ from }) => path === from || within(from, path));
  if (rule === undefined) return path.startsWith('src/') ? { may: [] } : undefined;
  return { ...rule, may: rule.from.endsWith('/') ? [rule.from, ...rule.may] : rule.may };
}

const within = (folder: string, path: string) => folder.endsWith('/') && path.startsWith(folder);
