/** What the emulator answers: a JSON body, or text that is JSON already, or none. */
export type Reply = {
  readonly status: number;
  readonly body?: unknown;
  /** JSON text, sent as it is: keeps the 64-bit integers of a metadata file exact. */
  readonly text?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
};

export const NO_CONTENT: Reply = { status: 204 };
/** A success without a body that isn't 204 (grants, assignments), as Polaris sends it. */
export const CREATED: Reply = { status: 201, headers: { 'content-encoding': 'identity' } };
export const UNAUTHENTICATED: Reply = {
  status: 401,
  headers: { 'content-encoding': 'identity', 'www-authenticate': 'Bearer' },
};

export const ok = (body: unknown): Reply => ({ status: 200, body });

/** An answer that Polaris gives by throwing. Without a type it has no body at all. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly type: string | undefined;

  constructor(status: number, type?: string, message: string | null = null) {
    super(message ?? '');
    this.status = status;
    this.type = type;
    this.text = message;
  }

  /** The message as it goes on the wire: Java's exceptions may have none. */
  readonly text: string | null;

  reply(): Reply {
    if (this.type === undefined) return { status: this.status, headers: { 'content-encoding': 'identity' } };
    return errorReply(this.status, this.type, this.text);
  }
}

export const errorReply = (status: number, type: string, message: string | null): Reply => ({
  status,
  body: { error: { message, type, code: status } },
  headers: { 'content-type': 'application/json' },
});

export const badRequest = (message: string): Refusal => new Refusal(400, 'BadRequestException', message);
export const illegalArgument = (message: string): Refusal => new Refusal(400, 'IllegalArgumentException', message);
export const alreadyExists = (message: string): Refusal => new Refusal(409, 'AlreadyExistsException', message);
export const commitConflict = (message: string): Refusal => new Refusal(409, 'CommitConflictException', message);
export const notFound = (message: string): Refusal => new Refusal(404, 'NotFoundException', message);
export const noSuchTable = (table: string): Refusal =>
  new Refusal(404, 'NoSuchTableException', `Table does not exist: ${table}`);
export const noSuchNamespace = (namespace: string): Refusal =>
  new Refusal(404, 'NoSuchNamespaceException', `Namespace does not exist: ${namespace}`);
export const nullPointer = (message: string | null): Refusal => new Refusal(500, 'NullPointerException', message);
/** JSON that can't be parsed at all, or an integer beyond 64 bits. */
export const malformedJson = (): Refusal => new Refusal(400, 'WebApplicationException', 'HTTP 400 Bad Request');
/** JSON of the wrong shape (an array for an object, an unknown enum constant): Polaris answers without a body. */
export const wrongShape = (): Refusal => new Refusal(400);
/** What a real Polaris does and the emulator doesn't; the conformance suite lists all of it with reasons. */
export const notEmulated = (what: string): Reply =>
  errorReply(501, 'NotImplementedException', `The emulated Polaris does not emulate ${what}.`);
