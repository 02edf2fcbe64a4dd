// curl, as far as the documentation uses it, for machines that have none: -f -s -S, -X, -H, -d and one address.
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: {
    fail: { type: 'boolean', short: 'f' },
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd', multiple: true },
  },
  allowPositionals: true,
});
const body = values.data?.join('&');
const headers = new Headers(values.header?.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
if (body !== undefined && !headers.has('content-type'))
  headers.set('content-type', 'application/x-www-form-urlencoded');
const method = values.request ?? (body === undefined ? 'GET' : 'POST');
const response = await fetch(positionals[0] ?? '', { method, headers, ...(body === undefined ? {} : { body }) });
if (values.fail === true && !response.ok) {
  process.stderr.write(`curl: (22) The requested URL returned error: ${response.status}\n`);
  process.exitCode = 22;
} else {
  process.stdout.write(await response.text());
}
