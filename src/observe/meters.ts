/** What the parts of an agent tell of while they work. None of these may throw. */
export interface Meters {
  /** A commit of the ledger. */
  committed(commit: { readonly ms: number }): void;
  /** A request to a target that was tried; `status` is undefined when there was no answer. */
  requested(target: string, request: { readonly kind: string; readonly status: number | undefined }): void;
  /** An attempt to get a token for a target. */
  renewed(target: string, renewal: { readonly ok: boolean }): void;
}
