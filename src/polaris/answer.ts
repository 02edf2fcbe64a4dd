/** The parts of an answer that tell what it means. */
export type Answer = {
  readonly status: number;
  /** `error.type` of Polaris's error body: the simple name of a Java exception. */
  readonly type?: string | undefined;
  /** `error.message`, or what can be said in its place. */
  readonly message: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
};

/**
 * Polaris's error body is `{"error":{"message","type","code"}}`; the token endpoint's is OAuth's
 * `{"error","error_description"}`. Some refusals have none (401, 413, a malformed request), and a proxy's answer is a
 * page of its own: then the message says what came instead.
 */
export function readAnswer(status: number, headers: Answer['headers'], body: string): Answer {
  const { type, message } = errorOf(body);
  return { status, type, message: message ?? describe(status, headers, body, type), headers };
}

type ErrorBody = { readonly type?: string | undefined; readonly message?: string | undefined };

function errorOf(body: string): ErrorBody {
  const answer = record(parseJson(body));
  const error = answer?.['error'];
  if (typeof error === 'string') return { type: error, message: text(answer?.['error_description']) };
  const inner = record(error);
  return { type: text(inner?.['type']), message: text(inner?.['message']) };
}

function describe(status: number, headers: Answer['headers'], body: string, type: string | undefined): string {
  if (type !== undefined) return `HTTP ${status} ${type} without a message`;
  const { location } = headers;
  if (status >= 300 && status < 400 && location !== undefined) {
    // Path and query of a redirection to a login page may repeat the request, in any encoding.
    return `HTTP ${status}, a redirection to ${URL.parse(location)?.origin ?? 'another path'}`;
  }
  if (body.trim() === '') return `HTTP ${status} without a body`;
  const title = /<title[^>]*>([^<]+)<\/title>/i.exec(body)?.[1];
  if (title !== undefined) return `HTTP ${status} with a web page titled "${title.trim()}", not from Polaris`;
  return `HTTP ${status} with a body that is not Polaris's`;
}

/** The JSON value of a text, or undefined when it is none. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

const record = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
