import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { PushError } from '../errors/errors.ts';

/** A file that is written line by line; nothing is written when no file was named. */
export type LineFile = AsyncDisposable & { readonly write: (line: string) => void };

/** Opens the file that an option names; `flags` as for `fs.open`. Throws `USAGE`, at once or at the end. */
export async function ndjsonFile(option: string, path: string | undefined, flags: 'w' | 'a' = 'w'): Promise<LineFile> {
  if (path === undefined) return { write() {}, async [Symbol.asyncDispose]() {} };
  const fail = (error: Error) => new PushError('USAGE', `${option} ${path}: ${error.message}.`, { cause: error });
  const stream = createWriteStream(path, { flags });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  try {
    await once(stream, 'open');
  } catch (error) {
    throw fail(error as Error);
  }
  return {
    write: (line) => void stream.write(`${line}\n`),
    async [Symbol.asyncDispose]() {
      stream.end();
      if (failure === undefined) await once(stream, 'close');
      if (failure !== undefined) throw fail(failure);
    },
  };
}
