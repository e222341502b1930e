//! Decides for every item of a webhook what it is to us: a message, a status, an event to keep, or none of ours.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use whatsapp::{
    message::InboundMessage,
    status::{Status, StatusKind},
    webhook::{Echo, Item, ItemKind, Webhook},
};

use super::ForeignItems;
use crate::{
    clock::micros,
    routing::{Channel, Table},
    store::{
        Contact, Delivery, DeliveryState, MessageId, Micros, NewEcho, NewEvent, NewInbound, NewStatus,
        SeenKey,
    },
};

/// What a webhook comes to.
#[derive(Debug)]
pub struct Plan {
    pub delivery: Delivery,
    /// Items of phone numbers that are no channel of ours.
    pub foreign: ForeignItems,
    /// Items of channels that are configured and can't be used yet: Meta has to send them again.
    pub awaited: usize,
    /// Messages that name no sender, or that can't be read: kept as events, never answered.
    pub unanswerable: usize,
}

/// `body` are the bytes that were signed; `webhook` is what was read from them.
pub fn plan(webhook: Webhook<'_>, body: Bytes, table: &Table, received_at: Micros) -> Plan {
    let delivery = Delivery {
        received_at,
        body,
        messages: Vec::with_capacity(webhook.items.len()),
        statuses: Vec::new(),
        echoes: Vec::new(),
        events: Vec::new(),
        channels: Vec::new(),
        trace: None,
    };
    let mut plan = Plan { delivery, foreign: ForeignItems::default(), awaited: 0, unanswerable: 0 };
    for item in webhook.items {
        plan.add(&item, table, received_at);
    }
    plan
}

impl Plan {
    fn add(&mut self, item: &Item<'_>, table: &Table, now: Micros) {
        let channel = match item.phone_number_id.as_deref() {
            None => None,
            Some(number) => match table.channel_of_number(number) {
                Some(channel) => Some(channel),
                None if table.is_awaited(number) => {
                    self.awaited += 1;
                    return;
                }
                None => {
                    self.foreign.add(number);
                    return;
                }
            },
        };
        if let Some(channel) = channel
            && !self.delivery.channels.contains(&channel.name)
        {
            self.delivery.channels.push(channel.name.clone());
        }
        match (&item.kind, channel) {
            (ItemKind::Message(message), Some(channel)) => match contact(message) {
                Some(contact) => {
                    let message = inbound(message, contact, channel, item.raw);
                    self.delivery.messages.push(message);
                }
                None => {
                    self.unanswerable += 1;
                    self.keep(item, Some(channel));
                }
            },
            (ItemKind::Status(status), Some(channel)) => match delivery_state(&status.status) {
                Some(state) => self.delivery.statuses.push(new_status(status, state, channel, now)),
                None => self.keep(item, Some(channel)),
            },
            (ItemKind::Echo(echo), Some(channel)) => {
                let idle = table.takeover_idle(&channel.name);
                self.delivery.echoes.push(new_echo(echo, channel, item.raw, idle, now));
            }
            (ItemKind::Message(_) | ItemKind::Echo(_) | ItemKind::Unreadable(_), _) => {
                self.unanswerable += 1;
                self.keep(item, channel);
            }
            (ItemKind::Status(_) | ItemKind::Error(_) | ItemKind::Change, _) => self.keep(item, channel),
        }
    }

    fn keep(&mut self, item: &Item<'_>, channel: Option<&Arc<Channel>>) {
        let account = item.waba_id.as_deref().unwrap_or_default();
        self.delivery.events.push(NewEvent {
            seen_key: SeenKey::new(&["event", account, &item.field, item.raw]),
            channel: channel.map(|channel| channel.name.clone()),
            field: item.field.clone().into_owned(),
            raw: item.raw.to_owned(),
        });
    }
}

fn inbound(message: &InboundMessage, contact: Contact, channel: &Channel, raw: &str) -> NewInbound {
    NewInbound {
        id: MessageId::generate(),
        seen_key: SeenKey::new(&["message", channel.number.phone_number_id(), &message.id]),
        channel: channel.name.clone(),
        contact: Arc::new(contact),
        wamid: Arc::from(message.id.as_str()),
        message_type: message.type_label(),
        raw: Arc::from(raw),
        sent_at: message.timestamp.and_then(|seconds| seconds.checked_mul(1_000_000)),
        trace: None,
    }
}

fn new_echo(echo: &Echo, channel: &Channel, raw: &str, takeover_idle: Duration, now: Micros) -> NewEcho {
    let to = echo.to.trim_start_matches('+');
    NewEcho {
        id: MessageId::generate(),
        seen_key: SeenKey::new(&["echo", channel.number.phone_number_id(), &echo.message.id]),
        channel: channel.name.clone(),
        contact: Arc::new(Contact {
            key: to.to_owned(),
            wa_id: Some(to.to_owned()),
            user_id: None,
            username: None,
            name: None,
        }),
        wamid: Arc::from(echo.message.id.as_str()),
        message_type: echo.message.type_label(),
        raw: Arc::from(raw),
        sent_at: echo.message.timestamp.and_then(|seconds| seconds.checked_mul(1_000_000)),
        taken_over_until: (!takeover_idle.is_zero()).then(|| now.saturating_add(micros(takeover_idle))),
    }
}

/// Whom the message belongs to; `None` when it names nobody. A group is a conversation of its own.
fn contact(message: &InboundMessage) -> Option<Contact> {
    if let Some(group) = &message.group_id {
        let key = format!("group:{group}");
        return Some(Contact { key, wa_id: None, user_id: None, username: None, name: None });
    }
    let contact = &message.contact;
    Some(Contact {
        key: contact.key()?.to_owned(),
        wa_id: contact.wa_id.clone(),
        user_id: contact.user_id.clone(),
        username: contact.username.clone(),
        name: contact.name.clone(),
    })
}

fn new_status(status: &Status, state: DeliveryState, channel: &Channel, now: Micros) -> NewStatus {
    let timestamp = status.timestamp.map(|seconds| seconds.to_string()).unwrap_or_default();
    let recipient = [&status.recipient_participant_id, &status.recipient_id, &status.recipient_user_id]
        .into_iter()
        .flatten()
        .next()
        .map_or("", String::as_str);
    NewStatus {
        seen_key: SeenKey::in_time(
            status.timestamp.unwrap_or_default(),
            &[
                "status",
                channel.number.phone_number_id(),
                &status.id,
                status.status.as_str(),
                recipient,
                &timestamp,
            ],
        ),
        is_plain: status.timestamp.is_some()
            && status.recipient_participant_id.is_none()
            && status.status != StatusKind::Played,
        wamid: status.id.clone(),
        message: status.callback_data.as_deref().and_then(MessageId::from_callback_data),
        state,
        at: status.timestamp.and_then(|seconds| seconds.checked_mul(1_000_000)).unwrap_or(now),
        error: status.errors.first().map(|error| format!("{} {}", error.code, error.reason())),
    }
}

/// `None`: a kind that says nothing about delivery.
fn delivery_state(kind: &StatusKind) -> Option<DeliveryState> {
    match kind {
        StatusKind::Sent => Some(DeliveryState::Sent),
        StatusKind::Delivered => Some(DeliveryState::Delivered),
        StatusKind::Read | StatusKind::Played => Some(DeliveryState::Read),
        StatusKind::Failed => Some(DeliveryState::Failed),
        StatusKind::Other(_) => None,
    }
}
