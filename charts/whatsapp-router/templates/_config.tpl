{{/* Where channels and routes come from, and what the pods need for that. */}}

{{/* A values file of before there was a choice names a number and gets what it got. */}}
{{- define "whatsapp-router.configSource" -}}
{{- if .Values.config.source -}}
{{- .Values.config.source -}}
{{- else -}}
{{- ternary "env" "kubernetes" (ne .Values.whatsapp.phoneNumberId "") -}}
{{- end -}}
{{- end -}}

{{- define "whatsapp-router.watchedNamespaces" -}}
{{- default (list .Release.Namespace) .Values.config.watchNamespaces | uniq | toJson -}}
{{- end -}}

{{- define "whatsapp-router.configMap" -}}
{{- default (printf "%s-config" (include "whatsapp-router.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{/* One name for the Lease, so that the Role can name it. */}}
{{- define "whatsapp-router.lease" -}}
{{- printf "%s-status" (include "whatsapp-router.fullname" .) -}}
{{- end -}}

{{/* The Secrets whose keys are settings: sources of one projected volume, or nothing. */}}
{{- define "whatsapp-router.settingSecrets" -}}
{{- $whatsapp := .Values.whatsapp -}}
{{- if eq (include "whatsapp-router.configSource" .) "env" }}
- secret:
    name: {{ $whatsapp.existingSecret | quote }}
    items:
      - {key: {{ $whatsapp.secretKeys.accessToken | quote }}, path: WHATSAPP_ACCESS_TOKEN}
      - {key: {{ $whatsapp.secretKeys.verifyToken | quote }}, path: WHATSAPP_WEBHOOK_VERIFY_TOKEN}
      {{- with $whatsapp.secretKeys.appSecret }}
      - {key: {{ . | quote }}, path: WHATSAPP_WEBHOOK_SECRET}
      {{- end }}
{{- end }}
{{- with .Values.api.existingSecret }}
- secret:
    name: {{ . | quote }}
    items:
      - {key: {{ $.Values.api.secretKey | quote }}, path: ROUTER_API_KEYS}
{{- end }}
{{- if eq .Values.database.type "postgresql" }}
- secret:
    name: {{ .Values.database.postgresql.existingSecret | quote }}
    items:
      - {key: {{ .Values.database.postgresql.secretKey | quote }}, path: DATABASE_URL}
{{- end }}
{{- end -}}

{{- define "whatsapp-router.secretsDir" -}}
/var/run/secrets/whatsapp-router
{{- end -}}

{{/* With which Secret `helm test` signs: of `env` the account's own, else the first that is mounted, unless one is named. */}}
{{- define "whatsapp-router.testSecret" -}}
{{- $test := .Values.helmTest -}}
{{- $keys := dict "appSecret" $test.secretKeys.appSecret "verifyToken" $test.secretKeys.verifyToken -}}
{{- $name := $test.existingSecret -}}
{{- if and (not $name) (eq (include "whatsapp-router.configSource" .) "env") -}}
{{- $keys = pick .Values.whatsapp.secretKeys "appSecret" "verifyToken" -}}
{{- $name = ternary .Values.whatsapp.existingSecret "" (ne $keys.appSecret "") -}}
{{- else if and (not $name) .Values.secretMounts -}}
{{- $first := index .Values.secretMounts 0 -}}
{{- $name = default $first.name $first.secretName -}}
{{- end -}}
{{- merge (dict "name" $name) $keys | toYaml -}}
{{- end -}}
