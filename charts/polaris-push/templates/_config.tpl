{{- /* The agent's configuration file: `config`, and where in this pod the ledger and the HTTP server are. */ -}}
{{- define "polaris-push.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "ledger" (mergeOverwrite (dict "path" "/var/lib/polaris-push/ledger.db") (default dict $config.ledger)) -}}
{{- if .Values.http.enabled -}}
{{- $_ := set $config "http" (mergeOverwrite (include "polaris-push.http" . | fromYaml) (default dict $config.http)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Probes and scrapes come from outside the pod, so it listens on all addresses; what isn't open needs the token. */ -}}
{{- define "polaris-push.http" -}}
listen: {{ printf "0.0.0.0:%d" (int .Values.http.port) | quote }}
token_file: /run/secrets/polaris-push/http-token
open: [health, metrics]
{{- end -}}

{{- /* "true" where metrics need the token, as the configuration closed them. */ -}}
{{- define "polaris-push.closedMetrics" -}}
{{- $http := default dict .Values.config.http -}}
{{- if and (hasKey $http "open") (not (has "metrics" $http.open)) -}}true{{- end -}}
{{- end -}}
