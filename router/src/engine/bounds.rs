//! How much may wait: past it webhooks are refused, which Meta repeats, instead of a disk that runs full.

use crate::store::Depth;

/// The bounds of the queues. A little more may get in, because what is on its way is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Items in each of the two queues.
    pub items: i64,
    /// Payloads in both.
    pub bytes: i64,
}

impl Bounds {
    /// No new message of a person is taken. Statuses are: they end work.
    pub(super) fn inbox_is_full(self, depth: Depth) -> bool {
        depth.inbox >= self.items || depth.bytes >= self.bytes
    }

    /// No backend is asked, because what it answers would have to wait. The bytes are not looked at so soon: asking
    /// takes an item out of the inbox, and refusing both would leave no way out; so with nothing to be sent they do
    /// not count at all.
    pub(super) fn outbox_is_full(self, depth: Depth) -> bool {
        let by_bytes = depth.outbox > 0 && depth.bytes >= self.bytes.saturating_mul(2);
        depth.outbox >= self.items || by_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_is_full_by_items_and_both_by_bytes() {
        let bounds = Bounds { items: 10, bytes: 1_000 };
        for (inbox, outbox, bytes, inbox_full, outbox_full) in [
            (0, 0, 0, false, false),
            (9, 9, 999, false, false),
            (10, 0, 0, true, false),
            (0, 10, 0, false, true),
            (0, 0, 1_000, true, false),
            (0, 1, 2_000, true, true),
            (5, 0, 9_000, true, false),
        ] {
            let depth = Depth { inbox, outbox, dead_letters: 99, bytes };
            assert_eq!(
                (bounds.inbox_is_full(depth), bounds.outbox_is_full(depth)),
                (inbox_full, outbox_full)
            );
        }
    }
}
