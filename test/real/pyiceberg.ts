import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheDir } from './assembly.ts';
import { onPath } from './toolchain.ts';

const SCRIPTS = fileURLToPath(new URL('pyiceberg', import.meta.url));
/** PyIceberg 0.12 needs it. */
const OLDEST_PYTHON = [3, 10] as const;

/** A Python that has PyIceberg, or why there is none. */
export type Python =
  | { readonly ready: true; readonly program: string; readonly env: Readonly<Record<string, string>> }
  | { readonly ready: false; readonly reason: string };

/** What read.py says of one table. */
export type ReadTable = {
  readonly listed: boolean;
  readonly exists: boolean;
  readonly metadataLocation: string;
  readonly tableUuid: string;
  readonly columns: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  readonly rows: readonly unknown[] | null;
};

/** A Python with what this tier reads and writes by. */
export const findPython = (): Promise<Python> => pythonWith('pyiceberg', join(SCRIPTS, 'requirements.txt'));

/**
 * Installs packages at the versions that a file pins into a folder named by them; the system's Python stays as it is.
 * `name` begins the folder's.
 */
export async function pythonWith(name: string, requirements: string): Promise<Python> {
  const system = onPath('python3');
  if (system === undefined) return { ready: false, reason: 'there is no python3 on the PATH' };
  const { stdout } = await exec(system, ['-c', 'import sys; print(sys.version_info[0], sys.version_info[1])']);
  const [major = 0, minor = 0] = stdout.split(' ').map(Number);
  if (major !== OLDEST_PYTHON[0] || minor < OLDEST_PYTHON[1]) {
    return {
      ready: false,
      reason: `PyIceberg needs Python ${OLDEST_PYTHON.join('.')}, and python3 is ${major}.${minor}`,
    };
  }
  const hash = createHash('sha256').update(`${system} ${major}.${minor} `).update(readFileSync(requirements));
  const folder = join(cacheDir(), `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) {
    mkdirSync(cacheDir(), { recursive: true });
    const draft = mkdtempSync(`${folder}-draft-`);
    try {
      // Not a virtual environment: those can't be moved, and distributions split off what makes them.
      const args = ['-m', 'pip', 'install', '-q', '--target', join(draft, 'packages'), '-r', requirements];
      await exec(system, args);
      writeFileSync(join(draft, 'requirements.txt'), readFileSync(requirements));
      renameSync(draft, folder);
    } catch (error) {
      return {
        ready: false,
        reason: `pip couldn't install what ${basename(dirname(requirements))}/${basename(requirements)} lists: ${lastLine(error)}`,
      };
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return { ready: true, program: system, env: { PYTHONPATH: join(folder, 'packages') } };
}

export type ReadyPython = Extract<Python, { readonly ready: true }>;

/** Writes a table of three rows through the metastore; resolves with the rows. */
export async function writeTable(python: ReadyPython, metastore: string, table: string): Promise<readonly unknown[]> {
  const { rows } = (await script(python, 'write.py', [metastore, table])) as { rows: readonly unknown[] };
  return rows;
}

/** Reads tables through Polaris; of those whose name ends in `+` the rows too. */
export async function readTables(
  python: ReadyPython,
  addresses: { readonly polaris: string; readonly catalog: string; readonly credential: string },
  tables: readonly string[],
): Promise<Readonly<Record<string, ReadTable>>> {
  const env = { CREDENTIAL: addresses.credential };
  const found = await script(python, 'read.py', [addresses.polaris, addresses.catalog, ...tables], env);
  return found as Readonly<Record<string, ReadTable>>;
}

async function script(
  python: ReadyPython,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const { stdout } = await exec(python.program, [join(SCRIPTS, name), ...args], { ...python.env, ...env });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
}

async function exec(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string }> {
  return promisify(execFile)(program, args, { env: { ...process.env, PYTHONWARNINGS: 'ignore', ...env } });
}

const lastLine = (error: unknown): string =>
  ((error as { stderr?: string }).stderr ?? String(error)).trimEnd().split('\n').at(-1) ?? '';
