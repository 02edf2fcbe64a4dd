/** One check of the tier. Resolves with what was seen; throws `Missing` if it can't be run here, anything else if it fails. */
export type Step = { readonly name: string; readonly run: () => Promise<string> };
