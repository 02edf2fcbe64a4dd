import { Command, InvalidArgumentError } from 'commander';
import { PushError } from '../errors/errors.ts';
import { type Emulator, startEmulator } from '../polaris/emulator/emulator.ts';
import type { AnsweredRequest, EmulatedCatalog } from '../polaris/emulator/options.ts';
import type { ExitCode, PlainContext } from './context.ts';
import type { Frame } from './frame.ts';

type EmulateOptions = {
  readonly port: number;
  readonly host: string;
  readonly catalog?: readonly EmulatedCatalog[] | undefined;
};

/** Of Polaris's own quick start; nothing here is worth protecting. */
const CREDENTIALS = { clientId: 'root', clientSecret: 's3cr3t' };

/** `emulate`: an in-memory Polaris for development. */
export const emulateCommand = (frame: Frame): Command =>
  frame.plain<EmulateOptions>(
    new Command('emulate')
      .description(
        'Serve an in-memory Polaris for development: catalog and management API, with the answers of a real one. It reads metadata files of file: locations from this machine; of object stores it checks locations only. Everything is gone when it stops.',
      )
      .option('--port <port>', 'port to listen on; 0 takes a free one', portNumber, 8181)
      .option('--host <address>', 'address to listen on', '127.0.0.1')
      .option('--catalog <name=location>', 'an EXTERNAL catalog and its allowed location; repeatable', addCatalog)
      .addHelpText(
        'after',
        `
Examples:
  $ polaris-push emulate --catalog main=file:///tmp/warehouse
  $ polaris-push emulate --port 0 --json | jq -r .uri

Credentials are ${CREDENTIALS.clientId} / ${CREDENTIALS.clientSecret}. With --log-level debug every request is logged. SIGTERM or
Ctrl-C stops it.
`,
      ),
    emulate,
  );

async function emulate(context: PlainContext, { port, host, catalog = [] }: EmulateOptions): Promise<ExitCode> {
  const { clock, log, out, signal } = context;
  await using emulator = await listen({ port, host, catalogs: catalog, credentials: CREDENTIALS, clock });
  emulator.onRequest((request) => log.debug('request', fieldsOf(request)));
  const names = catalog.map(({ name, baseLocation }) => `${name} (${baseLocation})`);
  const catalogs = names.length === 0 ? 'no catalogs yet' : `catalogs ${names.join(', ')}`;
  const { clientId, clientSecret } = CREDENTIALS;
  out.line(`Emulated Polaris listens at ${emulator.uri}: ${catalogs}; credentials ${clientId} / ${clientSecret}.`);
  out.event('listening', { uri: emulator.uri, catalogs: catalog.map(({ name }) => name) });
  await aborted(signal);
  return 0;
}

async function listen(options: Parameters<typeof startEmulator>[0] & { readonly port: number }): Promise<Emulator> {
  try {
    return await startEmulator(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const detail = code === 'EADDRINUSE' ? `Port ${options.port} is taken.` : message;
    throw new PushError('EMULATOR_NOT_LISTENING', detail, { cause: error });
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

const fieldsOf = ({ method, path, type, timestamp, status, error, requestId }: AnsweredRequest) => ({
  requestId,
  method,
  path,
  type,
  timestamp: timestamp?.toString(),
  status,
  error,
});

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('Expected a port, 0 to 65535.');
  return port;
}

function addCatalog(text: string, before: readonly EmulatedCatalog[] = []): readonly EmulatedCatalog[] {
  const { name, location } = /^(?<name>[^=]+)=(?<location>[a-z][a-z0-9]*:\/.+)$/.exec(text)?.groups ?? {};
  if (name === undefined || location === undefined) {
    throw new InvalidArgumentError('Expected NAME=LOCATION, such as main=file:///tmp/warehouse.');
  }
  if (before.some((catalog) => catalog.name === name)) throw new InvalidArgumentError(`There is a second ${name}.`);
  return [...before, { name, baseLocation: location.replace(/\/+$/, '') }];
}
