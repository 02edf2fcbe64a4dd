import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../docs/root.ts';
import { single } from './containerfile.ts';
import { imageWorld, type ImageWorld } from './image-world.ts';
import { buildImage, finish, mounts, namespaces, type Image } from './image.ts';
import type { Step } from './step.ts';
import { Missing, outcome, pythonPackages, type Ran } from './tools.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const APP = '/opt/polaris-push';
const PATIENCE_MS = 60_000;

let image: Promise<Image> | undefined;
/** Built once for all steps. */
const built = (): Promise<Image> => (image ??= buildImage());

const project = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Readonly<Record<string, string>>;
};

/** `dev`: nothing but a dependency of development wants it. */
type Lock = { readonly packages: Readonly<Record<string, { readonly dev?: boolean }>> };

async function builds(): Promise<string> {
  const { root } = await built();
  const modules = join(root, APP, 'node_modules');
  const missing = Object.keys(project.dependencies).filter((name) => !existsSync(join(modules, name)));
  assert.deepEqual(missing, [], 'dependencies that are not in the image');
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const tools = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev === true);
  assert.ok(tools.length > 50);
  const kept = tools.map(([path]) => path).filter((path) => existsSync(join(root, APP, path)));
  assert.deepEqual(kept, [], 'tools of development in the image');
  assert.deepEqual(
    readdirSync(join(root, APP)).toSorted((a, b) => (a < b ? -1 : 1)),
    ['LICENSE', 'dist', 'node_modules', 'package.json', 'packaging'],
  );
  const { stdout } = await outcome('du', ['-sm', join(root, APP)]);
  const megabytes = Number.parseInt(stdout, 10);
  assert.ok(megabytes < 120, `${megabytes} MB`);
  return `${megabytes} MB besides Node.js`;
}

async function lints(): Promise<string> {
  const hadolint = join(await pythonPackages(), 'bin/hadolint');
  if (!existsSync(hadolint)) throw new Missing('hadolint is not for this system');
  const { status, stdout, stderr } = await outcome(hadolint, [join(ROOT, 'Containerfile')]);
  assert.equal(status, 0, `${stdout}${stderr}`);
  return 'nothing to say';
}

/** The container: process 1 of namespaces of its own, as engines start it with a read-only root. */
class Container implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #image: Image;
  #output = '';

  private constructor(child: ChildProcess, of: Image) {
    this.#child = child;
    this.#image = of;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  static async start(of: Image): Promise<Container> {
    const [unshare, args] = await namespaces();
    const [volume = ''] = single(of.stage, 'VOLUME').array ?? [];
    const command = [...(single(of.stage, 'ENTRYPOINT').array ?? []), ...(single(of.stage, 'CMD').array ?? [])];
    const script = [
      mounts(of),
      // A volume takes over what the image has there, its owner included.
      `mount --bind ${of.root}${volume} ${of.root}${volume}`,
      `mount -o remount,bind,ro ${of.root}/usr/local`,
      `mount -o remount,bind,ro ${of.root}`,
      `exec chroot ${of.root} ${[...asUser(of), ...command].join(' ')}`,
    ].join('\n');
    return new Container(spawn(unshare, [...args, script], { env: { PATH }, stdio: ['ignore', 'pipe', 'pipe'] }), of);
  }

  get output(): string {
    return this.#output;
  }

  /** Its process, by the number that it has outside. */
  get pid(): number {
    const { pid } = this.#child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    assert.match(children, /^\d+$/, `not running:\n${this.#output}`);
    return Number(children);
  }

  /** What engines do for `exec` and for health checks. */
  async exec(command: readonly string[], env: readonly string[] = []): Promise<Ran> {
    const into = ['--target', String(this.pid), '--mount', '--pid', '--root', '--wdns=/'];
    return outcome('nsenter', [...into, ...asUser(this.#image, env), ...command], { env: { PATH } });
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; !condition(); await pause(50)) {
      assert.equal(this.#child.exitCode, null, `it ended before ${what}:\n${this.#output}`);
      assert.ok(performance.now() < end, `waited in vain until ${what}:\n${this.#output}`);
    }
  }

  /** Sends the image's stop signal; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const closed = once(this.#child, 'close');
    process.kill(this.pid, single(this.#image.stage, 'STOPSIGNAL').text);
    await closed;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}

/** The image's user and environment, without any capability and without a way to get one. */
function asUser({ stage }: Image, env: readonly string[] = []): readonly string[] {
  const [uid, gid] = single(stage, 'USER').text.split(':');
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
  return ['setpriv', ...user, 'env', '-i', `PATH=${PATH}`, single(stage, 'ENV').text, ...env];
}

async function runs(): Promise<string> {
  const of = await built();
  await namespaces();
  await finish(of);
  await using world = await imageWorld();
  const config = single(of.stage, 'CMD').array?.at(-1) ?? '';
  writeFileSync(
    join(of.root, config),
    world.config({ states: '/etc/polaris-push/states.ndjson', ledger: '/var/lib/polaris-push/ledger.db' }),
  );
  writeFileSync(join(of.root, 'etc/polaris-push/states.ndjson'), world.states);
  const before = performance.now();
  await using container = await Container.start(of);
  await container.until(() => world.delivered() === world.tables, 'all tables were delivered');
  const seconds = ((performance.now() - before) / 1000).toFixed(1);
  assertConfined(container);
  await assertReadOnly(container);
  await assertHealth(container, of, world);
  const status = await container.exec(['polaris-push', 'status', '--config', config, '--json']);
  assert.equal(status.status, 0, status.stderr);
  assert.equal(await container.stop(), 0, container.output);
  await assertRestarts(of, world);
  return `process 1 as ${single(of.stage, 'USER').text}, read-only, delivered after ${seconds} s, healthy, stopped with 0, started again`;
}

/** Linux says what the process may do. */
function assertConfined(container: Container): void {
  const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/);
  assert.deepEqual(field('Uid'), ['65532', '65532', '65532', '65532']);
  assert.deepEqual(field('Gid'), ['65532', '65532', '65532', '65532']);
  assert.equal(field('NSpid')?.at(-1), '1');
  assert.deepEqual(
    ['CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs'].map((name) => Number(`0x${field(name)?.[0]}`)),
    [0, 0, 0, 1],
  );
}

/** Nothing can be written but the ledger's folder and /tmp. */
async function assertReadOnly(container: Container): Promise<void> {
  const writable = async (folder: string) =>
    (await container.exec(['sh', '-c', `: > ${folder}/probe && rm ${folder}/probe`])).status === 0;
  const folders = ['/', APP, '/etc/polaris-push', '/usr/local/bin', '/var/lib', '/var/lib/polaris-push', '/tmp'];
  const found = await Promise.all(folders.map(async (folder) => [folder, await writable(folder)] as const));
  assert.deepEqual(
    found.filter(([, can]) => can).map(([folder]) => folder),
    ['/var/lib/polaris-push', '/tmp'],
  );
}

/** The image's own health check, and that it can tell trouble. */
async function assertHealth(container: Container, of: Image, { port }: ImageWorld): Promise<void> {
  const command = single(of.stage, 'HEALTHCHECK').array ?? [];
  const at = (address: string) => container.exec(command, [`POLARIS_PUSH_HEALTH=${address}`]);
  const healthy = await at(`http://127.0.0.1:${port}/livez`);
  assert.equal(healthy.status, 0, healthy.stdout);
  const silent = await at('http://127.0.0.1:1/livez');
  assert.equal(silent.status, 1);
  assert.match(silent.stdout, /is http\.listen set\?/);
}

/** A container made anew from the image, with the volume of the old one. */
async function assertRestarts(of: Image, world: ImageWorld): Promise<void> {
  const served = await fetch(`http://127.0.0.1:${world.port}/livez`).then(
    () => true,
    () => false,
  );
  assert.equal(served, false, 'the stopped agent still listens');
  await using again = await Container.start(of);
  await again.until(() => again.output.includes('Caught up') || again.output.includes('caught-up'), 'it has caught up');
  assert.equal(await again.stop(), 0, again.output);
}

export const imageSteps: readonly Step[] = [
  { name: "the Containerfile's own steps build it", run: builds },
  { name: 'hadolint', run: lints },
  { name: 'it runs', run: runs },
];
