import { readFileSync } from 'node:fs';

/** The version of this package: of the nearest package.json above, as the build lies one folder deeper than the source. */
export function version(): string {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    const text = read(new URL('package.json', folder));
    if (text !== undefined) return (JSON.parse(text) as { readonly version: string }).version;
    if (folder.pathname === '/' || folder.href === new URL('..', folder).href)
      throw new Error('The package has lost its package.json.');
  }
}

function read(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
