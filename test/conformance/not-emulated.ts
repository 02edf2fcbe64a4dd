/** Recorded scenarios that the suite doesn't replay, and why. */
export type NotEmulated = {
  readonly scenarios: RegExp;
  readonly reason: string;
  /** A request that belongs to them: the emulator answers it 501. Absent where there is nothing to ask. */
  readonly request?: { readonly method: string; readonly path: string } | undefined;
};

export const NOT_EMULATED: readonly NotEmulated[] = [
  {
    scenarios: /^policy-/,
    reason: 'policies: an agent that sends notifications never meets them',
    request: { method: 'POST', path: '/api/catalog/polaris/v1/ext/namespaces/xns/policies' },
  },
  {
    scenarios: /^notify-(drop-table-with-policy-attached|recreate-table-after-drop)$/,
    reason: 'notifications for a table with a policy: need policies',
    request: { method: 'PUT', path: '/api/catalog/polaris/v1/ext/namespaces/xns/policies/p/mappings' },
  },
  {
    scenarios: /^mgmt\//,
    reason: 'health and metrics are served on a port of their own, which the emulator does not have',
  },
  {
    scenarios: /^validate-s3a-vs-s3-scheme$/,
    reason: 'the recorded server had no AWS credentials; the emulator answers as one that has them',
  },
];
