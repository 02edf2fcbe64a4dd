import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../docs/root.ts';
import { ERRORS } from '../../src/errors/errors.ts';
import { deployed } from './agent-config.ts';

const unit = readFileSync(join(ROOT, 'packaging/systemd/polaris-push.service'), 'utf8');
const settings = (key: string) => [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

describe('The unit of systemd', () => {
  test("keeps the ledger where the agent keeps it unless told otherwise, in a folder of the service's own", async () => {
    const { config } = await deployed(
      'source: { kind: file, path: x }\ntargets: [{ name: a, uri: http://p/api/catalog, catalog: c, auth: { token: x } }]',
      '/nowhere',
    );
    expect(config.ledger.path).toBe(`/var/lib/${settings('StateDirectory')[0]}/ledger.db`);
  });

  test('hands over the secrets that the guide puts into the configuration', () => {
    const guide = readFileSync(join(ROOT, 'docs/deployment.md'), 'utf8');
    const named = [...guide.matchAll(/\$\{CREDENTIALS_DIRECTORY\}\/([\w-]+)/g)].map(([, name]) => name);
    expect(new Set(settings('LoadCredential').map((value) => value.split(':')[0]))).toEqual(new Set(named));
  });

  test('goes with a configuration that the agent accepts, as the guide shows it', async () => {
    const guide = readFileSync(join(ROOT, 'docs/deployment.md'), 'utf8');
    const [text = ''] = /(?<=```yaml\n)source:[^]*?(?=```)/.exec(guide) ?? [];
    const { config } = await deployed(text, '${CREDENTIALS_DIRECTORY}');
    expect(config.source.kind).toBe('hive');
  });

  test('tells how it stands to systemd, which waits for that', () => {
    expect(settings('Type')).toEqual(['notify']);
    // Messages come from systemd-notify, a child of the agent.
    expect(settings('NotifyAccess')).toEqual(['all']);
  });

  test('leaves the agent time to drain, and is not started again for a configuration that is wrong', () => {
    expect(Number(settings('TimeoutStopSec')[0])).toBeGreaterThan(30);
    expect(settings('RestartPreventExitStatus')).toEqual([String(ERRORS.CONFIG_INVALID.exitCode)]);
  });
});
