//! What a span is called and how that travels: W3C Trace Context, `traceparent`.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Names a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new one, at random.
    pub fn random() -> Self {
        Self(rand::random::<u128>().max(1).to_be_bytes())
    }

    /// None when all bytes are zero.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// As it is stored and sent.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Names a span within its trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// A new one, at random.
    pub fn random() -> Self {
        Self(rand::random::<u64>().max(1).to_be_bytes())
    }

    /// None when all bytes are zero.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// As it is stored and sent.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

macro_rules! hexadecimal {
    ($kind:ty) => {
        impl $kind {
            fn hexadecimal<'a>(&self, room: &'a mut [u8; 32]) -> &'a str {
                for (pair, byte) in room.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = DIGITS[usize::from(byte >> 4)];
                    pair[1] = DIGITS[usize::from(byte & 15)];
                }
                std::str::from_utf8(&room[..2 * self.0.len()]).unwrap_or_default()
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.hexadecimal(&mut [0; 32]))
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

hexadecimal!(TraceId);
hexadecimal!(SpanId);

/// A span as others refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// The span itself.
    pub span: SpanId,
    /// Whether it is written down.
    pub sampled: bool,
}

impl SpanContext {
    /// The value of a `traceparent` header (W3C Trace Context, version 00).
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        text.push_str(self.trace.hexadecimal(&mut [0; 32]));
        text.push('-');
        text.push_str(self.span.hexadecimal(&mut [0; 32]));
        text.push_str(if self.sampled { "-01" } else { "-00" });
        text
    }

    /// Reads a `traceparent` header; None when it is malformed, which means to start anew. Of a later version only
    /// what version 00 knows is read.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let [version, trace, span, flags] = [0..2, 3..35, 36..52, 53..55].map(|place| header.get(place));
        let [version] = bytes::<1>(version?)?;
        let [flags] = bytes::<1>(flags?)?;
        let dashes = [2, 35, 52].iter().all(|at| header.as_bytes()[*at] == b'-');
        let ends_well = match version {
            0xff => false,
            0 => header.len() == 55,
            _ => matches!(header.as_bytes().get(55), None | Some(b'-')),
        };
        if !dashes || !ends_well {
            return None;
        }
        Some(Self {
            trace: TraceId::from_bytes(bytes(trace?)?)?,
            span: SpanId::from_bytes(bytes(span?)?)?,
            sampled: flags & 1 == 1,
        })
    }
}

/// Lower-case hexadecimal digits only, as the standard has it.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    const NONE: u8 = 0xff;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[DIGITS[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (text.len() == 2 * N && seen != NONE).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let context = SpanContext::from_traceparent(EXAMPLE).unwrap();
        assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span.to_string(), "00f067aa0ba902b7");
        assert!(context.sampled);
        assert_eq!(context.traceparent(), EXAMPLE);
    }

    #[test]
    fn what_is_malformed_counts_as_none() {
        for header in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e47361-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-äbf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(SpanContext::from_traceparent(header), None, "{header}");
        }
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more";
        assert!(SpanContext::from_traceparent(later).is_some_and(|context| context.sampled));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled in any::<bool>()) {
            if let (Some(trace), Some(span)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) {
                let context = SpanContext { trace, span, sampled };
                prop_assert_eq!(SpanContext::from_traceparent(&context.traceparent()), Some(context));
            }
        }

        #[test]
        fn nothing_makes_it_panic(header in "\\PC*") {
            let _ = SpanContext::from_traceparent(&header);
        }
    }
}
