//! What a transaction changes, gathered by channel and written once with it.

use std::sync::Arc;

/// There are few channels, so they are looked through.
#[derive(Debug)]
pub(super) struct PerChannel<T>(Vec<(Arc<str>, T)>);

impl<T> Default for PerChannel<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default + PartialEq> PerChannel<T> {
    pub(super) fn of(&mut self, channel: &Arc<str>) -> &mut T {
        let found = self.0.iter().position(|(known, _)| known == channel);
        let index = found.unwrap_or_else(|| {
            self.0.push((channel.clone(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// In the order of the channels' names, so that two writers never wait for each other in a circle.
    pub(super) fn changed(&self) -> Vec<(&Arc<str>, &T)> {
        let nothing = T::default();
        let all = self.0.iter().map(|(channel, change)| (channel, change));
        let mut changed: Vec<_> = all.filter(|(_, change)| **change != nothing).collect();
        changed.sort_by_key(|(channel, _)| *channel);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_one_channel_come_together_and_none_is_left_out() {
        let mut changes = PerChannel::<i64>::default();
        for (channel, change) in [("b", 2), ("a", 1), ("b", 3), ("c", 0)] {
            *changes.of(&Arc::from(channel)) += change;
        }
        let changed: Vec<_> =
            changes.changed().into_iter().map(|(channel, change)| (&**channel, *change)).collect();
        assert_eq!(changed, [("a", 1), ("b", 5)]);
    }
}
