//! A checksum over rows in any order, made of the values and not of how a database writes them.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::value::Value;

/// The number of rows and the sum of their SHA-256. Two databases sort text differently, so the order must not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    sum: [u64; 4],
}

impl Digest {
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            match value {
                Value::Null => hash.update([0]),
                Value::Integer(number) => {
                    hash.update([1]);
                    hash.update(number.to_be_bytes());
                }
                Value::Text(text) => framed(&mut hash, 2, text.as_bytes()),
                Value::Bytes(bytes) => framed(&mut hash, 3, bytes),
            }
        }
        let hash = hash.finalize();
        for (sum, part) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            *sum = sum.wrapping_add(part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        self.rows += 1;
    }
}

fn framed(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.sum[0], self.sum[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let text = |text: &str| Value::Text(text.to_owned());
        let (one, two) = ([text("a"), Value::Integer(1)], [text("b"), Value::Null]);
        assert_eq!(digest(&[&one, &two]), digest(&[&two, &one]));
        for other in [
            digest(&[&one]),
            digest(&[&one, &one]),
            digest(&[&one, &two, &two]),
            digest(&[&[text("a"), Value::Integer(2)], &two]),
            digest(&[&[text("a1"), Value::Null], &two]),
            digest(&[&[text("a"), text("1")], &two]),
            digest(&[&[Value::Bytes(b"a".to_vec()), Value::Integer(1)], &two]),
        ] {
            assert_ne!(other, digest(&[&one, &two]));
        }
    }
}
