# shellcheck shell=bash disable=SC2154
# Channels and Routes as custom resources, for two routers on PostgreSQL. Sourced by scripts/e2e.

# shellcheck source=scripts/e2e.d/documents.sh
source scripts/e2e.d/documents.sh

values=("${on_postgres[@]}" --set config.source=kubernetes --set-string whatsapp.phoneNumberId= --set 'secretMounts[0].name=support')
lease=$release-status

# --- helpers ------------------------------------------------------------------------------------------------------
condition() { # OBJECT TYPE: status and reason
  k get "$1" --output jsonpath="{.status.conditions[?(@.type==\"$2\")].status} {.status.conditions[?(@.type==\"$2\")].reason}"
}
programmed() { k wait --for=condition=Programmed --timeout "${1}s" "${@:2}" || { k get "${@:2}" --output yaml; return 1; }; }

# --- install ------------------------------------------------------------------------------------------------------
objects_installed() { uninstalled && installed && kubectl wait --for=condition=Established --timeout 30s crd "${definitions[@]}"; }
step 'a Secret for the channel' secret_is_made
step 'helm install: the definitions, two routers that watch' objects_installed
step 'no pod violates the restricted standard' no_warning

applied() {
  local began
  channel | k apply --filename - || return 1
  began=$(now)
  route everything "$our_server" | k apply --filename - || return 1
  programmed 30 channel/support route/everything || return 1
  figure "both are Programmed $(($(now) - began)) ms after they were applied"
}
step 'a Channel and a Route: every condition becomes true' applied
step 'helm test' helm test "$release" --namespace "$namespace"
step 'a message there and back' there_and_back "by objects $$"
has() { # SECONDS OBJECT TYPE STATUS-AND-REASON
  is_so() { [[ $(condition "$1" "$2") == "$3" ]]; }
  soon "$1" is_so "${@:2}" || { echo "$3 is not $4:"; k get "$2" --output yaml; return 1; }
}
works() { has 60 channel/support Sending 'True Sending' && has 60 channel/support Receiving 'True Receiving'; }
step 'the channel has the conditions Sending and Receiving' works

# --- refused and reported -----------------------------------------------------------------------------------------
refused_by_the_api_server() { # WORDS COMMAND...
  local words=$1
  shift
  if "$@" >"$work/refused" 2>&1; then echo "was taken; expected: $words"; return 1; fi
  grep -qF -- "$words" "$work/refused" || { echo "expected: $words"; cat "$work/refused"; return 1; }
}
apply_route() { route "$@" | k apply --filename -; }
step 'a backend with two addresses is refused by the API server' refused_by_the_api_server 'a backend has either a url or a service' \
  apply_route two '{"url": "http://a", "service": {"name": "a", "port": 1}}'
step "a channel's number can't be changed" refused_by_the_api_server "phoneNumberId can't be changed" \
  k patch channel support --type merge --patch '{"spec": {"phoneNumberId": "1"}}'
dangling() {
  route dangling "$our_server" | jq '.spec.channelRefs[0].name = "nowhere"' | k apply --filename - || return 1
  k wait --for=condition=ResolvedRefs=False --timeout 20s route/dangling || { k get route dangling --output yaml; return 1; }
  figure "dangling: ResolvedRefs $(condition route/dangling ResolvedRefs)"
  told_by_an_event() { k get events --output json | jq -e '.items[] | select(.involvedObject.kind == "Route" and .involvedObject.name == "dangling")' >/dev/null; }
  soon 20 told_by_an_event || { echo "no Event of it"; k get events --field-selector involvedObject.kind=Route; return 1; }
  k delete route dangling
}
step 'a Route to a Channel that is not there says so, and an Event does' dangling

# --- a new route --------------------------------------------------------------------------------------------------
new_route() {
  local pod before began pids=() status=0 took
  before=$(metric "$(pods | head -n 1)" "$accepted_routes") || { echo "no metric $accepted_routes"; return 1; }
  if [[ $direct ]]; then for pod in $(pods); do pod_address[$pod]=$(k get pod "$pod" --output jsonpath='{.status.podIP}'); done; fi
  route urgent "$simulators_backend" '{"text": {"type": "Prefix", "value": "urgent"}}' >"$work/urgent.json"
  k apply --filename "$work/urgent.json" || return 1
  began=$(now)
  for pod in $(pods); do
    (
      for _ in {1..400}; do
        if [[ $(metric "$pod" "$accepted_routes") -gt $before ]]; then echo $(($(now) - began)) >"$work/took.$pod"; exit 0; fi
        sleep 0.02
      done
      exit 1
    ) &
    pids+=($!)
  done
  for pod in "${pids[@]}"; do wait "$pod" || status=1; done
  ((status == 0)) || { echo 'not in effect everywhere'; return 1; }
  for pod in $(pods); do
    took=$(cat "$work/took.$pod")
    figure "in effect on $pod $took ms after kubectl apply had returned"
    ((took <= 2000)) || status=1
  done
  return "$status"
}
step 'a new Route is in effect on every router within 2 s' new_route
taken_by_the_simulators_backend() {
  say "urgent $$" && soon 60 asked "urgent $$"
}
step 'and takes its messages, as it is the more specific one' taken_by_the_simulators_backend
step 'while the others go where they went' there_and_back "not so urgent $$"

# --- secrets ------------------------------------------------------------------------------------------------------
# shellcheck source=scripts/e2e.d/secrets.sh
source scripts/e2e.d/secrets.sh
token_refused() {
  sandbox /credentials --fail --request PUT --data '{"access_token": "of somebody else"}' || return 1
  say "while the token is refused $$" || return 1
  has 90 channel/support Sending 'False TokenRefused' || return 1
  warned() { k get events --output json | jq -e '.items[] | select(.reason == "TokenRefused" and .involvedObject.name == "support")' >/dev/null; }
  soon 20 warned || { echo 'no Event of it'; k get events; return 1; }
  sandbox /credentials --fail --request PUT --data "{\"access_token\": \"rotated-$$\"}" || return 1
  answered_once "while the token is refused $$" && has 90 channel/support Sending 'True Sending'
}
step 'a refused access token is a condition and an Event, and its replies wait' token_refused

# --- the Lease ----------------------------------------------------------------------------------------------------
holder() { k get lease "$lease" --output jsonpath='{.spec.holderIdentity}'; }
observed() { # OBJECT: its conditions are about what it says now
  [[ $(k get "$1" --output jsonpath='{.metadata.generation}') == "$(k get "$1" --output jsonpath='{.status.conditions[?(@.type=="Programmed")].observedGeneration}')" ]]
}
lease_taken_over() {
  local was pod began
  was=$(holder)
  pod=$(pods | while read -r name; do if [[ $was == "$name"* ]]; then echo "$name"; fi; done)
  [[ $pod ]] || { echo "the Lease is held by '$was', which is no pod of ours"; return 1; }
  k delete pod "$pod" --grace-period=0 --force || return 1
  began=$(now)
  k patch route urgent --type merge --patch '{"spec": {"priority": 7}}' || return 1
  soon 20 observed route/urgent || { echo "nobody wrote conditions; the Lease is held by $(holder)"; k get route urgent --output yaml; return 1; }
  [[ $(holder) != "$was" ]] || { echo "the Lease is still held by $was"; return 1; }
  figure "another router wrote conditions $(($(now) - began)) ms after the holder was deleted"
  k rollout status "deployment/$release" --timeout 120s
}
step 'the router that writes conditions is deleted, another writes within 20 s' lease_taken_over

# --- the API server -----------------------------------------------------------------------------------------------
gone_for_a_minute() {
  local pod name ages began second
  pod_address=()
  for name in $(pods); do pod_address[$name]=$(k get pod "$name" --output jsonpath='{.status.podIP}'); done
  pod=$(pods | head -n 1)
  stopped=yes
  eval "$E2E_API_STOP" || return 1
  for second in {1..6}; do
    # In its place, kubectl would wait for an answer.
    there_and_back "without an API server $second $$" || return 1
    ages="${ages:-} $(metric "$pod" "$sync_age")"
    sleep 10
  done
  if kubectl version --request-timeout 2s >/dev/null 2>&1; then echo 'the API server was not gone'; return 1; fi
  eval "$E2E_API_START" >/dev/null || return 1
  stopped=''
  began=$(now)
  soon 60 kubectl get --raw /readyz >/dev/null || return 1
  figure "age of the configuration on $pod meanwhile, in seconds:$ages"
  [[ ${ages##* } -gt 30 ]] || { echo "the age did not rise:$ages"; return 1; }
  k patch route urgent --type merge --patch '{"spec": {"priority": 8}}' || return 1
  soon 60 observed route/urgent || { k get route urgent --output yaml; return 1; }
  figure "an edit made after its return was in effect $(($(now) - began)) ms after it was started again"
  young() { [[ $(metric "$pod" "$sync_age") -lt 15 ]]; }
  soon 30 young || { echo "the age stays at $(metric "$pod" "$sync_age")"; return 1; }
}
if [[ ${E2E_API_STOP:-} && ${E2E_API_START:-} && $direct ]]; then
  step 'the API server is gone for a minute: traffic goes on, the age is shown, an edit afterwards is picked up' gone_for_a_minute
else
  skip 'the API server gone for a minute: needs E2E_API_STOP and E2E_API_START, and a way to the pods without it'
fi

# --- upgrade, rollback, uninstall ---------------------------------------------------------------------------------
objects_upgraded() { release_with upgrade --set router.settings.replyMaxAge=12h && [[ $(setting REPLY_MAX_AGE) == 12h ]]; }
objects_rolled_back() { helm rollback "$release" --namespace "$namespace" --wait --timeout 180s && [[ -z $(setting REPLY_MAX_AGE) ]]; }
step 'helm upgrade' objects_upgraded
step 'a message after it' there_and_back "objects, after the upgrade $$"
step 'helm rollback' objects_rolled_back
step 'a message after it' there_and_back "objects, after the rollback $$"
definitions_stay() {
  uninstalled || return 1
  kubectl get crd "${definitions[@]}" && k get channel/support route/everything
}
step 'helm uninstall keeps definitions, Channels and Routes' definitions_stay
there_and_back_soon() { soon 60 programmed 1 channel/support route/everything && there_and_back "$1"; }
step 'helm install once more' installed
step 'they are in use again' there_and_back_soon "objects, installed again $$"
