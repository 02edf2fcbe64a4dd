import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Hive 4.2.0 is compiled for Java 21; the older servers run on it too. */
export const OLDEST_JDK = 21;

export type Jdk = { readonly home: string; readonly feature: number };

/** The JDK and the Maven that the tier runs on, or what is missing and how to get it, for people. */
export type Toolchain =
  | { readonly ready: true; readonly jdk: Jdk; readonly maven: string }
  | { readonly ready: false; readonly missing: readonly string[] };

/** Looks for a JDK (`JAVA_HOME`, then `java` on the PATH, then the usual folders, newest first) and for Maven. */
export function findToolchain(): Toolchain {
  const found = jdks();
  const jdk = found.find((candidate) => candidate.feature >= OLDEST_JDK);
  const maven = onPath('mvn');
  const missing: string[] = [];
  if (jdk === undefined) {
    const others = found.length === 0 ? 'none was found' : `found only ${found.map((each) => each.home).join(', ')}`;
    missing.push(
      `a JDK ${OLDEST_JDK} or newer (${others}): install one (Debian and Ubuntu: apt-get install openjdk-21-jdk-headless or temurin-25-jdk; macOS: brew install openjdk), or set JAVA_HOME`,
    );
  }
  if (maven === undefined) {
    missing.push('Maven (no mvn on the PATH): apt-get install maven, or brew install maven');
  }
  return jdk === undefined || maven === undefined ? { ready: false, missing } : { ready: true, jdk, maven };
}

/** The full path of a program on the PATH. */
export function onPath(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => join(dir, program))
    .find((path) => existsSync(path));
}

/** Every JDK (not mere runtime) that can be found, the user's own choice first, the others from new to old. */
function jdks(): readonly Jdk[] {
  const chosen = [process.env['JAVA_HOME'], homeOfPathJava()];
  const folders = ['/usr/lib/jvm', '/usr/java', '/opt/java', join(homedir(), '.sdkman/candidates/java')];
  const usual = [
    ...folders.flatMap((folder) => inside(folder)),
    ...inside('/Library/Java/JavaVirtualMachines').map((bundle) => join(bundle, 'Contents/Home')),
  ];
  const byAge = usual.flatMap((home) => asJdk(home)).toSorted((a, b) => b.feature - a.feature);
  const first = chosen.flatMap((home) => (home === undefined || home === '' ? [] : asJdk(home)));
  const unique = new Map([...first, ...byAge].map((jdk) => [realpathSync(jdk.home), jdk]));
  return [...unique.values()];
}

const inside = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];

/** Every JDK since 9 says its version in the file `release`; reading it is faster and safer than running it. */
function asJdk(home: string): readonly Jdk[] {
  const release = join(home, 'release');
  if (!existsSync(release) || !existsSync(join(home, 'bin', 'javac'))) return [];
  const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, 'utf8'))?.[1];
  return version === undefined ? [] : [{ home, feature: Number(version) }];
}

/** `java` on the PATH may be a wrapper (macOS, asdf, ...), so it is asked where its home is. */
function homeOfPathJava(): string | undefined {
  const java = onPath('java');
  if (java === undefined) return undefined;
  try {
    const settings = execFileSync('sh', ['-c', `"$0" -XshowSettings:properties -version 2>&1`, java], {
      encoding: 'utf8',
    });
    return /^\s*java\.home = (.+)$/m.exec(settings)?.[1]?.trim() ?? dirname(dirname(realpathSync(java)));
  } catch {
    return undefined;
  }
}
