//! What the API is shown: read on connections of their own, with a bound on how many rows one page may look at.

pub(super) mod conversations;
pub(super) mod dead_letters;
mod found;
pub(super) mod ledger;
pub(super) mod messages;
mod position;

use crate::store::{Cursor, Page, PageRequest};

/// Rows that one page looks at, at most; a filter that matches rarely goes on in the next page.
const MOST_EXAMINED: usize = 20_000;

/// Fills a page from rows that come newest first.
struct PageBuilder<T> {
    items: Vec<T>,
    limit: usize,
    examined: usize,
    last: Option<Cursor>,
}

impl<T> PageBuilder<T> {
    fn new(request: PageRequest) -> Self {
        Self { items: Vec::new(), limit: request.limit, examined: 0, last: None }
    }

    /// Whether another row may be looked at.
    fn wants_more(&self) -> bool {
        self.items.len() < self.limit && self.examined < MOST_EXAMINED
    }

    /// Takes a row that was looked at; `None` when it did not match.
    fn examined(&mut self, position: i64, item: Option<T>) {
        self.examined += 1;
        self.last = Some(Cursor(position));
        self.items.extend(item);
    }

    /// `more`: there are rows that nobody has looked at.
    fn page(self, more: bool) -> Page<T> {
        Page { items: self.items, next: self.last.filter(|_| more) }
    }
}
