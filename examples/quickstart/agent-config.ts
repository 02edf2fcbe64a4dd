import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';

export type AgentSetup = {
  /** Holds the configuration, the secret and the ledger; readable by this user only. */
  readonly folder: string;
  /** URL of the metastore's database. May hold a password: it is given to the agent by its environment. */
  readonly connection: string;
  readonly hiveCatalog: string;
  readonly slot: string;
  readonly publication: string;
  readonly polaris: { readonly uri: string; readonly catalog: string; readonly realm?: string | undefined };
  readonly clientId: string;
  readonly clientSecretFile: string;
  /** Prefixes of locations in the metastore → what Polaris knows them by. */
  readonly locations: readonly { readonly from: string; readonly to: string }[];
  /** How many tables may vanish at once. */
  readonly dropBudget: 'off' | 'default';
  /** The configuration's section of that name: where events go. */
  readonly forward?: readonly Readonly<Record<string, unknown>>[] | undefined;
};

/** What the agent needs in its environment besides its configuration file. */
export const agentEnvironment = (setup: AgentSetup): NodeJS.ProcessEnv => ({ HMS_URL: setup.connection });

/** Writes the agent's configuration, as a user would, and returns its path. */
export function writeAgentConfig(setup: AgentSetup): string {
  const { folder, hiveCatalog, slot, publication, polaris, clientId, clientSecretFile, locations } = setup;
  const config = {
    // eslint-disable-next-line no-template-curly-in-string -- for the agent to replace, so that no password lies in a file
    source: { kind: 'hive', connection: '${HMS_URL}', slot, publication, catalog: hiveCatalog },
    ...(locations.length === 0 ? {} : { tables: { locations } }),
    targets: [{ name: 'main', ...polaris, auth: { client_id: clientId, client_secret_file: clientSecretFile } }],
    ledger: { path: join(folder, 'ledger.db') },
    ...(setup.dropBudget === 'off' ? { drops: { budget: 'off' } } : {}),
    ...(setup.forward === undefined ? {} : { forward: setup.forward }),
  };
  const file = join(folder, 'polaris-push.yaml');
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}
