//! Which channels a webhook names whose signature is not theirs. Such a body is anybody's: it is held against what is
//! configured and against nothing else.

use std::{ops::ControlFlow, sync::Arc};

use whatsapp::webhook::{Webhook, each_number};

use crate::routing::Table;

/// Of more channels nothing is told, however many somebody lists.
const MOST: usize = 8;

/// The channels that are named in a body which nobody signed, each once.
pub fn named(body: &[u8], table: &Table) -> Vec<Arc<str>> {
    let mut channels = Vec::new();
    each_number(body, |number| {
        if let Some(channel) = table.channel_of_number(number) {
            add(&mut channels, &channel.name);
        }
        if channels.len() < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    channels
}

/// The channels that are named in it and do not have the app secret that signed it, by its position in the table.
pub fn not_spoken_for(signer: usize, webhook: &Webhook<'_>, table: &Table) -> Vec<Arc<str>> {
    let mut channels = Vec::new();
    let numbers = webhook.items.iter().filter_map(|item| item.phone_number_id.as_deref());
    for channel in numbers.filter_map(|number| table.channel_of_number(number)) {
        if channels.len() < MOST && !table.may_sign(signer, &channel.name) {
            add(&mut channels, &channel.name);
        }
    }
    channels
}

fn add(channels: &mut Vec<Arc<str>>, channel: &Arc<str>) {
    if !channels.contains(channel) {
        channels.push(channel.clone());
    }
}
