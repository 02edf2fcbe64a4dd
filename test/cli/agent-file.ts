import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type AgentOptions = {
  /** Addresses of Polaris by the name of the target, which is its catalog's name, too. */
  readonly targets?: Readonly<Record<string, string>> | undefined;
  readonly clientSecret?: string | undefined;
  /** Further YAML, at the top level. */
  readonly more?: string | undefined;
};

/** Nothing listens on a port that only root may take. */
const NOWHERE = 'http://127.0.0.1:1/api/catalog';

/** A configuration file in a folder of its own, with a source that nobody can reach. */
export async function agentFile(options: AgentOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'polaris-push-agent-'));
  const config = join(folder, 'agent.yaml');
  const ledger = join(folder, 'ledger.db');
  const targets = Object.entries(options.targets ?? { main: NOWHERE }).map(
    ([name, uri]) => `  - name: ${name}
    uri: ${uri}
    catalog: ${name}
    auth: { client_id: root, client_secret: ${options.clientSecret ?? 's3cr3t'} }
`,
  );
  await writeFile(
    config,
    `source:
  kind: hive
  connection: postgresql://polaris_push:MARKED-PASSWORD@127.0.0.1:1/metastore
  connect_timeout: 5s
targets:
${targets.join('')}ledger: { path: ${ledger} }
${options.more ?? ''}`,
  );
  return { config, ledger, folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
