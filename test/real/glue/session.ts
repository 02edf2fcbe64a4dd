import { mkdtempSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SQSClient } from '@aws-sdk/client-sqs';
import { startFauxqs } from 'fauxqs';
import { stringify } from 'yaml';
import { startEmulator } from '../../../src/polaris/emulator/emulator.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { GlueEvents, toQueue } from '../../fixtures/glue-events.ts';
import { Child } from '../child.ts';
import { differences } from '../comparison.ts';
import { Polaris } from '../polaris.ts';
import type { ReadyPython } from '../pyiceberg.ts';
import type { Writer } from '../python-writer.ts';
import { Witness } from '../witness.ts';
import type { Operation } from './operations.ts';
import { ACCOUNT, changesOf, CREDENTIALS, startMoto, startWriter } from './writer.ts';

export const REGION = 'eu-west-1';
const CATALOG = 'mirror';
const ROOT = { clientId: 'root', clientSecret: 's3cr3t' };
/** How long Polaris may take to become equal after an operation; it takes a few seconds. */
const PATIENCE_MS = 30_000;

/** How the agent learns of a change: by events alone, or by comparing the whole, as if every event were lost. */
export type Mode = 'events' | 'reconciliation';
const RECONCILE_EVERY: Readonly<Record<Mode, string>> = { events: '1h', reconciliation: '1s' };

/** One operation, after which Polaris was equal to Glue: how many tables were compared, and how soon. */
export type Compared = { readonly tables: number; readonly tookMs: number };

type Parts = {
  readonly mode: Mode;
  readonly writer: Writer;
  readonly events: GlueEvents;
  readonly polaris: Polaris;
  readonly witness: Witness;
  readonly startAgent: () => Child;
};

/** moto's Glue, PyIceberg as its writer, a queue, an emulated Polaris, and the agent between them. */
export class Session implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #cleanUp: AsyncDisposableStack;
  #agent: Child;

  private constructor(parts: Parts, cleanUp: AsyncDisposableStack) {
    this.#parts = parts;
    this.#cleanUp = cleanUp;
    this.#agent = parts.startAgent();
  }

  static async start(mode: Mode, { python, main }: { python: ReadyPython; main: string }): Promise<Session> {
    await using stack = new AsyncDisposableStack();
    const folder = realpathSync(mkdtempSync(join(tmpdir(), `polaris-push-glue-${mode}-`)));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'warehouse'));
    const warehouse = pathToFileURL(join(folder, 'warehouse')).href;
    const moto = await startMoto(python, folder);
    stack.use(moto.child);
    const writer = stack.use(await startWriter(python, moto.endpoint, { warehouse, folder }));
    const sqs = await startFauxqs({ port: 0, logger: false, defaultRegion: REGION });
    stack.defer(() => sqs.stop());
    const { queueUrl } = sqs.createQueue('polaris-push', { region: REGION });
    const credentials = { accessKeyId: 'AKIDREAL', secretAccessKey: 'secret' };
    const client = stack.adopt(new SQSClient({ region: REGION, endpoint: sqs.address, credentials }), (c) =>
      c.destroy(),
    );
    const events = new GlueEvents({
      account: ACCOUNT,
      region: REGION,
      now: Date.now,
      clock: systemClock,
      random: systemRandom,
    });
    events.faults = { duplication: 0.2, shuffle: 3 };
    if (mode === 'events') events.deliverTo(toQueue(client, queueUrl));
    const emulator = stack.use(await startEmulator({ catalogs: [{ name: CATALOG, baseLocation: warehouse }] }));
    const file = join(folder, 'polaris-push.yaml');
    writeFileSync(
      file,
      stringify({
        source: {
          kind: 'glue',
          queue_url: queueUrl,
          region: REGION,
          glue_endpoint: moto.endpoint,
          sqs_endpoint: sqs.address,
          wait_time: '1s',
        },
        targets: [
          {
            name: 'main',
            uri: `${emulator.uri}/api/catalog`,
            catalog: CATALOG,
            auth: { client_id: ROOT.clientId, client_secret: ROOT.clientSecret },
          },
        ],
        ledger: { path: join(folder, 'ledger', 'ledger.db') },
        reconcile: { every: RECONCILE_EVERY[mode] },
      }),
    );
    const startAgent = () =>
      new Child({
        program: process.execPath,
        args: [main, 'run', '--config', file],
        env: CREDENTIALS,
        logFile: join(folder, 'agent.log'),
      });
    const polaris = await Polaris.login(emulator.uri, ROOT);
    const parts = { mode, writer, events, polaris, witness: new Witness(emulator), startAgent };
    return new Session(parts, stack.move());
  }

  get notifications(): number {
    return this.#parts.witness.notifications;
  }

  /** Carries an operation out and waits until Polaris is equal. Throws with the differences if it doesn't become so. */
  async perform({ requests, whileStopped = false }: Operation): Promise<Compared> {
    const { writer, events, witness, startAgent } = this.#parts;
    if (whileStopped) await this.#stopAgent();
    for (const request of requests) {
      await writer.do(request);
      for (const change of changesOf(request)) events.changed(change);
    }
    await events.flush();
    if (whileStopped) this.#agent = startAgent();
    const compared = await this.#untilEqual();
    const wrong = witness.violations(requests, await writer.tables());
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    return compared;
  }

  /** Ends it in order. Throws when a timestamp did not increase, or the agent doesn't leave with 0. */
  async finish(): Promise<void> {
    const wrong = this.#parts.witness.timestampViolations();
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    await this.#stopAgent();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]();
    await this.#cleanUp.disposeAsync();
  }

  async #untilEqual(): Promise<Compared> {
    const before = performance.now();
    for (;;) {
      const source = await this.#parts.writer.tables();
      const found = differences(source, await this.#parts.polaris.tables(CATALOG), []);
      const tookMs = performance.now() - before;
      if (found.length === 0) return { tables: source.length, tookMs };
      if (!this.#agent.alive) throw new Error(`The agent ended.\n${this.#agent.tail()}`);
      if (tookMs > PATIENCE_MS) throw new Error(`Not equal:\n${found.join('\n')}\n${this.#agent.tail()}`);
      await systemClock.sleep(100);
    }
  }

  async #stopAgent(): Promise<void> {
    const ended = await this.#agent.stop();
    if (ended !== 0) throw new Error(`The agent left with ${ended} on SIGTERM.\n${this.#agent.tail()}`);
  }
}
