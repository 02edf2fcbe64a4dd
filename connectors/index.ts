import type { ConnectorDefinition } from '../src/connector/connector.ts';

/** The connectors that exist, by the `kind` of the configuration's source. Loaded when asked for, so that an unused one costs nothing. */
export const connectors: Readonly<Record<string, () => Promise<ConnectorDefinition<{ readonly kind: string }>>>> = {
  file: async () => (await import('./file/index.ts')).default,
  hive: async () => (await import('./hive/index.ts')).default,
  glue: async () => (await import('./glue/index.ts')).default,
  'iceberg-rest': async () => (await import('./iceberg-rest/index.ts')).default,
};
