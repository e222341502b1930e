//! Items of a webhook for numbers that are no channel. Their ids are kept for whoever asks with a key: a number that was
//! forgotten in the configuration can't be found by a count.

use std::collections::BTreeMap;

/// Of more numbers in one webhook only the items are counted.
const MOST_NUMBERS: usize = 20;
/// Meta's ids have 15 to 17 digits.
const LONGEST: usize = 32;

/// See the module.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ForeignItems {
    items: usize,
    by_number: BTreeMap<String, u64>,
}

impl ForeignItems {
    pub(crate) fn add(&mut self, number: &str) {
        self.items += 1;
        let is_id = (1..=LONGEST).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_id && (self.by_number.contains_key(number) || self.by_number.len() < MOST_NUMBERS) {
            *self.by_number.entry(number.to_owned()).or_default() += 1;
        }
    }

    /// Of all numbers.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Phone number ids and the items for each.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_number.iter().map(|(number, items)| (number.as_str(), *items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_are_counted_and_few_numbers_kept() {
        let mut foreign = ForeignItems::default();
        for number in 0..30 {
            foreign.add(&number.to_string());
        }
        for odd in ["0", "", "a name", &"1".repeat(33)] {
            foreign.add(odd);
        }
        assert_eq!((foreign.items(), foreign.numbers().count()), (34, 20));
        assert_eq!(foreign.numbers().find(|(number, _)| *number == "0"), Some(("0", 2)));
    }
}
