{{- /*
The agent's container. In the mode `sidecar` another chart puts it into its own pod:

  containers:
    {{- include "polaris-push.container" (index .Subcharts "polaris-push") | nindent 4 }}
  volumes:
    {{- include "polaris-push.volumes" (index .Subcharts "polaris-push") | nindent 4 }}
*/ -}}
{{- define "polaris-push.container" -}}
- name: polaris-push
  image: {{ include "polaris-push.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [run, --config, /etc/polaris-push/polaris-push.yaml]
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  {{- with .Values.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.http.enabled }}
  ports:
    - name: http
      containerPort: {{ .Values.http.port }}
  startupProbe:
    httpGet: { path: /livez, port: {{ .Values.http.port }} }
    {{- toYaml .Values.probes.startup | nindent 4 }}
  livenessProbe:
    httpGet: { path: /livez, port: {{ .Values.http.port }} }
    {{- toYaml .Values.probes.liveness | nindent 4 }}
  {{- /* In another pod it would take that pod out of its Service whenever Polaris is down. */}}
  {{- if eq .Values.mode "standalone" }}
  readinessProbe:
    httpGet: { path: /readyz, port: {{ .Values.http.port }} }
    {{- toYaml .Values.probes.readiness | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- /* A configuration that is refused is then told by `kubectl describe pod`, too. */}}
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  volumeMounts:
    - name: polaris-push-config
      mountPath: /etc/polaris-push
      readOnly: true
    - name: polaris-push-ledger
      mountPath: /var/lib/polaris-push
    - name: polaris-push-tmp
      mountPath: /tmp
    {{- if include "polaris-push.secretSources" . }}
    - name: polaris-push-secrets
      mountPath: /run/secrets/polaris-push
      readOnly: true
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* The volumes of that container; the ledger's is made by the StatefulSet where it is the chart's own. */ -}}
{{- define "polaris-push.volumes" -}}
- name: polaris-push-config
  configMap:
    name: {{ include "polaris-push.fullname" . }}
- name: polaris-push-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if not .Values.persistence.enabled }}
- name: polaris-push-ledger
  emptyDir: {}
{{- else if or .Values.persistence.existingClaim (eq .Values.mode "sidecar") }}
- name: polaris-push-ledger
  persistentVolumeClaim:
    claimName: {{ include "polaris-push.claimName" . }}
{{- end }}
{{- with include "polaris-push.secretSources" . }}
- name: polaris-push-secrets
  projected:
    # Only this container mounts it.
    defaultMode: 0444
    sources:
      {{- . | trim | nindent 6 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "polaris-push.secretSources" -}}
{{- range $file, $from := .Values.secrets }}
- secret:
    name: {{ $from.secretName | quote }}
    items: [{ key: {{ $from.key | quote }}, path: {{ $file | quote }} }]
{{- end }}
{{- if and .Values.http.enabled .Values.http.token.secretName }}
- secret:
    name: {{ .Values.http.token.secretName | quote }}
    items: [{ key: {{ .Values.http.token.key | quote }}, path: http-token }]
{{- end }}
{{- end -}}

{{- /* The claim's specification. */ -}}
{{- define "polaris-push.claim" -}}
accessModes:
  {{- toYaml .Values.persistence.accessModes | nindent 2 }}
{{- with .Values.persistence.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.persistence.size | quote }}
{{- end -}}
