# shellcheck shell=bash
# Two routers on PostgreSQL. Sourced by scripts/e2e.

values=("${on_postgres[@]}")
two_routers() { uninstalled && installed; }
both_ready() { [[ $(k get deployment "$release" --output jsonpath='{.status.readyReplicas}') == 2 ]]; }

ten_people() {
  local person
  for person in {0..9}; do
    sandbox /phone/contacts --fail --header 'content-type: application/json' \
      --data "{\"name\": \"Person $person\", \"wa_id\": \"1202555020$person\"}" || return 1
  done
}
# Ten people write at the same time, message by message, until they are told to stop.
people_write() {
  local person number
  for person in {0..9}; do
    (
      number=0
      while [[ ! -e $work/stop ]]; do
        number=$((number + 1))
        sandbox /phone/messages --fail --output /dev/null --header 'content-type: application/json' \
          --data "{\"wa_id\": \"1202555020$person\", \"text\": \"rolling $person $number\"}" || continue
        echo "$number" >>"$work/wrote.$person"
        sleep 0.4
      done
    ) &
  done
}
# What came back, a line for each: PERSON NUMBER, in the order of arrival.
replies() {
  sandbox /graph/messages --fail | jq -r '.items[].text // ""' |
    sed -n "s/^I received your message: 'rolling \([0-9]\) \([0-9]*\)' .*/\1 \2/p"
}
all_replied() { [[ $(replies | wc -l) -ge $(cat "$work"/wrote.* | wc -l) ]]; }
rolled_under_load() {
  local person writers pid took status=0
  people_write
  writers=$(jobs -p | grep -vx "${forward:-none}")
  sleep 2
  took=$SECONDS
  k rollout restart "deployment/$release" >/dev/null && k rollout status "deployment/$release" --timeout 180s || status=1
  took=$((SECONDS - took))
  sleep 2
  touch "$work/stop"
  for pid in $writers; do wait "$pid"; done
  ((status == 0)) || return 1
  compgen -G "$work/wrote.*" >/dev/null || { echo 'nobody could write'; return 1; }
  soon 90 all_replied || echo "answers are missing: $(cat "$work"/wrote.* | wc -l) written, $(replies | wc -l) answered"
  for person in {0..9}; do
    # All of them, once, in order: the two lists are the same.
    replies | sed -n "s/^$person //p" | diff - "$work/wrote.$person" >"$work/diff" || { echo "person $person:"; head "$work/diff"; status=1; }
  done
  figure "$(cat "$work"/wrote.* | wc -l) messages in ${took} s of rolling"
  return "$status"
}
# Statuses come later than messages: those that were not posted yet are waited for.
all_posted() { [[ $(sandbox /webhooks --fail | jq '[.items[] | select(.attempts == 0)] | length') == 0 ]]; }
every_webhook_was_taken_at_once() { # SINCE-MS
  soon 60 all_posted || { echo 'webhooks wait to be posted'; return 1; }
  sandbox /webhooks --fail | jq --argjson since "$1" '[.items[] | select(.at >= $since)]' >"$work/webhooks" || return 1
  figure "$(jq length "$work/webhooks") webhooks"
  jq -e 'length > 0 and all(.attempts == 1 and .status == 200)' "$work/webhooks" >/dev/null && return
  jq '[.[] | select(.attempts != 1 or .status != 200)] | {webhooks_sent_again: length, some: [.[:3][] | del(.body)]}' "$work/webhooks"
  return 1
}
step 'helm install: two routers on PostgreSQL' two_routers
step 'both are ready' soon 30 both_ready
step 'helm test' helm test "$release" --namespace "$namespace"
step 'a message there and back' there_and_back "on PostgreSQL $$"
step 'ten people' ten_people
began=$(now)
step 'rolling update of the routers while ten people write: each message answered, once, in order' rolled_under_load
step 'each webhook was taken at the first attempt' every_webhook_was_taken_at_once "$began"
