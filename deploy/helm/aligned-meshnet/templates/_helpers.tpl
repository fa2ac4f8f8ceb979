{{- define "meshnet.name" -}}
{{- if contains "meshnet" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-meshnet" (.Release.Name | trunc 32 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "meshnet.selector" -}}
app.kubernetes.io/name: aligned-meshnet
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "meshnet.labels" -}}
{{ include "meshnet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "meshnet.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "meshnet.tlsSecret" -}}
{{- .Values.controller.tlsSecret | default (printf "%s-controller-tls" (include "meshnet.name" .)) }}
{{- end }}

{{- define "meshnet.host" -}}
{{ include "meshnet.name" . }}-controller.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "meshnet.url" -}}
{{- if .Values.controller.enabled }}https://{{ include "meshnet.host" . }}:8440
{{- else }}{{ required "controller.url: where nodes reach the controller, since controller.enabled is false" .Values.controller.url }}{{ end }}
{{- end }}

{{/* Audience of the service account tokens that pods show to enrol. */}}
{{- define "meshnet.audience" -}}
{{ include "meshnet.name" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "meshnet.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Gets a join token for the pod, unless its node is enrolled. Of (dict "root" $ "uid" UID). */}}
{{- define "meshnet.fetch" -}}
{{- if .root.Values.controller.enabled }}
- name: join-token
  {{- include "meshnet.image" .root | nindent 2 }}
  args:
    - token
    - fetch
    - https://{{ include "meshnet.host" .root }}:8442
    - --identity=/var/run/secrets/meshnet/token
    - --into=/run/meshnet/join-token
  env:
    - { name: NODE_EXTRA_CA_CERTS, value: /etc/meshnet/ca.crt }
  securityContext:
    runAsUser: {{ .uid }}
    runAsNonRoot: {{ ne (int .uid) 0 }}
    {{- include "meshnet.restricted" .root | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 64Mi }
    limits: { memory: 256Mi }
  volumeMounts:
    - { name: meshnet-identity, mountPath: /var/run/secrets/meshnet, readOnly: true }
    - { name: meshnet-ca, mountPath: /etc/meshnet, readOnly: true }
    - { name: meshnet-run, mountPath: /run/meshnet }
{{- end }}
{{- end }}

{{/* Volumes of a pod with a node in it, besides its state. */}}
{{- define "meshnet.volumes" -}}
{{- if .Values.controller.enabled }}
- name: meshnet-identity
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ include "meshnet.audience" . }}
          expirationSeconds: 600
- name: meshnet-ca
  secret:
    secretName: {{ include "meshnet.tlsSecret" . }}
    items: [{ key: ca.crt, path: ca.crt }]
- name: meshnet-run
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- else }}
- name: meshnet-run
  secret:
    secretName: {{ required "join.secretName: a Secret with a join token, since controller.enabled is false" .Values.join.secretName }}
    defaultMode: 0444
    items: [{ key: token, path: join-token }]
{{- end }}
{{- end }}

{{- define "meshnet.mounts" -}}
- { name: meshnet-run, mountPath: /run/meshnet, readOnly: true }
{{- if .Values.controller.enabled }}
- { name: meshnet-ca, mountPath: /etc/meshnet, readOnly: true }
{{- end }}
{{- end }}

{{/* Environment and probe of every node. */}}
{{- define "meshnet.node" -}}
env:
  {{- if .Values.controller.enabled }}
  - { name: NODE_EXTRA_CA_CERTS, value: /etc/meshnet/ca.crt }
  {{- end }}
  - name: POD_IP
    valueFrom: { fieldRef: { fieldPath: status.podIP } }
readinessProbe:
  exec: { command: [meshnet, health] }
  periodSeconds: 30
  timeoutSeconds: 10
{{- end }}
