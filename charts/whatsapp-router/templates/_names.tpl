{{/* What things are called, and the labels by which they find each other. */}}

{{/* 50 characters leave room for the longest suffix within the 63 that Kubernetes allows. */}}
{{- define "whatsapp-router.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "whatsapp-router.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "whatsapp-router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Of a component, by (list $ "router"): the router has the plain name, the server a suffix. */}}
{{- define "whatsapp-router.component" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $name := include "whatsapp-router.fullname" $root -}}
{{- if eq $component "router" }}{{ $name }}{{ else }}{{ $name }}-{{ $component }}{{ end -}}
{{- end -}}

{{- define "whatsapp-router.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "whatsapp-router.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "whatsapp-router.labels" -}}
{{- $root := index . 0 -}}
{{ include "whatsapp-router.selector" . }}
app.kubernetes.io/part-of: whatsapp-router
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Pods leave out what changes with the chart alone, or each new chart would restart them. */}}
{{- define "whatsapp-router.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "whatsapp-router.selector" . }}
app.kubernetes.io/part-of: whatsapp-router
{{- with mergeOverwrite (dict) $root.Values.commonLabels (index $root.Values (index . 1)).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "whatsapp-router.serviceAccountName" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount -}}
{{- if $account.name -}}
{{- $account.name -}}
{{- else if $account.create -}}
{{- include "whatsapp-router.component" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* A digest stands in place of the tag: not every runtime takes both. */}}
{{- define "whatsapp-router.image" -}}
{{- $root := index . 0 -}}
{{- $image := (index $root.Values (index . 1)).image -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "whatsapp-router.claim" -}}
{{- default (printf "%s-data" (include "whatsapp-router.fullname" .)) .Values.database.sqlite.persistence.existingClaim -}}
{{- end -}}
