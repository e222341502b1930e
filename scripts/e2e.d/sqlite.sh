# shellcheck shell=bash
# One router on a file: the values of a desk, with the account in them. Sourced by scripts/e2e.

# A volume, if the cluster makes none itself and this machine is its node.
prepare_volume() {
  local node address
  node=$(kubectl get nodes --output jsonpath='{.items[0].metadata.name}')
  address=$(kubectl get nodes --output jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
  [[ $(kubectl get nodes --output name | wc -l) == 1 ]] && ip address 2>/dev/null | grep -F "inet $address/" >/dev/null || return 1
  if [[ ${E2E_NODE_DIR:-} ]]; then folder=$E2E_NODE_DIR; else folder=$work/data; fi
  mkdir -p "$folder"
  volume=$namespace-data
  kubectl apply --filename - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: $volume}
spec:
  capacity: {storage: 256Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: $volume
  local: {path: $folder}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]}
YAML
}
kubectl get storageclass --output jsonpath='{.items[*].metadata.annotations}' | grep '"storageclass.kubernetes.io/is-default-class":"true"' >/dev/null
default_class=$?
keeps=true
if ((default_class == 0)); then
  values+=(--set database.sqlite.persistence.keep=true)
elif prepare_volume >"$work/volume" 2>&1; then
  values+=(--set database.sqlite.persistence.keep=true --set "database.sqlite.persistence.storageClass=$volume")
else
  keeps=false
  values+=(--set database.sqlite.persistence.enabled=false)
  skip 'messages kept over upgrade, rollback and uninstall: no default storage class, and this machine is not the only node'
fi

# --- install ------------------------------------------------------------------------------------------------------
step 'refused: two routers on SQLite' bash -c "! helm install $release $chart --namespace $namespace --values $chart/values-dev.yaml --set router.replicas=2"
sqlite_installed() { uninstalled && installed; }
step 'helm install' sqlite_installed
step 'no pod violates the restricted standard' no_warning
step 'helm test' helm test "$release" --namespace "$namespace"

# --- a message ----------------------------------------------------------------------------------------------------
step 'a message there and back through the Services' there_and_back "first $$"
step 'a signed webhook is taken' router_says 200 ok "$(webhook wamid.e2e-1 'kept')" ''
step 'and answered once' answered_once kept
step 'an unsigned webhook is refused' router_says 403 '' "$(webhook wamid.e2e-2 'unsigned')" '?unsigned'
step 'a forged webhook is refused' router_says 403 '' "$(webhook wamid.e2e-3 'forged')" '?secret=wrong'
step "a webhook of another number is ignored" router_says 200 ignored "$(webhook wamid.e2e-4 'other' 999)" ''
admin_is_apart() {
  service "$release-admin:admin" /metrics | grep '^whatsapp_router_' >/dev/null || { echo 'no metrics on the admin Service'; return 1; }
  service "$release-server-admin:admin" /readyz >/dev/null || return 1
  ! service "$release:http" /metrics >/dev/null 2>&1 || { echo 'metrics on the public port'; return 1; }
}
step 'metrics on the admin port and not on the public one' admin_is_apart

# --- upgrade, rollback --------------------------------------------------------------------------------------------
policies=(--set networkPolicy.enabled=true --set-json
  'networkPolicy.routerExtraEgress=[{"ports": [{"port": 8002}], "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "sandbox"}}}]}]')
upgraded() {
  # Written while the router is being replaced: the simulator, like Meta, sends again what got no answer.
  (sleep 3; say "while upgrading $$") >/dev/null 2>&1 &
  release_with upgrade --set router.settings.replyMaxAge=12h --set server.replicas=2 "${policies[@]}" || return 1
  wait $!
  [[ $(setting REPLY_MAX_AGE) == 12h ]] || { echo "REPLY_MAX_AGE is $(setting REPLY_MAX_AGE)"; return 1; }
}
step 'helm upgrade: a setting, two servers, network policies' upgraded
step 'a message from while it ran' answered_once "while upgrading $$"
step 'a message after it' there_and_back "after the upgrade $$"
policies_open_what_is_listened_on() {
  local name
  for name in "$release" "$release-server"; do
    k get networkpolicy "$name" --output json | jq -r '.spec.ingress[].ports[].port' | sort >"$work/opened"
    k get deployment "$name" --output json | jq -r '.spec.template.spec.containers[0].ports[].name' | sort >"$work/listening"
    diff "$work/opened" "$work/listening" || return 1
  done
}
step 'network policies open the ports that the pods listen on' policies_open_what_is_listened_on
step 'helm test under the policies' helm test "$release" --namespace "$namespace"
step 'a disruption budget for two servers' k get poddisruptionbudget "$release-server"
$keeps && step 'what was there is known' still_known "next $$"

servers_are_replaced() {
  local number
  k rollout restart "deployment/$release-server" >/dev/null || return 1
  for number in {1..20}; do
    say "during $number $$" >/dev/null || return 1
    sleep 0.2
  done
  k rollout status "deployment/$release-server" --timeout 120s || return 1
  for number in {1..20}; do answered_once "during $number $$" || return 1; done
  # In the order in which they were written.
  sandbox /graph/messages | jq -r '.items[].text' | sed -n "s/^I received your message: 'during \([0-9]*\) $$'.*/\1/p" >"$work/order"
  sort --numeric-sort --check "$work/order"
}
step '20 messages while the servers are replaced: each answered, once, in order' servers_are_replaced

rolled_back() {
  helm rollback "$release" 1 --namespace "$namespace" --wait --timeout 180s || return 1
  [[ -z $(setting REPLY_MAX_AGE) ]] || { echo "REPLY_MAX_AGE is still $(setting REPLY_MAX_AGE)"; return 1; }
}
step 'helm rollback' rolled_back
step 'a message after it' there_and_back "after the rollback $$"
$keeps && step 'what was there is known' still_known "next but one $$"

# --- uninstall ----------------------------------------------------------------------------------------------------
nothing_is_left() {
  helm uninstall "$release" --namespace "$namespace" --wait --timeout 120s || return 1
  k wait --for delete pod --selector "app.kubernetes.io/instance=$release" --timeout 60s || return 1
  local left
  left=$(k get deployment,service,serviceaccount,networkpolicy,poddisruptionbudget,pod \
    --selector "app.kubernetes.io/instance=$release" --output name) || return 1
  [[ -z $left ]] || { echo "left: $left"; return 1; }
}
step 'helm uninstall leaves nothing' nothing_is_left
if $keeps; then
  step 'but the claim' k get persistentvolumeclaim "$release-data"
  step 'helm install once more takes it over' installed
  step 'what was there is known' still_known "the last one $$"
fi
