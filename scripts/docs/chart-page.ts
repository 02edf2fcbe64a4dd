import { parse } from 'yaml';
import { describedValues } from './chart-values.ts';
import { code, heading, table } from './markdown.ts';

const INTRODUCTION = `One agent of [polaris-push](../../README.md) in Kubernetes: a StatefulSet of one pod, whose volume is the ledger, or a
sidecar of another pod. [docs/deployment.md](../../docs/deployment.md#kubernetes) leads through the installation, upgrades
and a way back, and says what of this chart was tried and how.

- \`config\` is the agent's own configuration. Helm checks it by its schema before anything is installed.
- Secrets are named, never given: \`secrets\` makes files of keys of your Secrets, \`env\` variables.
- \`ledger.path\`, \`http.listen\` and \`http.token_file\` of the configuration are set by the chart. \`config.http.open: [health]\` asks
  scrapers for the token, too; the ServiceMonitor then brings it.

[ci/](ci) has examples of values, from the least to everything.

## Sidecar

With \`mode: sidecar\` the chart renders the ConfigMap and the ledger's claim only, and lends the container to the chart of
another pod, of which it is a dependency:

\`\`\`yaml
spec:
  template:
    spec:
      securityContext:
        fsGroup: 65532 # the ledger's volume must be writable for the agent
      containers:
        - name: metastore
          # ...
        {{- include "polaris-push.container" (index .Subcharts "polaris-push") | nindent 8 }}
      volumes:
        {{- include "polaris-push.volumes" (index .Subcharts "polaris-push") | nindent 8 }}
\`\`\`

[examples/hive-metastore-sidecar.yaml](examples/hive-metastore-sidecar.yaml) is the same without Helm. The pod must be one:
\`replicas: 1\` with \`strategy: Recreate\`, or a StatefulSet. A metastore of several replicas needs the agent on its own. The
sidecar has no readiness probe, as the metastore would leave its Service whenever Polaris is down.

## Values
`;

/** The chart's README.md. `values` is the text of its values.yaml. */
export function chartPage(values: string): string {
  const defaults = parse(values) as unknown;
  const rows = [...describedValues()].map(([path, description]) => [
    code(path),
    code(JSON.stringify(path.split('.').reduce<unknown>(below, defaults))),
    description,
  ]);
  return `${heading('Helm chart of polaris-push')}\n${INTRODUCTION}\n${table(['value', 'default', 'what it is'], rows)}\n`;
}

/** The value of a key; throws for one that values.yaml lacks, as nobody would find it there. */
function below(value: unknown, key: string): unknown {
  const found = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  if (found === undefined) throw new RangeError(`values.yaml has no ${key}`);
  return found;
}
