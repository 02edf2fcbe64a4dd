import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What promtool said, and whether it was content. */
export type Judgement = { readonly ok: boolean; readonly said: string };

/** Whether this machine has Prometheus's promtool. */
export const hasPromtool = (): boolean => spawnSync('promtool', ['--version']).error === undefined;

/** Runs promtool; throws if there is none. */
export const promtool = (...args: readonly string[]): Judgement => judgement(args, '');

/** What it thinks of an exposition of metrics. */
export const promtoolOnMetrics = (exposition: string): Judgement => judgement(['check', 'metrics'], exposition);

function judgement(args: readonly string[], input: string): Judgement {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', input });
  if (error !== undefined) throw error;
  return { ok: status === 0, said: `${stdout}${stderr}` };
}

/** The same on a text, as the file that is the last argument. YAML may be given as JSON. */
export function promtoolOn(text: string, ...args: readonly string[]): Judgement {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-promtool-'));
  try {
    const file = join(folder, 'file.yaml');
    writeFileSync(file, text);
    return promtool(...args, file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
