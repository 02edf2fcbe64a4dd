import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GlueChange } from '../../fixtures/glue-catalog.ts';
import { type Child, startServer } from '../child.ts';
import type { Request } from '../driver.ts';
import type { ReadyPython } from '../pyiceberg.ts';
import { Writer } from '../python-writer.ts';

export const PYTHON = fileURLToPath(new URL('python', import.meta.url));
/** moto's own. */
export const ACCOUNT = '123456789012';
/** Found by AWS's SDKs, and checked by nobody. */
export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIDREAL', AWS_SECRET_ACCESS_KEY: 'secret' };

/** moto's Glue Data Catalog as a process of its own. */
export async function startMoto(python: ReadyPython, folder: string): Promise<{ child: Child; endpoint: string }> {
  const { child, address } = await startServer({
    program: python.program,
    args: [join(PYTHON, 'server.py')],
    env: { ...python.env, ...CREDENTIALS },
    logFile: join(folder, 'moto.log'),
  });
  return { child, endpoint: address };
}

/** PyIceberg's GlueCatalog as a process of its own. */
export const startWriter = (
  python: ReadyPython,
  endpoint: string,
  { warehouse, folder }: { readonly warehouse: string; readonly folder: string },
): Promise<Writer> =>
  Writer.start({
    python,
    args: [join(PYTHON, 'writer.py'), endpoint, warehouse],
    env: CREDENTIALS,
    logFile: join(folder, 'writer.log'),
  });

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
