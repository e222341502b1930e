//! The last numbers that webhooks named and that are no channel here, for whoever asks with a key.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{intake::ForeignItems, store::Micros};

/// More than somebody forgets to configure; and whatever webhooks name, no more memory than this.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct ForeignNumbers(Mutex<HashMap<String, (u64, Micros)>>);

/// A number that is no channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignView {
    pub phone_number_id: String,
    /// Since the process began.
    pub items: u64,
    pub last_at: Micros,
}

impl ForeignNumbers {
    pub(super) fn seen(&self, items: &ForeignItems, now: Micros) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, items) in items.numbers() {
            let (count, last_at) = numbers.entry(number.to_owned()).or_default();
            *count += items;
            *last_at = now;
            if numbers.len() > MOST {
                let oldest = numbers.iter().min_by_key(|(number, (_, at))| (*at, *number));
                if let Some(oldest) = oldest.map(|(number, _)| number.clone()) {
                    numbers.remove(&oldest);
                }
            }
        }
    }

    /// Newest first.
    pub(super) fn views(&self) -> Vec<ForeignView> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(number, (items, last_at)): (&String, &(u64, Micros))| ForeignView {
            phone_number_id: number.clone(),
            items: *items,
            last_at: *last_at,
        };
        let mut views: Vec<_> = numbers.iter().map(view).collect();
        views.sort_by(|a, b| (b.last_at, &a.phone_number_id).cmp(&(a.last_at, &b.phone_number_id)));
        views
    }
}

impl super::Engine {
    /// Phone number ids that webhooks named and that are no channel here, newest first.
    pub fn foreign_numbers(&self) -> Vec<ForeignView> {
        let table = self.table.load();
        let mut views = self.foreign.views();
        // One that was configured since is foreign no more.
        views.retain(|view| table.channel_of_number(&view.phone_number_id).is_none());
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_newest_first() {
        let numbers = ForeignNumbers::default();
        for at in 0..50 {
            let mut items = ForeignItems::default();
            items.add(&format!("{}", at % 30));
            numbers.seen(&items, at);
        }
        let views = numbers.views();
        let times: Vec<_> = views.iter().map(|view| view.last_at).collect();
        assert_eq!(times, (30..50).rev().collect::<Vec<_>>());
        assert_eq!((views[0].phone_number_id.as_str(), views[0].items), ("19", 1));
        let mut again = ForeignItems::default();
        again.add("5");
        again.add("5");
        numbers.seen(&again, 60);
        let first = &numbers.views()[0];
        assert_eq!((first.phone_number_id.as_str(), first.items, first.last_at), ("5", 3, 60));
    }
}
