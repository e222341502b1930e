//! What a status says about a message that is known already: whether it was stored before, and whether anything moves.

use super::{DeliveryState, Micros, NewStatus};

impl NewStatus {
    /// Whether the message's own times tell that this status was stored before; `None` where only its key can tell.
    /// `times`: sent, delivered, read, failed.
    pub fn is_told_by(&self, times: [Option<Micros>; 4]) -> Option<bool> {
        // The time of `sent` is that of Graph's answer, and a failure has an error to be compared too.
        let time = match self.state {
            DeliveryState::Delivered if self.is_plain => times[1],
            DeliveryState::Read if self.is_plain => times[2],
            _ => return None,
        };
        match time {
            None => Some(false),
            Some(at) if at == self.at => Some(true),
            Some(_) => None,
        }
    }

    /// Whether it changes anything of a message that Graph is known to have.
    pub fn moves(&self, state: DeliveryState, has_wamid: bool, times: [Option<Micros>; 4]) -> bool {
        let time = match self.state {
            DeliveryState::Delivered => times[1],
            DeliveryState::Read => times[2],
            DeliveryState::Failed => times[3],
            DeliveryState::Queued | DeliveryState::Dead | DeliveryState::Sent => times[0],
        };
        !state.proves_sent()
            || state.advanced_by(self.state) != state
            || !has_wamid
            || time.is_none()
            || self.error.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{DeliveryState::*, *};
    use crate::store::SeenKey;

    #[test]
    fn the_times_of_a_message_tell_of_plain_statuses_alone() {
        let status = |state, at, is_plain| NewStatus {
            seen_key: SeenKey::new(&[]),
            wamid: String::new(),
            message: None,
            state,
            at,
            error: None,
            is_plain,
        };
        let times = [Some(1), Some(2), None, Some(4)];
        for (state, at, is_plain, told) in [
            (Delivered, 2, true, Some(true)),
            (Delivered, 3, true, None),
            (Delivered, 2, false, None),
            (Read, 3, true, Some(false)),
            (Sent, 1, true, None),
            (Failed, 4, true, None),
        ] {
            assert_eq!(status(state, at, is_plain).is_told_by(times), told, "{state:?} {at}");
        }
        assert!(!status(Delivered, 9, true).moves(Read, true, times));
        assert!(status(Delivered, 9, true).moves(Read, false, times), "its wamid is news");
        assert!(status(Read, 9, true).moves(Delivered, true, times));
        assert!(status(Read, 9, true).moves(Read, true, times), "no time yet");
        assert!(
            status(Sent, 1, true).moves(Dead, true, times)
                && status(Sent, 1, true).moves(Queued, true, times)
        );
        assert!(
            NewStatus { error: Some("1".to_owned()), ..status(Failed, 4, true) }.moves(Failed, true, times)
        );
    }
}
