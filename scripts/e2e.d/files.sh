# shellcheck shell=bash disable=SC2154
# Channels and Routes from a ConfigMap, for two routers on PostgreSQL. Sourced by scripts/e2e.

# shellcheck source=scripts/e2e.d/documents.sh
source scripts/e2e.d/documents.sh
values=("${on_postgres[@]}" --set config.source=files --set-string whatsapp.phoneNumberId= --set 'secretMounts[0].name=support')

objects() { jq -sc . <(channel) <(route everything "$our_server") "$@"; }
files_installed() { uninstalled && installed_with "$(objects)"; }
installed_with() { release_with install --set-json "config.objects=$1" >"$work/installed" 2>&1 || { cat "$work/installed"; return 1; }; }
step 'a Secret for the channel' secret_is_made
step 'helm install: two routers that read a ConfigMap' files_installed
step 'no pod violates the restricted standard' no_warning
step 'helm test' helm test "$release" --namespace "$namespace"
step 'a message there and back' there_and_back "by files $$"

restarts >"$work/pods"
route_added() {
  local pod began before
  before=$(metric "$(pods | head -n 1)" "$accepted_routes") || { echo "no metric $accepted_routes"; return 1; }
  release_with upgrade --set-json "config.objects=$(objects <(route urgent "$simulators_backend" '{"text": {"type": "Prefix", "value": "urgent"}}'))" || return 1
  began=$(now)
  for pod in $(pods); do
    more() { [[ $(metric "$pod" "$accepted_routes") -gt $before ]]; }
    soon 180 more || { echo "$pod does not have it"; return 1; }
    figure "in use on $pod at most $(($(now) - began)) ms after helm upgrade had returned, the kubelet's time included"
  done
  say "urgent, by files $$" && soon 60 asked "urgent, by files $$"
}
step 'a Route is added by helm upgrade, and takes its messages' route_added
step 'no router was restarted for it' same_pods "$work/pods"

# shellcheck source=scripts/e2e.d/secrets.sh
source scripts/e2e.d/secrets.sh
