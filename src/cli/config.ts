import { Command } from 'commander';
import type { Frame } from './frame.ts';

/** `config print` and `config schema`. */
export function configCommand(frame: Frame): Command {
  const print = frame.configured(
    new Command('print').description(
      'Print the effective configuration as YAML: variables replaced, defaults filled in, secrets masked.',
    ),
    async ({ loaded, out }) => {
      const { effectiveConfig, printConfig } = await import('../config/print.ts');
      out.line(printConfig(loaded.written).trimEnd());
      out.event('config', { config: effectiveConfig(loaded.written) });
      return 0;
    },
  );
  const schema = frame.plain<{ readonly kind?: string }>(
    new Command('schema')
      .description('Print the JSON Schema of configuration files, for editors and checks.')
      .option('--kind <kind>', 'for sources of this kind only'),
    async ({ io }, { kind }) => {
      const { connectorsOfKind } = await import('../config/load.ts');
      const { configJsonSchema } = await import('../config/json-schema.ts');
      const { connectors } = await import('../../connectors/index.ts');
      const schemaOf = await configJsonSchema(connectorsOfKind(connectors, kind));
      io.stdout.write(`${JSON.stringify(schemaOf, null, 2)}\n`);
      return 0;
    },
  );
  return new Command('config')
    .description('Look at the configuration.')
    .addCommand(print)
    .addCommand(schema)
    .addHelpText(
      'after',
      `
Examples:
  $ polaris-push config print --config agent.yaml
  $ polaris-push config schema > polaris-push.schema.json
`,
    );
}
