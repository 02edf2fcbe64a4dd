import { spawn } from 'node:child_process';
import { once as event } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { agentEnvironment, writeAgentConfig, type AgentSetup } from './agent-config.ts';
import { COMMAND_LINE } from './child.ts';
import { isEqual, verdict, type Comparison } from './comparison.ts';
import type { Run } from './demonstration.ts';
import { UsageError, type OwnSystems } from './options.ts';
import { PolarisReader } from './polaris-reader.ts';
import { report } from './report.ts';
import { Screen, type View } from './screen.ts';
import { Session } from './session.ts';
import { truth } from './truth.ts';

/** Another one than an agent in production uses. */
const SLOT = 'polaris_push_quickstart';

/** Hadoop's names of S3; Polaris knows one. */
const LOCATIONS = [
  { from: 's3a://', to: 's3://' },
  { from: 's3n://', to: 's3://' },
];

const SETTLE_MS = 60_000;

/** The main job on the user's own systems. Returns the exit code: 0 only when both sides are equal in the end. */
export async function mirrorOwnSystems(run: Run, own: OwnSystems): Promise<number> {
  const { folder, print, signal } = run;
  const { setup, clientSecret } = setUp(folder, own);
  const checked = await check(setup);
  signal.throwIfAborted();
  if (checked !== 0) return checked;
  await using footprint = await Footprint.open(own);
  const reader = new PolarisReader({ ...own, uri: own.polaris, clientSecret });
  const source = async () => {
    const tables = await footprint.query((client) => truth(client, own.hiveCatalog));
    return new Map([...tables].map(([name, location]) => [name, rewritten(location)]));
  };
  let comparison: Comparison;
  let session: Session;
  {
    await using running = new Session({ setup, source, mirror: () => reader.tables(), once: !run.live });
    session = running;
    print('Listing the metastore and pushing what Polaris lacks ...');
    await running.caughtUp(signal);
    if (run.live) {
      await live(run, running, own);
      print('Finishing what is under way, and comparing ...');
      comparison = await running.equal(SETTLE_MS);
    } else {
      await running.agent.ended();
      comparison = await running.compare();
    }
  }
  for (const line of report({ statistics: session.statistics, comparison, source: await source() })) print(line);
  print(verdict(comparison, `${session.statistics.admitted} notifications`));
  return isEqual(comparison) ? 0 : 3;
}

async function live({ coloured, signal }: Run, session: Session, own: OwnSystems): Promise<void> {
  const startedMs = Date.now();
  const title = `polaris-push  ${URL.parse(own.hms)?.host} → ${URL.parse(own.polaris)?.host} (${own.catalog})`;
  const { statistics } = session;
  const view = (): View => ({
    title,
    startedMs,
    nowMs: Date.now(),
    statistics,
    hint: 'Ctrl-C: stop, compare, verdict',
  });
  using screen = new Screen(process.stdout, coloured, view);
  while (!signal.aborted) {
    session.check();
    await sleep(500, undefined, { signal }).catch(() => {});
    screen.draw();
  }
}

function setUp(folder: string, own: OwnSystems): { setup: AgentSetup; clientSecret: string } {
  const { polaris, catalog, realm, clientId, hiveCatalog, publication } = own;
  let clientSecretFile = join(folder, 'client-secret');
  let clientSecret: string;
  if ('file' in own.clientSecret) {
    clientSecretFile = own.clientSecret.file;
    try {
      clientSecret = readFileSync(clientSecretFile, 'utf8').trim();
    } catch (error) {
      throw new UsageError(`--client-secret-file: ${(error as Error).message}`, { cause: error });
    }
  } else {
    clientSecret = own.clientSecret.value;
    writeFileSync(clientSecretFile, clientSecret, { mode: 0o600 });
  }
  const setup: AgentSetup = {
    folder,
    connection: own.hms,
    hiveCatalog,
    slot: SLOT,
    publication,
    polaris: { uri: polaris, catalog, ...(realm === undefined ? {} : { realm }) },
    clientId,
    clientSecretFile,
    locations: LOCATIONS,
    dropBudget: 'default',
  };
  return { setup, clientSecret };
}

function rewritten(location: string): string {
  const rule = LOCATIONS.find(({ from }) => location.startsWith(from));
  return rule === undefined ? location : rule.to + location.slice(rule.from.length);
}

/** `polaris-push check`, as the user would see it. */
async function check(setup: AgentSetup): Promise<number> {
  const child = spawn(process.execPath, [COMMAND_LINE, 'check', '--config', writeAgentConfig(setup)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...agentEnvironment(setup) },
  });
  const [code] = (await event(child, 'close')) as [number | null];
  return code ?? 1;
}

/**
 * What a run leaves in the metastore's database: a slot would keep its WAL for ever, so it goes at the end, and so does
 * the publication unless it was there before.
 */
class Footprint implements AsyncDisposable {
  readonly #own: OwnSystems;
  readonly #publicationWasThere: boolean;

  private constructor(own: OwnSystems, publicationWasThere: boolean) {
    this.#own = own;
    this.#publicationWasThere = publicationWasThere;
  }

  static async open(own: OwnSystems): Promise<Footprint> {
    const client = await connect(own);
    try {
      const { rowCount } = await client.query('SELECT FROM pg_publication WHERE pubname = $1', [own.publication]);
      return new Footprint(own, rowCount === 1);
    } finally {
      await client.end();
    }
  }

  async query<T>(body: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await connect(this.#own);
    try {
      return await body(client);
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const statements = [
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${SLOT}'`,
    ];
    if (!this.#publicationWasThere) {
      statements.push(`DROP PUBLICATION IF EXISTS ${pg.escapeIdentifier(this.#own.publication)}`);
    }
    for (const statement of statements) {
      try {
        await this.query((client) => client.query(statement));
      } catch (error) {
        process.stderr.write(
          `Left behind in the metastore's database (${(error as Error).message}). Run: ${statement};\n`,
        );
      }
    }
  }
}

async function connect(own: OwnSystems): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: own.hms, application_name: 'polaris-push quick start' });
  client.on('error', () => {}); // told by the query that fails
  await client.connect();
  return client;
}
