import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openPolaris } from '../../src/polaris/client.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { containing, matching } from './matchers.ts';
import { configured, CREDENTIALS, notification, polaris, StandIn } from './stand-in.ts';

const deps = { clock: systemClock, log: silentLog };
const never = new AbortController().signal;
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const AUTHORITY = { ca_file: fixture('authority.pem') };

describe('over TLS', () => {
  test('a server whose authority is in tls.ca_file is trusted, for tokens too', async () => {
    await using server = await StandIn.start(polaris(), 'server');
    const uri = `https://127.0.0.1:${server.port}/api/catalog`;
    await using target = await openPolaris(configured(1, { uri, tls: AUTHORITY, auth: CREDENTIALS }), deps);
    expect(await target.notify(notification(), never)).toEqual({ kind: 'admitted' });
    expect(server.seen).toHaveLength(3);
  });

  test('a server whose authority nobody knows is told nothing', async () => {
    await using server = await StandIn.start(polaris(), 'server');
    await using target = await openPolaris(
      configured(1, { uri: `https://127.0.0.1:${server.port}/api/catalog` }),
      deps,
    );
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: matching(/^TLS with https:\/\/127\.0\.0\.1:\d+ failed: .*UNABLE_TO_VERIFY_LEAF_SIGNATURE/),
    });
    expect(server.seen).toEqual([]);
  });

  test('a certificate for another host is told nothing', async () => {
    await using server = await StandIn.start(polaris(), 'other');
    const config = configured(1, { uri: `https://127.0.0.1:${server.port}/api/catalog`, tls: AUTHORITY });
    await using target = await openPolaris(config, deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: containing('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
    expect(server.seen).toEqual([]);
  });

  test('a server that speaks plain HTTP is a TLS problem', async () => {
    await using server = await StandIn.start(polaris());
    const config = configured(1, { uri: `https://127.0.0.1:${server.port}/api/catalog`, tls: AUTHORITY });
    await using target = await openPolaris(config, deps);
    expect(await target.notify(notification(), never)).toMatchObject({
      kind: 'unavailable',
      message: matching(/^TLS with /),
    });
  });

  test.each([
    ['is missing', '/nonexistent/ca.pem', /\/nonexistent\/ca\.pem can't be read \(ENOENT\)/],
    ['holds no certificate', fixture('server.key'), /holds no PEM certificate/],
  ])('a tls.ca_file that %s is an error of the configuration', async (_, caFile, message) => {
    await expect(openPolaris(configured(1, { tls: { ca_file: caFile } }), deps)).rejects.toMatchObject({
      name: 'PushError',
      code: 'CONFIG_INVALID',
      message: matching(message),
    });
  });
});
