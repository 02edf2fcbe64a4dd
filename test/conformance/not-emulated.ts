/** Recorded scenarios that the suite doesn't replay, and why. */
export type NotEmulated = {
  readonly scenarios: RegExp;
  readonly reason: string;
};

export const NOT_EMULATED: readonly NotEmulated[] = [
  {
    scenarios: /^mgmt\//,
    reason: 'health and metrics are served on a port of their own, which the emulator does not have',
  },
  {
    scenarios: /^validate-s3a-vs-s3-scheme$/,
    reason: 'the recorded server had no AWS credentials; the emulator answers as one that has them',
  },
];
