import { parseArgs } from 'node:util';
import { AGENT_SETS, LANE_SETS, NIGHTLY_SETS, type HistorySet } from './exhaustive.ts';
import { LongHistory } from './long-history.ts';

const USAGE = `npm run sim -- [--seed N] [--seeds K] [--minutes M] [--trace N]
npm run sim -- --exhaustive [tests|nightly]

  --seed N      the first seed; default: drawn by lot, and printed
  --seeds K     so many seeds at most; default: as many as there is time for
  --minutes M   so long at most; default 1, or no limit with --seeds
  --trace N     lines of what led to a violation; default 80
  --exhaustive  all short histories of the tests, or the longer ones of the nightly run

The same seed is the same run. It ends with 1 at the first violation, and says how to repeat it.`;

type Options = { readonly seed: number; readonly seeds: number; readonly minutes: number; readonly trace: number };

/** How often it says how far it is. */
const PROGRESS_MS = 10_000;

const number = (value: number): string => Math.round(value).toLocaleString('en');

function optionsOf(values: Readonly<Record<string, string | boolean | undefined>>): Options {
  const read = (name: string, fallback: number): number => {
    const text = values[name];
    const value = typeof text === 'string' ? Number(text) : fallback;
    if (Number.isNaN(value) || value < 0) throw new Error(`--${name} must be a number, not ${String(text)}.`);
    return value;
  };
  const seed = read('seed', 1 + Math.floor(Math.random() * 1_000_000_000));
  const seeds = read('seeds', Number.POSITIVE_INFINITY);
  return { seed, seeds, minutes: read('minutes', seeds < Infinity ? Infinity : 1), trace: read('trace', 80) };
}

/** Runs one seed after the other; the exit code. */
async function simulate({ seed, seeds, minutes, trace }: Options): Promise<number> {
  console.log(`seed ${seed}`);
  const startedMs = performance.now();
  const total = { seeds: 0, hours: 0, quiet: 0, requests: 0 };
  const tell = (what: string) => {
    const tookMs = performance.now() - startedMs;
    const { seeds: done, hours, quiet, requests } = total;
    const rate = number((hours / tookMs) * 1000);
    console.log(
      `${what}${number(done)} seeds, ${number(hours)} simulated hours, ${number(quiet)} quiet moments, ` +
        `${number(requests)} requests in ${(tookMs / 60_000).toFixed(1)} minutes (${rate} hours a second)`,
    );
  };
  let nextMs = startedMs + PROGRESS_MS;
  for (let at = seed; at < seed + seeds && performance.now() - startedMs < minutes * 60_000; at++) {
    const history = new LongHistory(at);
    try {
      const { hours, quiet, requests } = await history.run();
      total.seeds++;
      total.hours += hours;
      total.quiet += quiet;
      total.requests += requests;
    } catch (error) {
      tell('');
      console.log(`\n${history.trace.slice(-trace).join('\n')}\n\nseed ${at}: ${String(error)}`);
      console.log(`Again: npm run sim -- --seed ${at} --seeds 1 --trace 1000`);
      return 1;
    }
    if (performance.now() > nextMs) {
      tell('… ');
      nextMs += PROGRESS_MS;
    }
  }
  tell('No violation: ');
  return 0;
}

/** Runs all histories of these sets; the exit code. */
async function exhaustAll(sets: readonly HistorySet[]): Promise<number> {
  let all = 0;
  for (const { title, run } of sets) {
    const startedMs = performance.now();
    try {
      const histories = await run();
      all += histories;
      console.log(`${number(histories)} of ${title} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    } catch (error) {
      const trace = error instanceof Error && 'trace' in error ? (error.trace as readonly string[]) : [];
      console.log(`\n${trace.join('\n')}\n\n${title}: ${String(error)}`);
      return 1;
    }
  }
  console.log(`No violation: ${number(all)} histories`);
  return 0;
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    options: {
      seed: text,
      seeds: text,
      minutes: text,
      trace: text,
      exhaustive: { type: 'boolean' },
      help: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  if (values.exhaustive === true)
    return exhaustAll(positionals[0] === 'nightly' ? NIGHTLY_SETS : [...AGENT_SETS, ...LANE_SETS]);
  return simulate(optionsOf(values));
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`${String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
