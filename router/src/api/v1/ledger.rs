//! `GET /api/v1/ledger`: the proof that nothing is lost.

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json, types::Example};

use crate::{
    api::{
        RouterTag,
        access::Reader,
        desk::Desk,
        refused::{Looking, Refused},
        times::written,
    },
    store::{ChannelLedger, Micros, now},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct LedgerApi {
    pub desk: Desk,
}

/// `accepted = answered + not_to_be_answered + in_flight + dead + gap`. What was accepted and how it ended is counted
/// when it happens; what is in flight and dead is counted in the queues themselves.
#[derive(Debug, Default, PartialEq, Eq, Object)]
struct InboxAccount {
    /// Messages of people, each once.
    accepted: i64,
    answered: i64,
    /// By rule, or because its dead letter was deleted.
    not_to_be_answered: i64,
    in_flight: i64,
    dead: i64,
    /// What is missing; always 0.
    gap: i64,
}

/// `queued = sent + in_flight + dead + discarded + gap`.
#[derive(Debug, Default, PartialEq, Eq, Object)]
struct OutboxAccount {
    /// Messages to people: replies, and what came through the API.
    queued: i64,
    sent: i64,
    in_flight: i64,
    dead: i64,
    /// Dead letters that were deleted.
    discarded: i64,
    /// What is missing; always 0.
    gap: i64,
}

#[derive(Debug, Object)]
struct ChannelAccount {
    channel: String,
    balanced: bool,
    inbox: InboxAccount,
    outbox: OutboxAccount,
}

/// What became of every message, in all and by channel.
#[derive(Debug, Object)]
#[oai(example)]
struct Ledger {
    /// No gap anywhere: nothing is lost.
    balanced: bool,
    /// RFC 3339.
    at: String,
    inbox: InboxAccount,
    outbox: OutboxAccount,
    channels: Vec<ChannelAccount>,
}

impl InboxAccount {
    fn add(&mut self, channel: &ChannelLedger) {
        self.accepted += channel.accepted;
        self.answered += channel.answered;
        self.not_to_be_answered += channel.not_to_be_answered;
        self.in_flight += channel.inbox_in_flight;
        self.dead += channel.inbox_dead;
        self.gap += channel.inbox_gap();
    }
}

impl OutboxAccount {
    fn add(&mut self, channel: &ChannelLedger) {
        self.queued += channel.queued;
        self.sent += channel.sent;
        self.in_flight += channel.outbox_in_flight;
        self.dead += channel.outbox_dead;
        self.discarded += channel.discarded;
        self.gap += channel.outbox_gap();
    }
}

impl Ledger {
    fn of(channels: &[ChannelLedger], at: Micros) -> Self {
        let (mut inbox, mut outbox) = (InboxAccount::default(), OutboxAccount::default());
        let account = |channel: &ChannelLedger| {
            inbox.add(channel);
            outbox.add(channel);
            let (mut own_inbox, mut own_outbox) = (InboxAccount::default(), OutboxAccount::default());
            own_inbox.add(channel);
            own_outbox.add(channel);
            ChannelAccount {
                channel: channel.channel.to_string(),
                balanced: own_inbox.gap == 0 && own_outbox.gap == 0,
                inbox: own_inbox,
                outbox: own_outbox,
            }
        };
        let channels: Vec<_> = channels.iter().map(account).collect();
        // Gaps of two channels that make up for each other are still two gaps.
        let balanced = channels.iter().all(|channel| channel.balanced);
        Self { balanced, at: written(at), inbox, outbox, channels }
    }
}

impl Example for Ledger {
    fn example() -> Self {
        let channel = ChannelLedger {
            channel: "default".into(),
            accepted: 120,
            answered: 112,
            not_to_be_answered: 5,
            inbox_in_flight: 2,
            inbox_dead: 1,
            queued: 130,
            sent: 129,
            outbox_in_flight: 1,
            outbox_dead: 0,
            discarded: 0,
        };
        Self::of(&[channel], 1_769_851_800_000_000)
    }
}

#[derive(ApiResponse)]
enum LedgerAnswer {
    /// The account at this moment.
    #[oai(status = 200)]
    Account(Json<Ledger>),
}

#[OpenApi(prefix_path = "/api/v1", tag = "RouterTag::Ledger")]
impl LedgerApi {
    /// Account for every message
    ///
    /// Every message that was accepted is answered, not to be answered, in flight or dead; every message that was queued
    /// is sent, in flight, dead or discarded. `balanced` says that this adds up on every channel.
    #[oai(path = "/ledger", method = "get", operation_id = "getLedger")]
    async fn ledger(&self, _reader: Reader) -> Result<LedgerAnswer, Refused<Looking>> {
        let channels = self.desk.engine()?.store().ledger().await?;
        Ok(LedgerAnswer::Account(Json(Ledger::of(&channels, now()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str, accepted: i64, answered: i64, dead: i64) -> ChannelLedger {
        ChannelLedger {
            channel: name.into(),
            accepted,
            answered,
            not_to_be_answered: 0,
            inbox_in_flight: 0,
            inbox_dead: dead,
            queued: answered,
            sent: answered,
            outbox_in_flight: 0,
            outbox_dead: 0,
            discarded: 0,
        }
    }

    #[test]
    fn gaps_do_not_make_up_for_each_other() {
        let even = Ledger::of(&[channel("a", 3, 2, 1), channel("b", 1, 1, 0)], 0);
        assert!(even.balanced);
        assert_eq!((even.inbox.accepted, even.inbox.answered, even.inbox.dead, even.inbox.gap), (4, 3, 1, 0));
        let odd = Ledger::of(&[channel("a", 3, 2, 0), channel("b", 1, 2, 0)], 0);
        assert_eq!((odd.balanced, odd.inbox.gap), (false, 0));
        assert_eq!(odd.channels.iter().map(|channel| channel.inbox.gap).collect::<Vec<_>>(), [1, -1]);
        assert!(Ledger::of(&[], 0).balanced, "nothing is lost of nothing");
    }
}
