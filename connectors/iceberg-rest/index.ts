import type { ConnectorDefinition } from '../../src/connector/connector.ts';
import { restConfig, type RestConfig } from './config.ts';

/** Any catalog that speaks the Iceberg REST protocol, followed by conditional loads and by webhooks. */
const icebergRest: ConnectorDefinition<RestConfig> = {
  kind: 'iceberg-rest',
  config: restConfig,
  hooked: ({ webhook }) => (webhook === undefined ? undefined : 'webhook'),
  async *check(config, deps, signal) {
    const { checkSource } = await import('./check.ts');
    yield* checkSource(config, deps, signal);
  },
  open: async (config, deps) => {
    const { openRest } = await import('./connector.ts');
    return openRest(config, deps);
  },
};

export default icebergRest;
