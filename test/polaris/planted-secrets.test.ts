import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import {
  type Answer,
  type Behaviour,
  configured,
  CONFIG_ANSWER,
  CREDENTIALS,
  KeptLog,
  notification,
  SECRET,
  type Seen,
  StandIn,
  TOKEN,
  tokenAnswer,
} from './stand-in.ts';

const never = new AbortController().signal;
const HEADER = 'planted-gateway-key';

/** Everything that anybody could read after all operations were tried against `behaviour`. */
async function everythingSaid(behaviour: Behaviour, auth: unknown): Promise<string> {
  const log = new KeptLog();
  const said: unknown[] = [];
  await using server = await StandIn.start(behaviour);
  const config = configured(server.port, { auth, headers: { 'X-Gateway-Key': HEADER } });
  await using target = await openPolaris(config, { clock: systemClock, log, onRequest: (one) => said.push(one) });
  const attempts = [
    async () => said.push(await target.notify(notification(), never)),
    async () => said.push(await target.serves(notification().table, 'file:///x', never)),
    async () => {
      for await (const table of target.tables(never)) said.push(table);
    },
    async () => {
      for await (const finding of target.check(never)) said.push(finding);
    },
  ];
  for (const attempt of attempts) {
    try {
      await attempt();
    } catch (error) {
      said.push(error, (error as Error).stack, (error as Error).cause);
    }
  }
  expect(server.seen.length).toBeGreaterThan(0);
  return inspect({ said, lines: log.lines }, { depth: 20, maxStringLength: null, maxArrayLength: null });
}

/** A debug page, as some gateways have it: repeats the request that it refuses. */
const echo = ({ headers, body, path }: Seen, status: number): Answer => ({
  status,
  json: { error: { type: 'EchoException', message: `${path} ${JSON.stringify(headers)} ${body}`, code: status } },
});

const page = ({ headers, body }: Seen, status: number): Answer => ({
  status,
  text: `<html><title>${JSON.stringify(headers)} ${body}</title></html>`,
});

const PLANTED = [SECRET, encodeURIComponent(SECRET), TOKEN, HEADER];

describe('no secret appears in outcomes, errors, findings, metrics or log lines', () => {
  const auths: readonly (readonly [string, unknown])[] = [
    ['client credentials', CREDENTIALS],
    ['a token', { token: TOKEN }],
  ];
  for (const [name, auth] of auths) {
    test.each([
      ['every answer repeats the request', (seen: Seen) => echo(seen, 418)],
      ['every answer is a page that repeats the request', (seen: Seen) => page(seen, 403)],
      [
        'every answer leads to an address with the request',
        ({ headers, body }: Seen): Answer => ({
          status: 302,
          headers: {
            location: `https://h/${encodeURIComponent(encodeURIComponent(headers.authorization ?? body))}/${HEADER}?${body}`,
          },
        }),
      ],
      [
        'all is well until the notification',
        (seen: Seen) => {
          if (seen.path.includes('/tokens')) return tokenAnswer(TOKEN);
          return seen.path.includes('/config') ? CONFIG_ANSWER : echo(seen, 400);
        },
      ],
      [
        'every token is refused',
        (seen: Seen) => (seen.path.includes('/tokens') ? tokenAnswer(TOKEN) : echo(seen, 401)),
      ],
    ])(`with ${name}, when %s`, async (_, behaviour) => {
      const said = await everythingSaid(behaviour, auth);
      for (const secret of PLANTED) expect(said).not.toContain(secret);
    });
  }

  test('and this test would see them', async () => {
    const said = await everythingSaid(
      () => ({ status: 418, json: { error: { type: 'T', message: 'planted-but-unknown' } } }),
      { token: TOKEN },
    );
    expect(said).toContain('planted-but-unknown');
  });
});
