import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pythonWith } from '../real/pyiceberg.ts';
import { onPath } from '../real/toolchain.ts';

/** A tool is missing that can't be had from here. The steps that need it are not run, and say so. */
export class Missing extends Error {}

/** What the checks were made with. Go's checksum database vouches for the content of each version. */
const HELM = { name: 'helm', program: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' };
const KUBECONFORM = {
  name: 'kubeconform',
  program: 'github.com/yannh/kubeconform/cmd/kubeconform',
  version: 'v0.8.0',
};
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.85.0';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const run = promisify(execFile);

const cache = (): string =>
  process.env['POLARIS_PUSH_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'polaris-push', 'packaging');

/** The program, built once into the cache, or `Missing`. */
export const helm = (): Promise<string> => installed(HELM);
export const kubeconform = (): Promise<string> => installed(KUBECONFORM);

/** The checker of Compose files of this folder, likewise. */
export async function composeCheck(): Promise<string> {
  const source = join(HERE, 'compose-check');
  const hash = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  return built(`compose-check-${hash.digest('hex').slice(0, 16)}`, 'compose-check', (folder) =>
    go(['build', '-C', source, '-o', join(folder, 'compose-check'), '.']),
  );
}

const installed = ({ name, program, version }: typeof HELM): Promise<string> =>
  built(`${name}-${version}`, name, (folder) => go(['install', `${program}@${version}`], { GOBIN: folder }));

async function built(key: string, name: string, build: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = join(cache(), key);
  if (!existsSync(join(folder, name))) {
    mkdirSync(cache(), { recursive: true });
    const draft = mkdtempSync(`${folder}-draft-`);
    try {
      await build(draft);
      renameSync(draft, folder);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return join(folder, name);
}

async function go(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const usual = '/usr/local/go/bin/go';
  const program = onPath('go') ?? (existsSync(usual) ? usual : undefined);
  if (program === undefined)
    throw new Missing('Go is not there (Debian and Ubuntu: apt-get install golang-go; or https://go.dev/dl)');
  try {
    // It fetches a newer Go where a module needs one.
    const { stdout } = await run(program, args, { env: { ...process.env, GOTOOLCHAIN: 'auto', ...env } });
    return stdout;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    // What doesn't compile is no missing tool.
    if (/^# /m.test(stderr ?? '')) throw error;
    throw new Missing(`go ${args.slice(0, 2).join(' ')} failed: ${(stderr ?? message).trim().split('\n').at(-1)}`);
  }
}

/** The custom resource definition of ServiceMonitors, as the Prometheus Operator's Go module ships it. */
export async function serviceMonitorDefinition(): Promise<unknown> {
  const { Dir: folder } = JSON.parse(await go(['mod', 'download', '-json', PROMETHEUS_OPERATOR])) as { Dir: string };
  return JSON.parse(readFileSync(join(folder, 'jsonnet/prometheus-operator/servicemonitors-crd.json'), 'utf8'));
}

/** The folder of the Python packages that requirements.txt pins, or `Missing`. */
export async function pythonPackages(): Promise<string> {
  const python = await pythonWith('packaging', join(HERE, 'requirements.txt'));
  if (!python.ready) throw new Missing(`Python packages are not there: ${python.reason}`);
  return python.env['PYTHONPATH'] ?? '';
}

/** A program of the system, or `Missing` with how to get it. */
export function systemProgram(name: string, how: string): string {
  const found = onPath(name);
  if (found === undefined) throw new Missing(`${name} is not there (${how})`);
  return found;
}

export type Ran = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end, whatever its exit code. */
export async function outcome(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  try {
    const { stdout, stderr } = await run(program, args, { maxBuffer: 64 * 1024 * 1024, ...options });
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number | string; stdout?: string; stderr?: string };
    if (typeof code !== 'number') throw error;
    return { status: code, stdout, stderr };
  }
}
