import cliProgress from 'cli-progress';
import type { PlainContext } from './context.ts';

/** How far a long command has come: a bar with rate and time left on a terminal, nothing elsewhere. */
export interface Progress extends Disposable {
  /** So many more things are to be done. */
  expect(more: number): void;
  /** One of them is done. */
  tick(): void;
}

export function progress({ io, isTty }: PlainContext, unit: string): Progress {
  if (!isTty || io.stderr.isTTY !== true) return { expect() {}, tick() {}, [Symbol.dispose]() {} };
  const bar = new cliProgress.SingleBar(
    {
      format: `{bar} {value}/{total} ${unit} | {speed}/s | {eta_formatted} left`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      etaBuffer: 500,
    },
    cliProgress.Presets.rect,
  );
  const startedMs = io.clock.monotonicMs();
  let done = 0;
  bar.start(0, 0, { speed: '-' });
  return {
    expect: (more) => bar.setTotal(bar.getTotal() + more),
    tick: () => {
      done++;
      bar.update(done, { speed: Math.round((1000 * done) / Math.max(1, io.clock.monotonicMs() - startedMs)) });
    },
    [Symbol.dispose]: () => bar.stop(),
  };
}
