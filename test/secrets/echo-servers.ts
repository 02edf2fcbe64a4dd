import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { CONFIG_ANSWER, StandIn, tokenAnswer, type Answer, type Seen } from '../polaris/stand-in.ts';

/** Which of its requests an echoing server answers as it should. */
export type Manners = 'none' | 'tokens';

/** What an OAuth 2.0 token endpoint hands out: a secret, too, though no configuration holds it. */
const ACCESS_TOKEN = 'MARKED-access-token';

/** Answers as debug pages of gateways do: with the request that it refuses, its headers and its body. */
export const echoHttp = (manners: Manners): Promise<StandIn> =>
  StandIn.start((seen) => {
    if (manners === 'tokens' && seen.path.includes('token')) return tokenAnswer(ACCESS_TOKEN);
    if (manners === 'tokens' && seen.path.includes('/v1/config')) return CONFIG_ANSWER;
    return echo(seen);
  });

const echo = ({ method, path, headers, body }: Seen): Answer => {
  const request = `${method} ${path} ${JSON.stringify(headers)} ${body}`;
  const status = path.includes('oauth') ? 401 : 400;
  return {
    status,
    headers: { 'x-amzn-errortype': 'EchoException', 'x-echo': encodeURIComponent(request).slice(0, 4_000) },
    json: {
      error: { type: 'EchoException', message: request, code: status, stack: [request] },
      error_description: request,
      message: request,
      __type: request,
    },
  };
};

/** Asks for the password in plain text, as `password` in pg_hba.conf does, and repeats it in its refusal. */
export async function echoPostgres(): Promise<AsyncDisposable & { readonly port: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let started = false;
    socket.on('data', (data) => {
      if (started && data[0] === 0x70) return void socket.end(refusal(passwordIn(data, heard)));
      started = true;
      // AuthenticationCleartextPassword
      return void socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function passwordIn(message: Buffer, heard: string[]): string {
  const password = message.toString('utf8', 5, message.length - 1);
  heard.push(password);
  return password;
}

/** ErrorResponse with every field that says something. */
function refusal(password: string): Buffer {
  const fields = [
    'SFATAL',
    'VFATAL',
    'C28P01',
    `Mpassword ${password} is wrong`,
    `Dyou said ${password}`,
    `Hnot ${password}`,
  ];
  const body = Buffer.from(`${fields.join('\0')}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
