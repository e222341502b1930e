//! A failure that comes again with each attempt is told when it begins; the rest of it is for who looks closer.

/// Whether the attempt before failed too.
#[derive(Debug, Default)]
pub(super) struct Streak(bool);

impl Streak {
    /// True for the first failure of a row.
    pub(super) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    pub(super) fn ended(&mut self) {
        self.0 = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_a_row_begins_it() {
        let mut streak = Streak::default();
        assert_eq!([streak.begins(), streak.begins()], [true, false]);
        streak.ended();
        assert!(streak.begins());
    }
}
