import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OLDEST_JDK, type Jdk } from './toolchain.ts';

/** Version 3.6.1 of the plugin still runs on Maven 3.6, which long-term distributions ship. */
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';

/**
 * What a Java process consists of. A jar is `group:artifact:version`, or `group:artifact:version:classifier`; with `!`
 * in front it comes without the jars it depends on, because those drag in a whole Hadoop, or versions that don't go
 * together.
 */
export type Parts = {
  readonly name: string;
  readonly jars: readonly string[];
  /** The artifact whose `-bin.tar.gz` is unpacked; its `lib` folder comes first on the class path. */
  readonly tarball?: string | undefined;
  /** Java source files compiled against the jars. */
  readonly sources?: readonly string[] | undefined;
};

export type Assembly = {
  /** For `java -cp`. */
  readonly classPath: string;
  /** The unpacked folder of the tarball. */
  readonly home?: string | undefined;
};

/** Downloads outlive clones and `npm ci`, so they are kept where the operating system keeps caches. */
export const cacheDir = (): string =>
  process.env['POLARIS_PUSH_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'polaris-push', 'real');

/**
 * Resolves the parts through Maven into a folder named by their content, so that an unchanged assembly needs neither
 * Maven nor a network. The jars stay in Maven's own repository; an assembly whose jars were deleted there is made again.
 */
export async function assemble(parts: Parts, maven: string, jdk: Jdk): Promise<Assembly> {
  const pom = pomOf(parts);
  const sources = parts.sources ?? [];
  const hash = createHash('sha256').update(pom);
  for (const file of sources) hash.update(readFileSync(file));
  const root = cacheDir();
  const folder = join(root, `${parts.name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder) && jarsOf(folder).every((jar) => existsSync(jar))) return assemblyIn(folder);

  mkdirSync(root, { recursive: true });
  const draft = mkdtempSync(join(root, `${parts.name}-draft-`));
  try {
    writeFileSync(join(draft, 'pom.xml'), pom);
    await mvn(maven, jdk, draft, [
      `${DEPENDENCY_PLUGIN}:build-classpath`,
      `-Dmdep.outputFile=${join(draft, 'jars.txt')}`,
      '-Dmdep.pathSeparator=:',
      '-DincludeTypes=jar',
      '-DincludeScope=runtime',
    ]);
    if (parts.tarball !== undefined) {
      await mvn(maven, jdk, draft, [
        `${DEPENDENCY_PLUGIN}:unpack-dependencies`,
        '-DincludeTypes=tar.gz',
        `-DoutputDirectory=${join(draft, 'home')}`,
        `-DmarkersDirectory=${join(draft, 'markers')}`,
      ]);
    }
    if (sources.length > 0) await javac(jdk, draft, sources);
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder); // last, so that an interrupted assembly is never taken for a finished one
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return assemblyIn(folder);
}

function assemblyIn(folder: string): Assembly {
  const unpacked = join(folder, 'home');
  const home = existsSync(unpacked) ? join(unpacked, readdirSync(unpacked)[0] ?? '') : undefined;
  const entries = [join(folder, 'classes'), ...(home === undefined ? [] : [join(home, 'lib', '*')]), ...jarsOf(folder)];
  return { classPath: entries.join(':'), home };
}

const jarsOf = (folder: string): readonly string[] =>
  readFileSync(join(folder, 'jars.txt'), 'utf8')
    .trim()
    .split(':')
    .filter((jar) => jar !== '');

async function mvn(maven: string, jdk: Jdk, folder: string, args: readonly string[]): Promise<void> {
  await run(maven, ['-q', '-B', '-f', join(folder, 'pom.xml'), ...args], { ...process.env, JAVA_HOME: jdk.home });
}

async function javac(jdk: Jdk, folder: string, sources: readonly string[]): Promise<void> {
  const jars = jarsOf(folder).join(':');
  await run(
    join(jdk.home, 'bin', 'javac'),
    [
      '-Xlint:all,-classfile,-processing,-serial',
      '--release',
      String(OLDEST_JDK),
      '-proc:none',
      '-encoding',
      'UTF-8',
      '-cp',
      jars,
      '-d',
      join(folder, 'classes'),
      ...sources,
    ],
    process.env,
  );
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await promisify(execFile)(program, args, { env, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args[0] ?? ''} failed:\n${stdout ?? ''}${stderr ?? String(error)}`, { cause: error });
  }
}

function pomOf({ name, jars, tarball }: Parts): string {
  const dependencies = [
    ...(tarball === undefined ? [] : [dependency(`!${tarball}`, '<type>tar.gz</type><classifier>bin</classifier>')]),
    ...jars.map((jar) => dependency(jar, '')),
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>polaris-push.real</groupId><artifactId>${name}</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
${dependencies.join('\n')}
  </dependencies>
</project>
`;
}

function dependency(coordinates: string, kind: string): string {
  const alone = coordinates.startsWith('!');
  const [group = '', artifact = '', version = '', classifier] = coordinates.slice(alone ? 1 : 0).split(':');
  const classified = classifier === undefined ? '' : `<classifier>${classifier}</classifier>`;
  const exclusions = '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>';
  return `    <dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${kind}${classified}${alone ? exclusions : ''}</dependency>`;
}
