import { Socket } from 'node:net';
import { LogicalReplicationService, PgoutputPlugin, type Pgoutput } from 'pg-logical-replication';
import { PushError } from '../../src/errors/errors.ts';
import type { HiveConfig } from './config.ts';
import { acknowledgementOf, formatLsn, parseLsn, type Lsn } from './lsn.ts';
import { connectionParameters } from './postgres.ts';

export type StreamHandlers = {
  message(message: Pgoutput.Message): void;
  /** Everything before `lsn` has been sent. `replyRequested`: the server wants to hear from us at once. */
  keepalive(lsn: Lsn, replyRequested: boolean): void;
  /** The stream is over; called once, unless `close()` came first. */
  failed(error: unknown): void;
};

/**
 * A running replication stream. The library connects, parses and writes; when to confirm what is decided by the caller
 * alone, for which its own acknowledgement, its timer and its flow control are off: they confirm what was merely received.
 */
export type Stream = {
  /** Confirms exactly `lsn`. `ping`: the server shall answer, which proves that it is alive. */
  readonly confirm: (lsn: Lsn, ping: boolean) => void;
  /** Cuts the connection; resolves when it is gone. */
  readonly close: () => Promise<void>;
};

/**
 * Streams the changes of transactions whose commit record starts at or after `from`. Resolves when the server has started
 * the stream, rejects with the library's error. Not even a half-open connection keeps `close()` or an abort waiting.
 */
export async function openStream(
  config: HiveConfig,
  from: Lsn,
  handlers: StreamHandlers,
  signal: AbortSignal,
): Promise<Stream> {
  const socket = new Socket();
  // A statement timeout would end START_REPLICATION, which runs as long as the stream.
  const { query_timeout: _, statement_timeout: __, ...parameters } = connectionParameters(config, 0);
  // A service that was stopped resumes after what it has received, confirmed or not, so none is used twice.
  const service = new LogicalReplicationService(
    { ...parameters, stream: () => socket },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  let over = false;
  const finish = (error: unknown) => {
    if (over) return;
    over = true;
    // At once, however busy the consumer is: a server that stops may be waiting for us to leave.
    socket.destroy();
    handlers.failed(error);
  };
  listen(service, handlers, finish);
  const cut = () => void socket.destroy();
  signal.addEventListener('abort', cut, { once: true });
  const close = async () => {
    over = true;
    signal.removeEventListener('abort', cut);
    const closed = socket.closed ? Promise.resolve() : gone(socket);
    socket.destroy();
    await Promise.race([service.destroy(), closed]).catch(() => {});
  };
  try {
    await subscribe(service, config, from, finish);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    confirm: (lsn, ping) => {
      service.acknowledge(acknowledgementOf(lsn), ping).catch(finish);
    },
    close,
  };
}

/** An exception in a listener would be thrown inside the socket's callback and end the process, so it ends the stream. */
function listen(service: LogicalReplicationService, handlers: StreamHandlers, finish: (error: unknown) => void): void {
  let over = false;
  const guarded = (handle: () => void) => {
    if (over) return;
    try {
      handle();
    } catch (error) {
      over = true;
      finish(
        error instanceof PushError
          ? error
          : new PushError('HIVE_STREAM_UNREADABLE', `${String(error)}.`, { cause: error }),
      );
    }
  };
  service.on('data', (_lsn, message: Parsed) =>
    guarded(() => {
      if (message.tag === 'unreadable') throw message.error;
      handlers.message(message);
    }),
  );
  service.on('heartbeat', (lsn, _timestamp, replyRequested) =>
    guarded(() => handlers.keepalive(parseLsn(lsn), replyRequested)),
  );
}

/** Resolves when the server has started to stream. Both an event and a rejection tell of its end; the first one counts. */
function subscribe(
  service: LogicalReplicationService,
  config: HiveConfig,
  from: Lsn,
  finish: (error: unknown) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      reject(error);
      finish(error);
    };
    service.on('start', resolve);
    service.on('error', fail);
    service
      .subscribe(pgoutput(config.publication), config.slot, formatLsn(from))
      .then(() => fail(new Error('The server ended the stream.')), fail);
  });
}

type Parsed = Pgoutput.Message | { readonly tag: 'unreadable'; readonly error: unknown };

/** The library parses inside the socket's callback; an error there is passed on as a message. */
function pgoutput(publication: string) {
  // Quoted here, because the library puts the name into the statement as it is and PostgreSQL then folds its case.
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [`"${publication}"`] });
  return {
    name: plugin.name,
    options: plugin.options,
    start: plugin.start.bind(plugin),
    parse: (buffer: Buffer): Parsed => {
      try {
        return plugin.parse(buffer);
      } catch (error) {
        return { tag: 'unreadable', error };
      }
    },
  };
}

function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}
