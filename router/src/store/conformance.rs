//! What every store has to do, whatever database it is on: run by the tests of each implementation.

mod api;
mod dead_letters;
mod identity;
mod leases;
mod ledger;
mod messages;
mod outbox;
pub(crate) mod sends;
mod upkeep;
mod views;

use std::sync::Arc;

use bytes::Bytes;
use service::telemetry::{SpanId, TraceId};

use super::*;

/// A webhook with one text message from `contact`.
pub(super) fn delivery(contact: &str, wamid: &str) -> Delivery {
    batch(&[(contact, wamid)])
}

pub(crate) fn batch(messages: &[(&str, &str)]) -> Delivery {
    Delivery {
        received_at: now(),
        body: Bytes::from_static(b"{}"),
        messages: messages.iter().map(|(contact, wamid)| inbound(contact, wamid)).collect(),
        statuses: Vec::new(),
        echoes: Vec::new(),
        events: Vec::new(),
        channels: Vec::new(),
        trace: None,
    }
}

fn inbound(contact: &str, wamid: &str) -> NewInbound {
    let id = MessageId::generate();
    NewInbound {
        id,
        seen_key: SeenKey::new(&["message", contact, wamid]),
        channel: Arc::from("default"),
        contact: Arc::new(person(contact)),
        wamid: Arc::from(wamid),
        message_type: "text",
        raw: Arc::from(format!("{{\"id\":\"{wamid}\"}}")),
        sent_at: None,
        trace: trace_of(id),
    }
}

fn person(wa_id: &str) -> Contact {
    Contact {
        key: wa_id.to_owned(),
        wa_id: Some(wa_id.to_owned()),
        user_id: None,
        username: None,
        name: None,
    }
}

fn statuses(list: &[(&str, Option<MessageId>, DeliveryState)]) -> Delivery {
    let mut delivery = batch(&[]);
    delivery.statuses = list
        .iter()
        .map(|(wamid, message, state)| NewStatus {
            seen_key: SeenKey::new(&["status", wamid, state.as_str()]),
            wamid: (*wamid).to_owned(),
            message: *message,
            state: *state,
            at: now(),
            error: None,
            is_plain: true,
        })
        .collect();
    delivery
}

pub(crate) fn reply() -> NewOutbound {
    let id = MessageId::generate();
    NewOutbound {
        id,
        message_type: "text".to_owned(),
        payload: Arc::from("{}"),
        route: None,
        trace: trace_of(id),
    }
}

/// What the messages of these tests are traced by: some by none, some in each of the two ways.
pub(crate) fn trace_of(id: MessageId) -> Option<Trace> {
    let bytes = id.0.into_bytes();
    let trace = Trace {
        trace: TraceId::from_bytes(bytes)?,
        cause: Cause::Parent(SpanId::from_bytes(*bytes.last_chunk()?)?),
    };
    match bytes[15] % 3 {
        0 => None,
        1 => Some(trace),
        _ => {
            Some(Trace::brought_by(trace.context(id), 2)).map(|linked| Trace { trace: trace.trace, ..linked })
        }
    }
}

/// With room for the outbox lane that an answer opens.
pub(crate) fn claiming() -> Finish {
    Finish { claim_outbox: true, ..Finish::default() }
}

pub(crate) fn refusal(uncertain: bool) -> Refusal {
    Refusal {
        reason: "test",
        error: "it failed".to_owned(),
        attempt: Attempt::Counted,
        uncertain,
        doubt: None,
    }
}

fn wamid(item: &Item) -> &str {
    &item.inbound.as_ref().expect("an inbox item").wamid
}

/// Every case, one after the other, on a database that nobody else works on meanwhile. Each cleans up behind itself.
pub(crate) async fn all(store: &dyn Store) {
    messages::a_message_is_stored_once(store).await;
    messages::a_lane_is_worked_through_in_order(store).await;
    messages::what_was_typed_on_the_phone_takes_the_conversation_over(store).await;
    leases::nothing_is_claimed_over_the_limit(store).await;
    leases::a_stale_lease_changes_nothing(store).await;
    leases::a_deferred_item_keeps_its_place(store).await;
    leases::what_waits_can_be_hurried_unless_it_is_in_doubt(store).await;
    leases::a_released_lane_can_be_claimed_again(store).await;
    leases::the_items_of_a_lane_can_be_looked_at(store).await;
    leases::a_lease_that_is_not_renewed_expires(store).await;
    leases::an_expired_lease_of_the_outbox_rests_first(store).await;
    outbox::replies_open_the_outbox(store).await;
    outbox::statuses_only_move_forward_and_may_come_first(store).await;
    outbox::a_status_is_stored_once(store).await;
    outbox::several_messages_end_as_one_call(store).await;
    outbox::what_is_known_of_a_conversation_comes_with_its_items(store).await;
    identity::both_identifiers_lead_to_one_conversation(store).await;
    identity::two_conversations_that_prove_to_be_one_person_keep_their_order(store).await;
    dead_letters::the_dead_are_counted_and_the_next_goes_on(store).await;
    dead_letters::what_is_replayed_takes_its_old_place(store).await;
    dead_letters::a_replay_takes_nobody_elses_doubt(store).await;
    dead_letters::dead_letters_are_filtered_and_deleted(store).await;
    dead_letters::a_status_proves_that_the_dead_went_out(store).await;
    api::a_call_of_the_api_is_sent_once(store).await;
    api::a_send_may_need_an_open_window(store).await;
    sends::sends_that_come_together_are_answered_each_for_itself(store).await;
    api::a_conversation_is_taken_over_and_given_back(store).await;
    api::what_is_learned_of_a_channel_is_kept(store).await;
    ledger::the_account_adds_up_at_every_step(store).await;
    ledger::queues_are_counted_by_what_they_wait_for(store).await;
    views::messages_are_found_by_every_filter(store).await;
    views::pages_neither_repeat_nor_hide(store).await;
    views::conversations_show_their_newest_message(store).await;
    upkeep::what_was_not_delivered_is_found_once(store).await;
    upkeep::only_what_is_old_and_finished_is_deleted(store).await;
    depth_is(store, |depth| (depth.inbox, depth.outbox, depth.bytes) == (0, 0, 0)).await;
    let ledger = store.ledger().await.unwrap();
    assert!(ledger.iter().all(|account| (account.inbox_gap(), account.outbox_gap()) == (0, 0)), "{ledger:?}");
}

/// Waits until the depth, which may lag a little, is what it has to be.
pub(super) async fn depth_is(store: &dyn Store, right: impl Fn(&Depth) -> bool) {
    for _ in 0..500 {
        if right(&store.depth()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the depth stays {:?}", store.depth());
}

/// Ends all that is left of a lane.
async fn drain(store: &dyn Store, lease: Lease, item: Item) {
    let mut item = Some(item);
    while let Some(current) = item {
        let outcome = match lease.queue {
            Queue::Inbox => Outcome::NotAnswered { reason: "test" },
            Queue::Outbox => Outcome::Sent { wamid: None, doubt: None, watch_at: None },
        };
        item = store.finish(lease, &current, outcome, Finish::default()).await.unwrap().next;
    }
}

fn sent(wamid: &str) -> Outcome {
    Outcome::Sent { wamid: Some(wamid.to_owned()), doubt: None, watch_at: None }
}

fn not_answered() -> Outcome {
    Outcome::NotAnswered { reason: "test" }
}

/// The same delivery on another channel.
fn on_channel(channel: &str, mut delivery: Delivery) -> Delivery {
    for message in &mut delivery.messages {
        message.channel = Arc::from(channel);
    }
    delivery
}

/// Accepts a delivery of one conversation and leases its lane.
async fn accepted(store: &dyn Store, delivery: Delivery) -> Claim {
    store.accept(delivery, 8).await.unwrap().claims.pop().expect("an idle lane")
}

/// Answers the item; gives the lease on the outbox and the first of the replies.
async fn answered(store: &dyn Store, claim: &Claim, replies: &[NewOutbound]) -> OpenedOutbox {
    let outcome = Outcome::Answered(replies.to_vec());
    store.finish(claim.lease, &claim.item, outcome, claiming()).await.unwrap().opened.expect("an idle outbox")
}

/// An hour from now: everything that waits is due.
fn later() -> Option<Micros> {
    Some(now() + 3_600_000_000)
}

/// Claims all that will ever be due in a queue and ends it.
async fn drain_all(store: &dyn Store, queue: Queue) {
    for claim in store.claim_as_of(queue, 100, later()).await.unwrap().claims {
        drain(store, claim.lease, claim.item).await;
    }
}
