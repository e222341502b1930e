{{/* Who reaches health and metrics: the pods of `helm test`, and who is named. The kubelet always does. */}}
{{- define "whatsapp-router.adminIngress" -}}
- ports: [{port: admin, protocol: TCP}]
  from:
    - podSelector:
        matchLabels: {{- include "whatsapp-router.selector" (list . "test") | nindent 10 }}
    {{- with .Values.networkPolicy.metricsFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Where router and server send traces to. */}}
{{- define "whatsapp-router.otlpEgress" -}}
{{- if .Values.telemetry.otlp.endpoint -}}
- ports:
    {{- range .Values.networkPolicy.otlpPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to: {{- toYaml .Values.networkPolicy.otlpTo | nindent 4 }}
{{- end -}}
{{- end -}}
