/** What an answer says of what went wrong. */
export type Problem = {
  /** `error.type` of Iceberg's error body, usually the simple name of a Java exception; OAuth's `error`; AWS's code. */
  readonly type: string | undefined;
  /** For people, one line. */
  readonly message: string;
  /** A web page came instead: of a proxy, a login, or something that isn't a catalog at all. */
  readonly isPage: boolean;
};

type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
};

const LONGEST = 500;

/**
 * Iceberg's error body is `{"error":{"message","type","code"}}`, a token endpoint's is OAuth's
 * `{"error","error_description"}`, that of AWS has `message` and the code in a header.
 */
export function readProblem({ status, headers, body }: Answer): Problem {
  const answer = record(parseJson(body));
  const error = answer?.['error'];
  const inner = typeof error === 'object' ? record(error) : undefined;
  const type =
    text(inner?.['type']) ??
    text(error) ??
    text(answer?.['__type']) ??
    headers['x-amzn-errortype']?.split(':')[0] ??
    undefined;
  const said =
    text(inner?.['message']) ??
    text(answer?.['error_description']) ??
    text(answer?.['message']) ??
    text(answer?.['Message']);
  const isPage = answer === undefined && /^\s*<(!doctype|html|\?xml)/i.test(body);
  if (said !== undefined)
    return { type, message: `HTTP ${status} ${type ?? ''}: ${oneLine(said)}`.replace(' :', ':'), isPage };
  if (type !== undefined) return { type, message: `HTTP ${status} ${oneLine(type)}`, isPage };
  if (body.trim() === '') return { type, message: `HTTP ${status} without a body`, isPage };
  if (!isPage) return { type, message: `HTTP ${status} with a body that no Iceberg REST catalog sends`, isPage };
  const title = /<title[^>]*>([^<]+)<\/title>/i.exec(body)?.[1];
  return {
    type,
    message: `HTTP ${status} with a web page${title === undefined ? '' : ` titled "${oneLine(title)}"`}`,
    isPage,
  };
}

/** The JSON value of a text, or undefined when it is none. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** An object that JSON holds; undefined for anything else. */
export const record = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;

/** A text that isn't empty. */
export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

function oneLine(said: string): string {
  const line = said.replaceAll(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
