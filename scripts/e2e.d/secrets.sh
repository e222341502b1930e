# shellcheck shell=bash disable=SC2154
# Secrets are rotated under the routers that a part has installed, with the channel of documents.sh. Sourced by parts.

restarts >"$work/pods"
# What of the time was the kubelet's, where its folders are on this machine: when the new files came to a pod, and when its
# log says that they are in use.
own_part() { # SINCE-MS
  local pod link came read
  for pod in $(pods); do
    link=${E2E_KUBELET_DIR:-/var/lib/kubelet}/pods/$(k get pod "$pod" --output jsonpath='{.metadata.uid}')/volumes/kubernetes.io~secret/secret-0/..data
    [[ -L $link ]] || return 0
    soon 150 came_after "$1" && soon 60 read_after "$came" || { echo "$pod does not have it"; return 1; }
    figure "$pod: the kubelet had it after $((came - $1)) ms, the router used it $((read - came)) ms later"
  done
}
came_after() { # MS
  came=$(date --date "@$(stat --format %.Y "$link")" +%s%3N)
  ((came >= $1))
}
read_after() { # MS
  read=$(k logs "$pod" --since 300s | jq -rRs '[split("\n")[] | fromjson? | select(.message == "secrets changed")] | last | .timestamp // empty')
  [[ $read ]] && read=$(date --date "$read" +%s%3N) && ((read >= $1))
}
token_rotated() {
  local began
  began=$(now)
  k patch secret support --type merge --patch "{\"stringData\": {\"access-token\": \"rotated-$$\"}}" || return 1
  # Graph refuses the old one from this moment on.
  sandbox /credentials --fail --request PUT --data "{\"access_token\": \"rotated-$$\"}" || return 1
  there_and_back "with a rotated token $$" || return 1
  figure "answered with the new token $(($(now) - began)) ms after the Secret was changed and the old token revoked"
  own_part "$began"
}
step 'an access token is rotated, and the next send has it' token_rotated
signed_now() { router_says 200 '' "$(webhook "wamid.e2e-$$-$(now)" "signed $$")" ''; }
app_secret_rotated() {
  local began
  began=$(now)
  k patch secret support --type merge --patch "{\"stringData\": {\"app-secret\": \"rotated-secret-$$\"}}" || return 1
  sandbox /credentials --fail --request PUT --data "{\"app_secret\": \"rotated-secret-$$\"}" || return 1
  soon 180 signed_now >/dev/null || { signed_now; return 1; }
  figure "signed with the new app secret and taken $(($(now) - began)) ms after the Secret was changed"
  own_part "$began"
}
step 'an app secret is rotated, and webhooks signed with it are taken' app_secret_rotated
former_is_taken() {
  local status=0
  sandbox /credentials --fail --request PUT --data '{"app_secret": "sandbox-app-secret"}' || return 1
  router_says 200 '' "$(webhook "wamid.e2e-$$-old" 'old')" '' || status=1
  sandbox /credentials --fail --request PUT --data "{\"app_secret\": \"rotated-secret-$$\"}" || return 1
  return "$status"
}
step 'one signed with the former secret still is, for the grace time' former_is_taken
step 'one signed with neither is not' router_says 403 '' "$(webhook "wamid.e2e-$$-neither" 'no')" '?secret=wrong'
step 'no router was restarted for any of it' same_pods "$work/pods"
