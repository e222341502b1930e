//! Message ids that look like WhatsApp's: base64 of a small structure that holds the person's number and a random id.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Which side wrote the message; real ids differ in one field and in the length of the random part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    Person,
    Business,
}

/// A fresh id such as `wamid.HBgLMTIwMjU1NTAxNDMVAgARGBI5…`. `number` is the person's.
pub(crate) fn fresh(number: &str, author: Author) -> String {
    encode(number, author, rand::random())
}

fn encode(number: &str, author: Author, random: [u8; 10]) -> String {
    // 10 random bytes make the 20 hex digits of a person's message; a business's has 18.
    let (field, random) = match author {
        Author::Person => (0x12, &random[..]),
        Author::Business => (0x11, &random[..9]),
    };
    let number = &number.as_bytes()[..number.len().min(u8::MAX as usize)];
    let mut bytes = Vec::with_capacity(number.len() + 32);
    bytes.extend_from_slice(&[0x1c, 0x18, number.len() as u8]);
    bytes.extend_from_slice(number);
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, field, 0x18, random.len() as u8 * 2]);
    for byte in random {
        bytes.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    bytes.push(0);
    let mut id = String::with_capacity(6 + bytes.len().div_ceil(3) * 4);
    id.push_str("wamid.");
    STANDARD.encode_string(bytes, &mut id);
    id
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_real_ones_and_hold_the_number() {
        let id = encode("12025550143", Author::Business, [0xAB; 10]);
        assert!(id.starts_with("wamid.HBgLMTIwMjU1NTAxNDMVAgARGBJBQkFC"), "{id}");
        let inbound = encode("447700900461", Author::Person, [1; 10]);
        assert!(inbound.starts_with("wamid.HBgM"), "{inbound}");
        let bytes = STANDARD.decode(&inbound["wamid.".len()..]).unwrap();
        assert_eq!(&bytes[3..15], b"447700900461");
    }

    #[test]
    fn ids_are_not_repeated() {
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|_| fresh("12025550143", Author::Business)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
