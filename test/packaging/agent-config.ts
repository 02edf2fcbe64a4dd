import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { connectors } from '../../connectors/index.ts';
import { parseConfig, type LoadedConfig } from '../../src/config/load.ts';
import { Secrets } from '../../src/runtime/secrets.ts';

/** What a secret of this name may look like, so that whatever reads it is content. */
const sample = (name: string): string =>
  name.includes('connection') ? 'postgresql://polaris_push:sample@metastore-db:5432/metastore' : `sample-of-${name}`;

/**
 * Loads the text of a configuration as the agent does where it is deployed: every variable is set, and every secret file
 * that it names in `folder` exists. Throws `CONFIG_INVALID` as the agent would.
 */
export async function deployed(text: string, folder: string): Promise<LoadedConfig> {
  const secrets = mkdtempSync(join(tmpdir(), 'polaris-push-secrets-'));
  try {
    const escaped = folder.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const here = text.replaceAll(new RegExp(`${escaped}/([\\w.-]+)`, 'g'), (_, name: string) => {
      const file = join(secrets, basename(name));
      writeFileSync(file, sample(name));
      return file;
    });
    const variables = [...here.matchAll(/\$\{(\w+)/g)].map(([, name = '']) => [name, `sample-of-${name}`] as const);
    return await parseConfig(here, 'polaris-push.yaml', {
      env: Object.fromEntries(variables),
      connectors,
      secrets: new Secrets(),
    });
  } finally {
    rmSync(secrets, { recursive: true });
  }
}
