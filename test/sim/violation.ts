/** A violation of the rules: what, when, and what led to it. */
export class Violation extends Error {
  readonly trace: readonly string[];

  constructor(what: string, trace: readonly string[]) {
    super(what);
    this.trace = trace;
  }
}
