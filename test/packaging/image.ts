import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ROOT } from '../docs/root.ts';
import { allowedPaths, parseContainerfile, single, type Instruction, type Stage } from './containerfile.ts';
import { Missing, outcome, systemProgram } from './tools.ts';

/**
 * The image as far as it can be had without an engine: the Containerfile's own instructions carried out in folders. The
 * base image is this system's Node.js and `/usr`, so nothing is learnt about Debian's packages in the real one.
 */
export type Image = {
  /** The image's root, as the last stage leaves it. */
  readonly root: string;
  /** What takes the place of `/usr/local`: Node.js, and the link to the agent. */
  readonly local: string;
  readonly stage: Stage;
};

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Carries out the Containerfile in a temporary folder, which is removed when this process ends. */
export async function buildImage(): Promise<Image> {
  const { stages } = parseContainerfile(read('Containerfile'));
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-image-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const allowed = allowedPaths(read('.containerignore'));
  const roots = new Map<string, string>();
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync(systemProgram('npm', 'it comes with Node.js'), join(bin, 'npm'));
  const env = { ...outsideOfNpm(process.env), PATH: `${bin}:/usr/bin:/bin` };
  for (const [index, stage] of stages.entries()) {
    const root = join(folder, `stage-${index}`);
    roots.set(stage.name ?? String(index), root);
    const last = index === stages.length - 1;
    let workdir = '/';
    for (const instruction of stage.instructions) {
      if (instruction.keyword === 'WORKDIR') {
        workdir = instruction.text;
        mkdirSync(join(root, workdir), { recursive: true });
      }
      if (instruction.keyword === 'COPY') copy(instruction, { root: join(root, workdir), roots, allowed });
      // What the last stage runs names the image's own folders, so it needs them as its root; see `inside`.
      if (instruction.keyword === 'RUN' && !last) await runIn(join(root, workdir), instruction.text, env);
    }
  }
  const root = join(folder, `stage-${stages.length - 1}`);
  const stage = stages.at(-1);
  assert.ok(stage !== undefined);
  return { root, stage, local: nodeIn(join(folder, 'local')) };
}

/** The environment without what npm tells its scripts, so that npm acts where it is called; proxies and registries stay. */
const outsideOfNpm = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  const told =
    /^(npm_(lifecycle|package|execpath|node_execpath|command|config_(local_|global_)?prefix)|INIT_CWD|NODE_ENV)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !told.test(name)));
};

type CopyPlace = {
  readonly root: string;
  readonly roots: ReadonlyMap<string, string>;
  readonly allowed: readonly string[];
};

function copy({ text, flags }: Instruction, { root, roots, allowed }: CopyPlace): void {
  const paths = text.split(' ');
  const to = paths.pop() ?? '';
  const from = flags['from'];
  const base = from === undefined ? ROOT : roots.get(from);
  assert.ok(base !== undefined, `there is no stage ${from}`);
  for (const path of paths) {
    const ignored = from === undefined && !allowed.some((each) => path === each || path.startsWith(`${each}/`));
    assert.ok(!ignored, `the build's context has no ${path}`);
    const target = join(root, to, to.endsWith('/') ? basename(path) : '');
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(base, path), target, { recursive: true, verbatimSymlinks: true });
  }
}

async function runIn(cwd: string, script: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { status, stdout, stderr } = await outcome('/bin/sh', ['-c', script], { cwd, env });
  assert.equal(status, 0, `RUN ${script}\n${stdout}${stderr}`);
}

/** A folder like `/usr/local` of the base image. */
function nodeIn(folder: string): string {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  cpSync(process.execPath, join(folder, 'bin/node'), { dereference: true });
  return folder;
}

/** What of the system a program needs besides `/usr`: links into it on systems of our day, folders on older ones. */
const LIBRARIES = ['bin', 'sbin', 'lib', 'lib64'].filter((name) => existsSync(`/${name}`));
const OF_THE_HOST = ['/etc/hosts', '/etc/resolv.conf', '/etc/nsswitch.conf'];

/** The start of a script for `sh` in namespaces of its own: it makes `image` the root of what follows, writable yet. */
export function mounts({ root, local }: Image): string {
  for (const folder of ['usr', 'proc', 'dev', 'tmp', 'etc/polaris-push'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const name of LIBRARIES) {
    const target = join(root, name);
    if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) continue;
    if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), target);
    else mkdirSync(target);
  }
  for (const file of OF_THE_HOST.filter((path) => existsSync(path)))
    cpSync(file, join(root, file), { dereference: true });
  const bound = LIBRARIES.filter((name) => !lstatSync(`/${name}`).isSymbolicLink());
  return [
    'set -e',
    'mount --make-rprivate /',
    `mount --bind ${root} ${root}`,
    ...['usr', 'dev', ...bound].map((name) => `mount --rbind /${name} ${root}/${name}`),
    `mount -o remount,bind,ro ${root}/usr`,
    `mount --bind ${local} ${root}/usr/local`,
    `mount -t proc proc ${root}/proc`,
    `mount -t tmpfs tmpfs ${root}/tmp`,
  ].join('\n');
}

/** `unshare` and its arguments for a script that is process 1 of the image, or `Missing`. */
export async function namespaces(): Promise<readonly [string, readonly string[]]> {
  const unshare = systemProgram('unshare', 'apt-get install util-linux');
  systemProgram('setpriv', 'apt-get install util-linux');
  systemProgram('nsenter', 'apt-get install util-linux');
  const args = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c'];
  if (process.getuid?.() !== 0) throw new Missing('it takes the superuser to run something as another user');
  const { status, stderr } = await outcome(unshare, [...args, 'mount --make-rprivate /']);
  if (status !== 0) throw new Missing(`namespaces can't be made here: ${stderr.trim()}`);
  return [unshare, args];
}

/** Carries out the last stage's RUN, with the image as the root. */
export async function finish(image: Image): Promise<void> {
  const [unshare, args] = await namespaces();
  const script = `${mounts(image)}\nexec chroot ${image.root} /bin/sh -c "$0"`;
  const { text } = single(image.stage, 'RUN');
  const { status, stderr } = await outcome(unshare, [...args, script, text], {
    env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  assert.equal(status, 0, `RUN ${text}\n${stderr}`);
}
