{{- define "hookwright.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 51 characters, so that "-migration" and a Job's suffix still fit into 63. */}}
{{- define "hookwright.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 51 | trimSuffix "-" -}}
{{- else if contains (include "hookwright.name" .) .Release.Name -}}
{{- .Release.Name | trunc 51 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hookwright.name" .) | trunc 51 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hookwright.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hookwright.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hookwright.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hookwright.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "hookwright.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "hookwright.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "hookwright.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What the release cannot run without, said in one sentence instead of a crash loop. */}}
{{- define "hookwright.secretData" -}}
{{- $or := "or name an existingSecret that holds it" -}}
HOOKWRIGHT_DATABASE_URL: {{ required (printf "secrets.databaseUrl is missing: give a PostgreSQL address (postgresql://user:password@host:5432/hookwright), %s as HOOKWRIGHT_DATABASE_URL" $or) .Values.secrets.databaseUrl | quote }}
HOOKWRIGHT_REDIS_URL: {{ required (printf "secrets.redisUrl is missing: receivers and workers meet in Redis or Valkey; give its address (redis://host:6379/0), %s as HOOKWRIGHT_REDIS_URL" $or) .Values.secrets.redisUrl | quote }}
HOOKWRIGHT_SECRET_KEYS: {{ required (printf "secrets.secretKeys is missing: give the key that encrypts secrets in the database, %s as HOOKWRIGHT_SECRET_KEYS" $or) .Values.secrets.secretKeys | quote }}
{{- with .Values.secrets.adminToken }}
HOOKWRIGHT_ADMIN_TOKEN: {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.secrets.extra }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "hookwright.publicUrl" -}}
{{- if .Values.settings.publicUrl -}}
{{- .Values.settings.publicUrl -}}
{{- else if and .Values.ingress.enabled .Values.ingress.hosts -}}
{{- printf "%s://%s" (ternary "https" "http" (not (empty .Values.ingress.tls))) (first .Values.ingress.hosts).host -}}
{{- end -}}
{{- end -}}

{{/*
Environment of every process. Call with (dict "root" $ "secret" <name of the Secret>), and with "role" and "values" for
a receiver or worker. A process gives up waiting for what it holds a little before the cluster would end it.
*/}}
{{- define "hookwright.environment" -}}
{{- $root := .root -}}
env:
  - {name: HOOKWRIGHT_DATA_DIR, value: /data}
  - {name: HOOKWRIGHT_HOST, value: "0.0.0.0"}
  - {name: HOOKWRIGHT_PORT, value: "8080"}
  - {name: HOOKWRIGHT_EFFECTS, value: {{ $root.Values.settings.effects | quote }}}
  - {name: HOOKWRIGHT_LOG_LEVEL, value: {{ $root.Values.settings.logLevel | quote }}}
  - {name: HOOKWRIGHT_LOG_FORMAT, value: {{ $root.Values.settings.logFormat | quote }}}
  - {name: HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES, value: {{ $root.Values.settings.allowPrivateAddresses | quote }}}
  {{- with include "hookwright.publicUrl" $root }}
  - {name: HOOKWRIGHT_PUBLIC_URL, value: {{ . | quote }}}
  {{- end }}
  {{- with .values }}
  - {name: HOOKWRIGHT_SHUTDOWN_SECONDS, value: {{ sub (sub .terminationGracePeriodSeconds (.drainSeconds | default 0)) 5 | quote }}}
  {{- with .threads }}
  - {name: HOOKWRIGHT_WORKER_THREADS, value: {{ . | quote }}}
  {{- end }}
  {{- with .extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
envFrom:
  - secretRef:
      name: {{ .secret }}
  {{- range $root.Values.extraSecretNames }}
  - secretRef:
      name: {{ . }}
  {{- end }}
{{- end -}}

{{- define "hookwright.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hookwright.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Places to write: the root file system is read-only. Nothing in them outlives the pod, nor needs to. */}}
{{- define "hookwright.scratchMounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "hookwright.scratchVolumes" -}}
- name: data
  emptyDir: {sizeLimit: 256Mi}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{/* What receiver and worker pods share. Call with (dict "root" $ "role" "receiver" "values" .Values.receiver). */}}
{{- define "hookwright.podSpec" -}}
serviceAccountName: {{ include "hookwright.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "hookwright.podSecurityContext" .root | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
{{- if .root.Values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- $labels := include "hookwright.selectorLabels" .root -}}
  {{- $role := .role -}}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
        app.kubernetes.io/component: {{ $role }}
  {{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  {{- include "hookwright.scratchVolumes" .root | nindent 2 }}
{{- end -}}

{{- define "hookwright.secretName" -}}
{{- .Values.existingSecret | default (include "hookwright.fullname" .) -}}
{{- end -}}

{{/* A change of the Secret starts the pods again; of a Secret that is not ours we cannot know. */}}
{{- define "hookwright.podAnnotations" -}}
{{- if not .root.Values.existingSecret }}
checksum/secret: {{ include "hookwright.secretData" .root | sha256sum }}
{{- end }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A ConfigMap's keys are flat; the Job's volume puts the workflows into their folder again. */}}
{{- define "hookwright.configData" -}}
hookwright.yaml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- range $file, $text := .Values.workflows }}
{{ printf "workflows.%s" $file | quote }}: {{ $text | toJson }}
{{- end }}
{{- end -}}

{{- define "hookwright.migrationContainer" -}}
- name: {{ .container.name }}
  image: {{ include "hookwright.image" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: {{ toJson .container.args }}
  {{- include "hookwright.environment" (dict "root" .root "secret" .secret) | nindent 2 }}
  resources:
    {{- toYaml .root.Values.migration.resources | nindent 4 }}
  securityContext:
    {{- include "hookwright.containerSecurityContext" .root | nindent 4 }}
  volumeMounts:
    {{- include "hookwright.scratchMounts" .root | nindent 4 }}
    {{- if .root.Values.config }}
    - {name: config, mountPath: /config, readOnly: true}
    {{- end }}
{{- end -}}
