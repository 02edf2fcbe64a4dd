import { execFileSync } from 'node:child_process';

export type CurlCall = {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
};

/** Runs the commands that a fix ends with in a shell whose curl only says what it would do. `$TOKEN` is `token`. */
export function curlCalls(fix: string, token: string): readonly CurlCall[] {
  const commands = fix.slice(fix.indexOf('\n') + 1);
  const script = `curl() { for word in "$@"; do printf '%s\\n' "$word"; done; printf '%s\\n' '--end--'; }\n${commands}`;
  const output = execFileSync('sh', ['-c', script], { encoding: 'utf8', env: { TOKEN: token } });
  return output
    .split('--end--\n')
    .filter((words) => words !== '')
    .map((words) => toCall(words.trimEnd().split('\n')));
}

function toCall(words: readonly string[]): CurlCall {
  const after = (option: string) => words.filter((_, at) => words[at - 1] === option);
  const headers = after('-H').map((header) => header.split(/: (.*)/s).slice(0, 2));
  return {
    method: after('-X')[0] ?? 'GET',
    url: words.find((word) => /^https?:/.test(word)) ?? '',
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: after('-d')[0],
  };
}
