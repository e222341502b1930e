//! Pages of a list: how many, from where, and where the next one begins.

use service::http::Problem;

use crate::store::{Cursor, PageRequest};

pub(super) const MOST: usize = 200;
const USUAL: usize = 50;

/// Which list a cursor belongs to: one of another list would silently show the wrong page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Messages,
    Conversations,
    DeadLetters,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Messages => 'm',
            Self::Conversations => 'c',
            Self::DeadLetters => 'd',
        }
    }

    pub(super) fn request(self, limit: Option<i64>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
        let limit = match limit {
            None => USUAL,
            Some(limit) => {
                usize::try_from(limit).ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                    Problem::bad_request(format!("limit is not from 1 to {MOST}")).with_field("limit")
                })?
            }
        };
        let before = cursor.filter(|cursor| !cursor.is_empty()).map(|text| self.read(text)).transpose()?;
        Ok(PageRequest { before, limit })
    }

    pub(super) fn written(self, cursor: Cursor) -> String {
        format!("{}{:x}", self.letter(), cursor.0)
    }

    fn read(self, text: &str) -> Result<Cursor, Problem> {
        let digits = text.strip_prefix(self.letter()).filter(|digits| !digits.starts_with('+'));
        let position = digits.and_then(|digits| i64::from_str_radix(digits, 16).ok());
        position.map(Cursor).ok_or_else(|| {
            let detail = "cursor is none that this list gave; take next_cursor of the page before";
            Problem::bad_request(detail).with_field("cursor")
        })
    }
}

/// An empty parameter is one that was not given.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_in_its_own_list_only() {
        for position in [1, 4711, i64::MAX] {
            let text = List::Messages.written(Cursor(position));
            let read = List::Messages.request(None, Some(&text)).unwrap();
            assert_eq!((read.before, read.limit), (Some(Cursor(position)), USUAL));
            assert!(List::DeadLetters.request(None, Some(&text)).is_err());
        }
        for text in ["m", "m+1", "1", "mxyz", "mffffffffffffffffff"] {
            let problem = List::Messages.request(None, Some(text)).unwrap_err();
            assert_eq!(problem.field(), Some("cursor"), "{text}");
        }
        assert_eq!(List::Messages.request(Some(7), Some("")).unwrap().before, None);
    }

    #[test]
    fn a_page_has_a_bound() {
        for (limit, expected) in [(Some(1), Ok(1)), (Some(200), Ok(200)), (None, Ok(USUAL))] {
            let read = List::Messages.request(limit, None).map(|request| request.limit);
            assert_eq!(read, expected);
        }
        for limit in [0, -1, 201, i64::MAX] {
            assert_eq!(List::Messages.request(Some(limit), None).unwrap_err().field(), Some("limit"));
        }
    }
}
