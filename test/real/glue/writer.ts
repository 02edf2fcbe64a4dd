import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GlueChange } from '../../fixtures/glue-catalog.ts';
import { Child, until } from '../child.ts';
import type { Request, SourceTable } from '../driver.ts';
import type { ReadyPython } from '../pyiceberg.ts';

export const PYTHON = fileURLToPath(new URL('python', import.meta.url));
/** moto's own. */
export const ACCOUNT = '123456789012';
/** Found by AWS's SDKs, and checked by nobody. */
export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIDREAL', AWS_SECRET_ACCESS_KEY: 'secret' };

/** moto's Glue Data Catalog as a process of its own. */
export async function startMoto(python: ReadyPython, folder: string): Promise<{ child: Child; endpoint: string }> {
  let endpoint = '';
  const child = new Child({
    program: python.program,
    args: [join(PYTHON, 'server.py')],
    env: { ...python.env, ...CREDENTIALS },
    logFile: join(folder, 'moto.log'),
    onLine: (line) => {
      endpoint ||= line;
    },
  });
  await until('moto serves', () => endpoint !== '' || !child.alive);
  if (endpoint === '') throw new Error(`moto ended at once.\n${child.tail()}`);
  return { child, endpoint };
}

/** PyIceberg's GlueCatalog as a process of its own, one request at a time. */
export class Writer implements AsyncDisposable {
  readonly #child: Child;
  #answers: string[] = [];

  private constructor(python: ReadyPython, endpoint: string, warehouse: string, folder: string) {
    this.#child = new Child({
      program: python.program,
      args: [join(PYTHON, 'writer.py'), endpoint, warehouse],
      env: { ...python.env, ...CREDENTIALS, PYTHONWARNINGS: 'ignore' },
      logFile: join(folder, 'writer.log'),
      onLine: (line) => void this.#answers.push(line),
    });
  }

  static async start(
    python: ReadyPython,
    endpoint: string,
    place: { warehouse: string; folder: string },
  ): Promise<Writer> {
    const writer = new Writer(python, endpoint, place.warehouse, place.folder);
    await writer.#answer();
    return writer;
  }

  async do(request: Request): Promise<unknown> {
    this.#child.write(JSON.stringify(request));
    return this.#answer();
  }

  async tables(): Promise<readonly SourceTable[]> {
    return (await this.do({ command: 'state' })) as readonly SourceTable[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop();
  }

  async #answer(): Promise<unknown> {
    await until('PyIceberg answers', () => this.#answers.length > 0 || !this.#child.alive, { timeoutMs: 60_000 });
    const [line] = this.#answers.splice(0, 1);
    if (line === undefined) throw new Error(`PyIceberg ended.\n${this.#child.tail()}`);
    const { ok, error } = JSON.parse(line) as { ok?: unknown; error?: string };
    if (error !== undefined) throw new Error(`PyIceberg: ${error}\n${this.#child.tail()}`);
    return ok;
  }
}

const table = (name: unknown) => String(name).split('.') as [string, string];

const change = (typeOfChange: string, database: string, ...tables: string[]): GlueChange => ({
  typeOfChange,
  catalogId: ACCOUNT,
  database,
  tables,
});

/** What Glue itself would tell of a request, as moto tells nothing. */
export function changesOf(request: Request): readonly GlueChange[] {
  switch (request.command) {
    case 'create_namespace':
      return [change('CreateDatabase', String(request['namespace']))];
    case 'create':
    case 'create_hive':
      return [change('CreateTable', ...table(request['table']))];
    case 'append':
      return Array.from({ length: Number(request['times'] ?? 1) }, () =>
        change('UpdateTable', ...table(request['table'])),
      );
    case 'add_column':
    case 'set_property':
      return [change('UpdateTable', ...table(request['table']))];
    case 'rename':
      return [change('CreateTable', ...table(request['to'])), change('DeleteTable', ...table(request['table']))];
    case 'drop':
      return [change('DeleteTable', ...table(request['table']))];
    case 'drop_many':
      return [change('BatchDeleteTable', String(request['namespace']), ...(request['names'] as string[]))];
    case 'drop_database':
      return [change('DeleteDatabase', String(request['namespace']))];
    default:
      throw new Error(`What Glue tells of ${request.command} is not known here.`);
  }
}
