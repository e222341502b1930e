//! Draws a backend by weight, the same one for a conversation every time: weighted rendezvous hashing, so that a
//! changed weight moves no more conversations than it has to.

use sha2::{Digest, Sha256};

/// The position of the backend for `conversation`; `None` when no weight is above 0. `backends` are (name, weight).
pub fn draw<'a>(conversation: &str, backends: impl IntoIterator<Item = (&'a str, u32)>) -> Option<usize> {
    backends
        .into_iter()
        .enumerate()
        .filter(|(_, (_, weight))| *weight > 0)
        .map(|(position, (name, weight))| (position, score(conversation, name, weight)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(position, _)| position)
}

/// Of all scores the highest wins, with a probability in proportion to the weight (Schindelhauer and Schomaker,
/// "Weighted distributed hash tables", the logarithmic method).
fn score(conversation: &str, backend: &str, weight: u32) -> f64 {
    let mut hash = Sha256::new();
    hash.update(conversation.as_bytes());
    hash.update([0xff]);
    hash.update(backend.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    // 53 bits fit a float exactly; half a step keeps the ends 0 and 1 out, where the logarithm has none or is 0.
    let drawn = ((u64::from_be_bytes(first) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / drawn.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_are_those_of_the_weights() {
        let mut drawn = [0; 3];
        for number in 0..20_000 {
            let conversation = format!("default/{number}");
            drawn[draw(&conversation, [("a", 3), ("b", 1), ("off", 0)]).unwrap()] += 1;
        }
        assert_eq!(drawn[2], 0);
        let part = f64::from(drawn[0]) / 20_000.0;
        assert!((0.73..0.77).contains(&part), "three of four are for a: {part}");
        assert_eq!(draw("x", [("off", 0)]), None);
        assert_eq!(draw("x", []), None);
    }

    proptest! {
        #[test]
        fn more_weight_only_draws_conversations_towards_it(
            conversation in "[0-9]{1,12}", before in 1u32..100, more in 0u32..100, other in 1u32..100,
        ) {
            let at = |weight| draw(&conversation, [("a", weight), ("b", other)]);
            if at(before) == Some(0) {
                prop_assert_eq!(at(before + more), Some(0));
            }
            prop_assert_eq!(at(before), at(before), "and it never changes by itself");
        }
    }
}
