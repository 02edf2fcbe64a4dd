import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type SessionShell = AsyncDisposable & {
  /** Runs commands as if typed into one session: variables and functions stay. Resolves with what they print; rejects when one fails. */
  readonly type: (commands: string) => Promise<string>;
  /** The variables that the session has exported. */
  readonly exported: () => Promise<Readonly<Record<string, string>>>;
};

/** A POSIX shell in `folder`, which stops at the first command that fails. */
export function sessionShell(folder: string, path: string): SessionShell {
  const env = { PATH: path, HOME: folder, TMPDIR: folder };
  const shell = spawn('sh', ['-eu'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      for (const look of listeners) look();
    });
  }
  const closed = once(shell, 'close').finally(() => {
    for (const look of listeners) look();
  });
  let count = 0;
  const type = async (commands: string): Promise<string> => {
    const done = `--typed-${(count += 1)}--`;
    const file = join(folder, `typed-${count}.sh`);
    writeFileSync(file, commands);
    output = '';
    // Sourced from a file, so that no command can read what is typed next.
    shell.stdin.write(`. '${file}' </dev/null\necho ${done}\n`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = () => {
      if (output.includes(done)) resolve(output.slice(0, output.indexOf(done)));
      else if (shell.exitCode !== null)
        reject(new Error(`The shell ended with ${shell.exitCode}:\n${commands}\n${output}`));
    };
    listeners.add(look);
    look();
    return promise.finally(() => listeners.delete(look));
  };
  return {
    type,
    exported: async () => {
      await type(`env > exported.txt`);
      const lines = readFileSync(join(folder, 'exported.txt'), 'utf8').split('\n');
      return Object.fromEntries(
        lines.map((line) => line.split(/=(.*)/s).slice(0, 2)).filter((pair) => pair.length === 2),
      ) as Record<string, string>;
    },
    [Symbol.asyncDispose]: async () => {
      shell.kill('SIGKILL');
      await closed;
    },
  };
}
