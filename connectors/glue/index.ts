import type { ConnectorDefinition } from '../../src/connector/connector.ts';
import { glueConfig, type GlueConfig } from './config.ts';

/** An AWS Glue Data Catalog, followed by its EventBridge events in an SQS queue. The AWS SDK is loaded when it is used. */
const glue: ConnectorDefinition<GlueConfig> = {
  kind: 'glue',
  config: glueConfig,
  async *check(config, deps, signal) {
    const { checkSource } = await import('./check.ts');
    yield* checkSource(config, deps, signal);
  },
  open: async (config, deps) => {
    const { openGlue } = await import('./connector.ts');
    return openGlue(config, deps);
  },
};

export default glue;
