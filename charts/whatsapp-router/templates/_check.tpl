{{/* What values.schema.json can't say: rules over several values, all problems at once, each with what to write instead. */}}

{{- define "whatsapp-router.check" -}}
{{- $problems := list -}}
{{- $values := .Values -}}

{{- $source := include "whatsapp-router.configSource" . -}}
{{- $settings := $values.router.settings -}}
{{- if eq $source "env" -}}
{{- if not $values.whatsapp.phoneNumberId -}}
{{- $problems = append $problems "whatsapp.phoneNumberId is not set: write the \"Phone number ID\" from WhatsApp > API Setup, in quotes; or config.source: kubernetes, for channels as custom resources" -}}
{{- end -}}
{{- if not $values.whatsapp.existingSecret -}}
{{- $problems = append $problems (printf "whatsapp.existingSecret is not set: make the Secret with `kubectl create secret generic whatsapp --from-literal=%s=… --from-literal=%s=… --from-literal=%s=…` and write its name" $values.whatsapp.secretKeys.accessToken $values.whatsapp.secretKeys.verifyToken $values.whatsapp.secretKeys.appSecret) -}}
{{- end -}}
{{- if and (not $values.whatsapp.secretKeys.appSecret) (ne (toString $settings.whatsappAllowUnsignedWebhooks) "true") -}}
{{- $problems = append $problems "whatsapp.secretKeys.appSecret is empty, so anybody could send webhooks: name the key, or set router.settings.whatsappAllowUnsignedWebhooks: true where nobody else reaches the router" -}}
{{- end -}}
{{- if not (or $values.server.enabled $settings.serverBaseUrl) -}}
{{- $problems = append $problems "server.enabled is false and router.settings.serverBaseUrl is not set, so nothing would answer: write your backend's address" -}}
{{- end -}}
{{- else if and (eq $source "files") (not $values.config.existingConfigMap) -}}
{{- if not $values.config.objects -}}
{{- $problems = append $problems "config.objects is empty, so no message would be taken: write a Channel and a Route (docs/OBJECTS.md), or the name of a ConfigMap that has them into config.existingConfigMap" -}}
{{- end -}}
{{- $seen := list -}}
{{- range $values.config.objects -}}
{{- $id := printf "%s/%s" .kind .metadata.name -}}
{{- if has $id $seen -}}
{{- $problems = append $problems (printf "config.objects has %s twice: take one out, or give it another name" $id) -}}
{{- end -}}
{{- $seen = append $seen $id -}}
{{- end -}}
{{- end -}}
{{- if and (eq $source "kubernetes") $values.rbac.create (eq (include "whatsapp-router.serviceAccountName" (list . "router")) "default") -}}
{{- $problems = append $problems "router.serviceAccount.create is false and no name is set, so every pod of the namespace could write conditions: write the account's name, or rbac.create: false" -}}
{{- end -}}
{{- $mounted := list -}}
{{- range $values.secretMounts -}}
{{- if has .name $mounted -}}
{{- $problems = append $problems (printf "secretMounts has %s twice: take one out" .name) -}}
{{- end -}}
{{- $mounted = append $mounted .name -}}
{{- end -}}
{{- range $component := list "router" "server" -}}
{{- range (index $values $component).extraVolumeMounts -}}
{{- if and .subPath (hasPrefix "/var/run/secrets/" .mountPath) -}}
{{- $problems = append $problems (printf "%s.extraVolumeMounts has %s with subPath: such a file never changes when its Secret does; mount the folder, or use secretMounts" $component .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if eq $values.database.type "sqlite" -}}
{{- if or $values.router.autoscaling.enabled (gt (int $values.router.replicas) 1) -}}
{{- $problems = append $problems "several routers can't share one SQLite file: set database.type: postgresql, or router.replicas: 1 and router.autoscaling.enabled: false" -}}
{{- end -}}
{{- else -}}
{{- if not $values.database.postgresql.existingSecret -}}
{{- $problems = append $problems (printf "database.postgresql.existingSecret is not set: make a Secret with the address under the key %s and write its name" $values.database.postgresql.secretKey) -}}
{{- end -}}
{{- if and $values.networkPolicy.enabled (not $values.networkPolicy.databaseTo) -}}
{{- $problems = append $problems "networkPolicy.databaseTo is empty, so the router could not reach PostgreSQL: write where it is, such as [{ipBlock: {cidr: 10.0.0.5/32}}]" -}}
{{- end -}}
{{- end -}}

{{- if and $values.networkPolicy.enabled $values.telemetry.otlp.endpoint (not $values.networkPolicy.otlpTo) -}}
{{- $problems = append $problems "networkPolicy.otlpTo is empty, so no trace could reach telemetry.otlp.endpoint: write where the collector is, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}

{{- $delay := int $values.shutdown.drainDelaySeconds -}}
{{- $grace := include "whatsapp-router.gracePeriod" . | int -}}
{{- if lt $grace (add $delay 25 | int) -}}
{{- $problems = append $problems (printf "shutdown.terminationGracePeriodSeconds is %d, but the drain delay of %d s, 20 s for requests in flight and 5 s for the rest need %d: raise it, or leave it out" $grace $delay (add $delay 25)) -}}
{{- end -}}

{{- if and $values.ingress.enabled (not $values.ingress.host) -}}
{{- $problems = append $problems "ingress.host is not set: write the host name that Meta calls" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $problems = append $problems "httpRoute.parentRefs is empty: name the gateway, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}

{{- range $component := ternary (list "router" "server") (list "router") $values.server.enabled -}}
{{- $own := index $values $component -}}
{{- $readiness := $own.probes.readiness -}}
{{- $noticed := mul (int $readiness.periodSeconds) (int $readiness.failureThreshold) -}}
{{- if gt $noticed (int64 $delay) -}}
{{- $problems = append $problems (printf "%s.probes.readiness needs %d s to notice that a pod is not ready, longer than the %d s of shutdown.drainDelaySeconds: raise the delay, or probe more often" $component $noticed $delay) -}}
{{- end -}}
{{- if eq (int $own.adminPort) (ternary 8000 8001 (eq $component "router")) -}}
{{- $problems = append $problems (printf "%s.adminPort is the port that the program already listens on: choose another one" $component) -}}
{{- end -}}
{{- $scaling := $own.autoscaling -}}
{{- if $scaling.enabled -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- $problems = append $problems (printf "%s.autoscaling.minReplicas is above maxReplicas: turn them round" $component) -}}
{{- end -}}
{{- if not (or $scaling.targetCPUUtilizationPercentage $scaling.targetMemoryUtilizationPercentage) -}}
{{- $problems = append $problems (printf "%s.autoscaling has no target: set targetCPUUtilizationPercentage or targetMemoryUtilizationPercentage" $component) -}}
{{- end -}}
{{- end -}}
{{- $budget := $own.podDisruptionBudget -}}
{{- if not (or (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) -}}
{{- $problems = append $problems (printf "%s.podDisruptionBudget has both minAvailable and maxUnavailable: set one of them to null" $component) -}}
{{- else if and $budget.enabled (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) -}}
{{- $problems = append $problems (printf "%s.podDisruptionBudget has neither minAvailable nor maxUnavailable: set one of them, or enabled: false" $component) -}}
{{- end -}}
{{- $taken := ternary (list "DATABASE_URL" "WHATSAPP_ACCESS_TOKEN" "WHATSAPP_WEBHOOK_VERIFY_TOKEN" "WHATSAPP_WEBHOOK_SECRET" "ROUTER_API_KEYS" "SECRETS_DIR" "CONFIG_DIR") (list) (eq $component "router") -}}
{{- range concat (include "whatsapp-router.ownEnv" (list $ $component) | fromYamlArray) (include "whatsapp-router.settingsEnv" (list $ $component) | fromYamlArray) -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{- range $own.extraEnv -}}
{{- if has .name $taken -}}
{{- $problems = append $problems (printf "%s.extraEnv has %s, which the chart sets already: change the value it comes from" $component .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- with $problems -}}
{{- fail (printf "\n\n%d %s in the values of %s:\n  - %s\n" (len .) (ternary "problem" "problems" (eq (len .) 1)) $.Chart.Name (join "\n  - " .)) -}}
{{- end -}}
{{- end -}}
