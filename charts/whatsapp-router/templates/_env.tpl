{{/* Environment variables, by (list $ "router"). */}}

{{/* Those that the chart works out itself, as a list. */}}
{{- define "whatsapp-router.ownEnv" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $host := $root.Values.listenHost -}}
{{- $source := include "whatsapp-router.configSource" $root -}}
{{- if eq $component "router" -}}
- name: ROUTER_LISTEN
  value: {{ printf "%s:8000" $host | quote }}
- name: CONFIG_SOURCE
  value: {{ $source }}
{{- if eq $source "env" }}
- name: WHATSAPP_PHONE_NUMBER_ID
  value: {{ $root.Values.whatsapp.phoneNumberId | quote }}
{{- if not $values.settings.serverBaseUrl }}
- name: SERVER_BASE_URL
  value: {{ printf "http://%s:%d" (include "whatsapp-router.component" (list $root "server")) (int $root.Values.server.service.port) }}
{{- end }}
{{- else if eq $source "files" }}
- name: CONFIG_DIR
  value: /etc/whatsapp-router
{{- else }}
{{- with $root.Values.config.watchNamespaces }}
- name: WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: CONFIG_STATUS_UPDATES
  value: {{ ternary "on" "off" $root.Values.config.statusUpdates | quote }}
- name: CONFIG_STATUS_LEASE
  value: {{ include "whatsapp-router.lease" $root }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end }}
{{- if eq $root.Values.database.type "sqlite" }}
- name: DATABASE_URL
  value: sqlite:///data/router.db
{{- end }}
{{- else -}}
- name: SERVER_LISTEN
  value: {{ printf "%s:8001" $host | quote }}
{{- end }}
{{- with $root.Values.telemetry.otlp.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- with $root.Values.telemetry.otlp.protocol }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ . }}
{{- end }}
{{- if not (and (eq $component "router") (eq $source "kubernetes")) }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "whatsapp-router.resourceAttributes" $ | quote }}
{{- end }}
- name: ADMIN_LISTEN
  value: {{ printf "%s:%d" $host (int $values.adminPort) | quote }}
- name: SHUTDOWN_DRAIN_DELAY
  value: {{ printf "%ds" (int $root.Values.shutdown.drainDelaySeconds) }}
{{- end -}}

{{/* As W3C Baggage: what separates is encoded in the values, and the kubelet puts in what it alone knows. A $ would be read by it, too. */}}
{{- define "whatsapp-router.resourceAttributes" -}}
{{- $root := index . 0 -}}
service.namespace={{ $root.Release.Name }},k8s.namespace.name={{ $root.Release.Namespace }},k8s.deployment.name={{ include "whatsapp-router.component" . }},k8s.container.name={{ index . 1 }},k8s.pod.name=$(POD_NAME),k8s.pod.uid=$(POD_UID),k8s.node.name=$(NODE_NAME)
{{- range $name, $value := $root.Values.telemetry.resourceAttributes -}}
,{{ $name }}={{ $value | replace "%" "%25" | replace "," "%2C" | replace "$" "%24" }}
{{- end -}}
{{- end -}}

{{/* `replyMaxAge` becomes REPLY_MAX_AGE. What is null or empty is left to the program's default. */}}
{{- define "whatsapp-router.settingsEnv" -}}
{{- range $name, $value := (index (index . 0).Values (index . 1)).settings }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- name: {{ snakecase $name | upper }}
  {{- /* Numbers of a values file are floats, and 1000000 would become 1e+06; 0.1 is to stay what it is. */}}
  {{- $whole := and (kindIs "float64" $value) (eq (toString $value) (int64 $value | float64 | toString)) }}
  value: {{ ternary (int64 $value | toString) (toString $value) $whole | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "whatsapp-router.env" -}}
{{- include "whatsapp-router.ownEnv" . }}
{{- include "whatsapp-router.settingsEnv" . }}
{{- with (index (index . 0).Values (index . 1)).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
