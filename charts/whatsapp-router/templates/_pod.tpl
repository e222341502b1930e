{{/* What the pods of router and server have in common; each takes (list $ "router"). */}}

{{/* At the head of the pod's spec. */}}
{{- define "whatsapp-router.podHead" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
serviceAccountName: {{ include "whatsapp-router.serviceAccountName" . }}
# Only a router that watches objects talks to the API server.
automountServiceAccountToken: {{ and (eq (index . 1) "router") (eq (include "whatsapp-router.configSource" $root) "kubernetes") }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "whatsapp-router.gracePeriod" $root }}
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if kindIs "invalid" $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    # A wish: a pod that can't be spread still runs.
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "whatsapp-router.selector" $ | nindent 8 }}
    # Of this version: during a rollout the old pods don't count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- else if $values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "whatsapp-router.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
{{- $scrape := dict -}}
{{- if not $root.Values.serviceMonitor.enabled -}}
{{- $scrape = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString $values.adminPort) "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with mergeOverwrite $scrape $values.podAnnotations -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "whatsapp-router.containerHead" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
image: {{ include "whatsapp-router.image" . }}
imagePullPolicy: {{ $values.image.pullPolicy }}
{{- with $values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* On the admin port, which answers while the main one is full of connections. */}}
{{- define "whatsapp-router.probes" -}}
{{- $probes := (index (index . 0).Values (index . 1)).probes -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml $probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml $probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  {{- toYaml $probes.readiness | nindent 2 }}
{{- end -}}

{{/* The replicas that there are at least. */}}
{{- define "whatsapp-router.leastReplicas" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- if $values.autoscaling.enabled }}{{ int $values.autoscaling.minReplicas }}{{ else }}{{ int $values.replicas }}{{ end -}}
{{- end -}}

{{/* The programs take the drain delay, 20 s for requests and 5 s for the rest; 5 s more so that nothing is cut off. */}}
{{- define "whatsapp-router.gracePeriod" -}}
{{- $shutdown := .Values.shutdown -}}
{{- if kindIs "invalid" $shutdown.terminationGracePeriodSeconds -}}
{{- add (int $shutdown.drainDelaySeconds) 30 -}}
{{- else -}}
{{- int $shutdown.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
