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
