//! What became of a message we sent, and the rule that it only ever moves forward.
//!
//! Meta promises no order of status webhooks and may skip `delivered` (messages/status), so each one is compared
//! with what is known instead of being believed.

/// States of an outbound message, in the order in which they outrank each other.
///
/// `Failed` ranks below `Delivered`: a phone that shows the message is the stronger evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    Queued,
    Dead,
    Sent,
    Failed,
    Delivered,
    Read,
}

impl DeliveryState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Dead, Self::Sent, Self::Failed, Self::Delivered, Self::Read];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dead => "dead",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The state after news of `other`: never a step back.
    #[must_use]
    pub fn advanced_by(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether Graph must have taken the message for this state to be possible.
    pub fn proves_sent(self) -> bool {
        self >= Self::Sent
    }
}

#[cfg(test)]
mod tests {
    use super::{DeliveryState::*, *};

    #[test]
    fn a_later_state_is_never_taken_back() {
        for (known, news, then) in [
            (Queued, Sent, Sent),
            (Sent, Read, Read),
            (Read, Delivered, Read),
            (Delivered, Sent, Delivered),
            (Delivered, Failed, Delivered),
            (Sent, Failed, Failed),
            (Failed, Delivered, Delivered),
            (Dead, Sent, Sent),
        ] {
            assert_eq!(known.advanced_by(news), then, "{known:?} + {news:?}");
        }
    }

    #[test]
    fn any_order_of_the_same_news_ends_in_the_same_state() {
        for a in DeliveryState::ALL {
            for b in DeliveryState::ALL {
                for c in DeliveryState::ALL {
                    assert_eq!(a.advanced_by(b).advanced_by(c), a.advanced_by(c).advanced_by(b));
                }
            }
        }
    }

    #[test]
    fn names_read_back() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_name(state.as_str()), Some(state));
        }
        assert_eq!(DeliveryState::from_name("warning"), None);
    }
}
