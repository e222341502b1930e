# shellcheck shell=bash disable=SC2034,SC2154
# What the parts with Channels and Routes share. Sourced by them.

pods() { k get pods --selector "app.kubernetes.io/name=whatsapp-router,app.kubernetes.io/component=router" --field-selector status.phase=Running --output name | cut -d/ -f2; }
restarts() { # of each router's container
  k get pods --selector app.kubernetes.io/component=router --output jsonpath='{range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort
}
same_pods() { # FILE: those of before, not restarted
  restarts | diff "$1" -
}
# A number of a pod's metrics: POD NAME-WITH-LABELS. By the pod's own address where this machine reaches it.
metric() {
  local text address
  if [[ $direct ]]; then
    address=${pod_address[$1]:-$(k get pod "$1" --output jsonpath='{.status.podIP}')}
    text=$(curl --silent --max-time 5 "http://$address:9090/metrics")
  else
    text=$(kubectl get --raw "/api/v1/namespaces/$namespace/pods/$1:9090/proxy/metrics")
  fi || return 1
  awk -v name="$2" 'index($0, name " ") == 1 { print int($2); found = 1 } END { exit !found }' <<<"$text"
}
declare -A pod_address=()
accepted_routes='whatsapp_router_config_objects{accepted="true",kind="Route"}'
sync_age='whatsapp_router_config_sync_age_seconds{source="kubernetes"}'

# --- documents ----------------------------------------------------------------------------------------------------
channel() {
  jq -nc '{
    apiVersion: "whatsapp-router.dev/v1alpha1", kind: "Channel", metadata: {name: "support"},
    spec: {provider: "WhatsAppCloud", phoneNumberId: "106540352242922", accessTokenRef: {name: "support", key: "access-token"},
      verification: {verifyTokenRef: {name: "support", key: "verify-token"}, appSecretRef: {name: "support", key: "app-secret"}}}}'
}
route() { # NAME BACKEND [MATCH]: the document of one
  jq -nc --arg name "$1" --argjson backend "$2" --argjson matches "[${3:-}]" '{
    apiVersion: "whatsapp-router.dev/v1alpha1", kind: "Route", metadata: {name: $name},
    spec: {channelRefs: [{name: "support"}], rules: [{name: "default", backends: [$backend]}
      + if $matches == [] then {} else {matches: $matches} end]}}'
}
our_server="{\"service\": {\"name\": \"$release-server\", \"port\": 8001}}"
simulators_backend='{"url": "http://sandbox:8002/backend"}'

# The Secret that they refer to, as the simulator knows it at first.
secret_is_made() {
  k delete secret support --ignore-not-found || return 1
  k create secret generic support --from-literal=access-token=sandbox-access-token \
    --from-literal=verify-token=sandbox-verify-token --from-literal=app-secret=sandbox-app-secret
}
asked() { sandbox /backend/requests --fail | grep -F "$1" >/dev/null; } # TEXT: the simulator's backend was
