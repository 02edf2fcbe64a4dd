import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { until } from '../child.ts';
import type { Request } from '../driver.ts';

/** Tells the agent's webhook which tables a request was about, as something behind a catalog would: Standard Webhooks, signed. */
export class Announcements {
  readonly #port: number;
  readonly #secret: string;

  private constructor(port: number, secret: string) {
    this.#port = port;
    this.#secret = secret;
  }

  static async open(): Promise<Announcements> {
    return new Announcements(await freePort(), randomUUID());
  }

  /** Sections of the agent's configuration: looks at names are so rare that new ones are found by announcements alone. */
  get sections() {
    return {
      http: { listen: `127.0.0.1:${this.#port}` },
      poll: { list: '1h', max_age: '1h', requests_per_second: 50 },
      webhook: { secret: this.#secret },
    };
  }

  /** Resolves once the agent has recorded it. */
  async tell({ path, to, command }: Request): Promise<void> {
    if (command.endsWith('_namespace')) return;
    const tables = [path, to].filter((each) => Array.isArray(each)) as (readonly string[])[];
    const body = JSON.stringify(tables.map((levels) => ({ namespace: levels.slice(0, -1), table: levels.at(-1) })));
    await until('the agent takes the announcement', async () => {
      const [id, timestamp] = [randomUUID(), String(Math.floor(Date.now() / 1000))];
      const signature = createHmac('sha256', this.#secret).update(`${id}.${timestamp}.${body}`).digest('base64');
      const response = await fetch(`http://127.0.0.1:${this.#port}/hooks/iceberg-rest`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
      }).catch(() => undefined); // it has just been started
      if (response !== undefined && response.status !== 202 && response.status !== 503) {
        throw new Error(`The webhook answered ${response.status}: ${await response.text()}`);
      }
      return response?.status === 202;
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
