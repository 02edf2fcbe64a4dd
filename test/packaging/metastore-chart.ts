/** A chart of a Hive Metastore that takes the agent into its pod, as its README shows: path → text. */
export const METASTORE_CHART: Readonly<Record<string, string>> = {
  'Chart.yaml': `apiVersion: v2
name: hive-metastore
version: 1.0.0
dependencies:
  - name: polaris-push
    version: '>=0.1.0'
    repository: https://charts.example.com
    condition: polaris-push.enabled
`,
  'values.yaml': `polaris-push:
  enabled: true
  mode: sidecar
  config:
    source: { kind: hive, connection_file: /run/secrets/polaris-push/connection }
    targets:
      - name: main
        uri: http://polaris:8181/api/catalog
        catalog: hive_mirror
        auth: { token_file: /run/secrets/polaris-push/token }
  secrets:
    connection: { secretName: metastore, key: connection }
    token: { secretName: polaris, key: token }
  http:
    token: { secretName: polaris, key: page }
`,
  'templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-hive-metastore
spec:
  replicas: 1
  strategy: { type: Recreate }
  selector: { matchLabels: { app: hive-metastore } }
  template:
    metadata: { labels: { app: hive-metastore } }
    spec:
      securityContext:
        fsGroup: 65532
      containers:
        - name: metastore
          image: apache/hive:4.2.0
        {{- include "polaris-push.container" (index .Subcharts "polaris-push") | nindent 8 }}
      volumes:
        {{- include "polaris-push.volumes" (index .Subcharts "polaris-push") | nindent 8 }}
`,
};
