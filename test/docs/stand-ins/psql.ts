// psql, as far as the documentation uses it, for machines that have none: -v, -c, -f and one connection string. It stops
// at the first error, as with ON_ERROR_STOP.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import pg from 'pg';

const { values, positionals } = parseArgs({
  options: {
    variable: { type: 'string', short: 'v', multiple: true },
    command: { type: 'string', short: 'c', multiple: true },
    file: { type: 'string', short: 'f' },
  },
  allowPositionals: true,
});
const variables = new Map(values.variable?.map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]));
const script = (file: string) =>
  readFileSync(file, 'utf8').replaceAll(/(?<![:\w]):([a-z_]+)/gi, (all, name: string) => variables.get(name) ?? all);

const client = new pg.Client(positionals[0]);
try {
  await client.connect();
  for (const command of values.command ?? []) await client.query(command);
  if (values.file !== undefined) await client.query(script(values.file));
  await client.end();
} catch (error) {
  process.stderr.write(`psql: ${(error as Error).message}\n`);
  process.exit(3);
}
