import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COMMAND_LINE } from '../../examples/quickstart/child.ts';
import { freePort } from '../../examples/quickstart/postgres.ts';
import { startEmulator } from '../../src/polaris/emulator/emulator.ts';

/**
 * What it costs to be looked at: `node test/bench/observability.ts [--tables 5000] [--runs 5]`. The agent, a process of its
 * own, delivers so many tables from a file to an emulated Polaris that answers at once, alternately unobserved, with metrics
 * scraped every second, with an SDK of OpenTelemetry, and with both. Prints medians and ratios to unobserved of the same run.
 */
const { values } = parseArgs({
  options: { tables: { type: 'string', default: '5000' }, runs: { type: 'string', default: '5' } },
});
const tables = Number(values.tables);
const runs = Number(values.runs);
const CATALOG = 'mirror';
const SDK = fileURLToPath(new URL('sdk.ts', import.meta.url));
/** Node.js says at its end how much of a processor it took, in ms. */
const CPU_AT_EXIT = `data:text/javascript,${encodeURIComponent(
  `process.once('exit', () => { const { user, system } = process.cpuUsage();
     process.stderr.write(JSON.stringify({ event: 'cpu', ms: (user + system) / 1000 }) + '\\n'); });`,
)}`;

const VARIANTS = {
  unobserved: { metrics: false, tracing: false },
  metrics: { metrics: true, tracing: false },
  tracing: { metrics: false, tracing: true },
  both: { metrics: true, tracing: true },
} as const;
type Variant = keyof typeof VARIANTS;
type Event = { readonly event: string; readonly ms?: number | undefined; readonly spans?: number | undefined };
type Measured = {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly spans: number;
  readonly scrapes: number;
};

const folder = mkdtempSync(join(tmpdir(), 'polaris-push-observability-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const states = join(folder, 'states.ndjson');
const lines = Array.from({ length: tables }, (_, i) =>
  JSON.stringify({
    table: [`db${i % 50}`, `t${i}`],
    state: 'present',
    metadata_location: `s3://warehouse/db${i % 50}/t${i}/metadata/00000.metadata.json`,
    incarnation: String(i),
    as_of: 1_700_000_000_000,
  }),
);
writeFileSync(states, `${lines.join('\n')}\n`);

async function measure(variant: Variant, round: number): Promise<Measured> {
  const { metrics, tracing } = VARIANTS[variant];
  await using emulator = await startEmulator({
    catalogs: [{ name: CATALOG, baseLocation: 's3://warehouse' }],
    readMetadata: 'never',
  });
  const port = await freePort();
  const file = join(folder, 'agent.yaml');
  const config = {
    source: { kind: 'file', path: states },
    targets: [
      {
        name: 'main',
        uri: `${emulator.uri}/api/catalog`,
        catalog: CATALOG,
        auth: { client_id: 'root', client_secret: 's3cr3t' },
        // Fixed: what the agent makes of a moment in which others need the processor isn't what is measured.
        concurrency: { min: 8, max: 8 },
      },
    ],
    ledger: { path: join(folder, `${variant}-${round}.db`) },
    ...(metrics ? { http: { listen: `127.0.0.1:${port}` } } : {}),
  };
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const imports = ['--import', CPU_AT_EXIT, ...(tracing ? ['--import', SDK] : [])];
  const args = [...imports, COMMAND_LINE, 'run', '--once', '--config', file, '--json', '--log-level', 'warn'];
  const agent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = new Map<string, Event>();
  for (const stream of [agent.stdout, agent.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const event = JSON.parse(line) as Event;
      said.set(event.event, event);
    });
  }
  let scrapes = 0;
  const scraper = setInterval(() => {
    if (!metrics) return;
    void scrape(port).then((answered) => (scrapes += Number(answered)));
  }, 1_000);
  const [code] = (await once(agent, 'close')) as [number | null];
  clearInterval(scraper);
  const caughtUpMs = said.get('caught-up')?.ms;
  if (code !== 0 || caughtUpMs === undefined) throw new Error(`${variant}: the agent ended with ${code}.`);
  return {
    perSecond: tables / (caughtUpMs / 1_000),
    cpuMs: said.get('cpu')?.ms ?? Number.NaN,
    spans: said.get('spans')?.spans ?? 0,
    scrapes,
  };
}

/** False before it listens, and after. */
async function scrape(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    await answer.text();
    return answer.ok;
  } catch {
    return false;
  }
}

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

const names = Object.keys(VARIANTS) as readonly Variant[];
const results = new Map<Variant, Measured[]>(names.map((name) => [name, []]));
// Once for nothing: files, compiled code and whoever else is at work settle.
await measure('both', -1);
for (let round = 0; round < runs; round += 1) {
  for (const name of names) results.get(name)?.push(await measure(name, round));
}
const of = (name: Variant, figure: keyof Measured) => median((results.get(name) ?? []).map((one) => one[figure]));
for (const name of names) {
  const [rate, cpu] = [of(name, 'perSecond'), of(name, 'cpuMs')];
  console.log(
    JSON.stringify({
      variant: name,
      tables_per_second: Math.round(rate),
      throughput_ratio: Number((rate / of('unobserved', 'perSecond')).toFixed(3)),
      agent_cpu_ms: Math.round(cpu),
      cpu_ratio: Number((cpu / of('unobserved', 'cpuMs')).toFixed(3)),
      spans: of(name, 'spans'),
      scrapes: of(name, 'scrapes'),
      all: (results.get(name) ?? []).map(({ perSecond }) => Math.round(perSecond)),
    }),
  );
}
