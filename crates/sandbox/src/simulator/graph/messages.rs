//! `POST /{phone_number_id}/messages`: takes a message, or marks one as read.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Outcome,
    error::{self, GraphError},
    light,
    validate::{Command, Outgoing, Recipient, validate},
};
use crate::simulator::{
    clock,
    faults::GraphFate,
    http::Broken,
    phone::{ChatMessage, DeliveryStatus, Direction},
    records::{Answer, GraphMessage},
    shared::Shared,
    statuses::{self, SentMessage},
    wamid::{self, Author},
    webhooks,
};

/// How long an answer waits for its status to overtake it, when that is asked for.
const OVERTAKING: Duration = Duration::from_secs(2);

pub(super) async fn post(shared: &Arc<Shared>, number: usize, body: &Bytes) -> Outcome {
    if !shared.records_everything()
        && shared.faults.is_quiet()
        && let Some(answer) = light::take(shared, number, body)
    {
        return Outcome::Answer(answer);
    }
    match validate(body) {
        Err(error) => Outcome::Error(error),
        Ok((Command::MarkRead { message_id, typing }, _)) => {
            // An unknown id is no error: tests send webhooks of their own making.
            if let Some(wa_id) = shared.phone.business_read(&message_id)
                && typing
            {
                webhooks::show_typing(shared, &wa_id);
            }
            Outcome::json(&json!({"success": true}))
        }
        Ok((Command::Send(outgoing), raw)) => send(shared, number, outgoing, raw).await,
    }
}

async fn send(shared: &Arc<Shared>, number: usize, outgoing: Outgoing, raw: Value) -> Outcome {
    let to = outgoing.recipient.as_str();
    let doom = match shared.faults.graph_fate(to) {
        GraphFate::Fine => None,
        GraphFate::Doomed(fault) => Some(fault.code),
        GraphFate::Refused(fault) => {
            let error = GraphError::by_code(fault.code, fault.http_status);
            return Outcome::Error(error.transient(fault.is_transient).retry_after(fault.retry_after));
        }
    };
    let answer = if shared.faults.answer_is_lost() { Answer::Lost } else { Answer::Sent };
    let sent = take(shared, number, &outgoing, raw, answer);
    if let Some(code) = doom {
        statuses::plan_failure(shared, &sent, code, error::title(code));
    } else if shared.faults.statuses_before_messages() {
        let accepted = statuses::send_first_now(shared, &sent);
        // A router that answers the status only after it knows the id must not wait for ever.
        let _ = tokio::time::timeout(OVERTAKING, accepted).await;
        statuses::plan_rest(shared, &sent);
    } else {
        statuses::plan(shared, &sent);
    }
    if answer == Answer::Lost {
        return Outcome::Broken(Broken::Closed);
    }
    let contact = match &outgoing.recipient {
        Recipient::Phone(wa_id) => json!({"input": outgoing.input, "wa_id": wa_id}),
        Recipient::UserId(user_id) => json!({"input": outgoing.input, "user_id": user_id}),
    };
    Outcome::json(&json!({
        "messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": sent.id}],
    }))
}

/// From here on the message is on its way to the person.
fn take(shared: &Shared, number: usize, outgoing: &Outgoing, raw: Value, answer: Answer) -> SentMessage {
    let to = outgoing.recipient.as_str();
    let at = clock::unix_millis();
    if let Some(observer) = shared.observer.get() {
        observer.taken(to, &outgoing.text);
    }
    let (recipient_id, recipient_user_id) = if shared.records_everything() {
        let contact = shared.phone.find_or_add(to);
        (contact.wa_id, Some(contact.user_id))
    } else {
        (to.to_owned(), None)
    };
    let id = wamid::fresh(&recipient_id, Author::Business);
    if shared.records_everything() {
        let content = (outgoing.kind != "text").then(|| raw[outgoing.kind.as_str()].clone());
        shared.phone.put(
            &recipient_id,
            ChatMessage {
                id: id.clone(),
                direction: Direction::In,
                kind: outgoing.kind.clone(),
                text: outgoing.text.clone(),
                at,
                status: DeliveryStatus::Sent,
                error: None,
                content,
            },
        );
        shared.records.take(GraphMessage {
            seq: 0,
            at,
            wamid: id.clone(),
            to: to.to_owned(),
            kind: outgoing.kind.clone(),
            text: outgoing.text.clone(),
            callback_data: outgoing.callback_data.clone(),
            phone_number_id: shared.options.numbers[number].phone_number_id.clone(),
            answer,
            raw,
        });
    }
    let callback_data = outgoing.callback_data.clone();
    SentMessage { number, id, recipient_id, recipient_user_id, callback_data }
}
