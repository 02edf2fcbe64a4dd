import { spawn } from 'node:child_process';
import { once } from 'node:events';

export type Running = AsyncDisposable & {
  /** Resolves once the output has this text; rejects when the process ends before. */
  readonly printed: (text: string) => Promise<void>;
  readonly output: () => string;
  /** Ends it in an orderly way; the exit code. */
  readonly stop: () => Promise<number | null>;
  /** Ends it as a crash does, at once. */
  readonly kill: () => Promise<void>;
};

/** Starts what a reader would leave running. */
export function leaveRunning(command: string, cwd: string, env: Readonly<Record<string, string>>): Running {
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let look: (() => void) | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    look?.();
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, 'close').finally(() => look?.());
  const kill = async () => {
    child.kill('SIGKILL');
    await closed;
  };
  return {
    output: () => stdout,
    printed: (text) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (stdout.includes(text)) resolve();
          else if (child.exitCode !== null)
            reject(new Error(`${command} ended with ${child.exitCode}:\n${stdout}\n${stderr}`));
        };
        look();
      }),
    stop: async () => {
      child.kill('SIGTERM');
      await closed;
      return child.exitCode;
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
