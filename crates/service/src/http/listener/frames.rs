//! Whether a frame or a block of headers of HTTP/2 has begun and is not complete (RFC 9113, 4.1 and 6.10).

const HEADER: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

/// Follows what a client sends, after the preface.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// How much of `header` is there.
    filled: usize,
    /// Bytes of the frame's payload that are still to come.
    rest: usize,
    /// A block of headers is open until a frame says that it ends.
    block_open: bool,
}

impl Frames {
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(bytes.len());
                self.rest -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                self.filled = 0;
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.rest = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.block_open = flags & END_HEADERS == 0;
        }
    }

    pub(super) fn incomplete(&self) -> bool {
        self.filled > 0 || self.rest > 0 || self.block_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).unwrap(), kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + payload, b'x');
        frame
    }

    #[test]
    fn frames_and_blocks_of_headers_are_complete_or_not() {
        let (data, open, closed) = (frame(0, 0, 20), frame(HEADERS, 0, 5), frame(HEADERS, END_HEADERS, 5));
        let (more, last) = (frame(CONTINUATION, 0, 3), frame(CONTINUATION, END_HEADERS, 3));
        for (name, bytes, incomplete) in [
            ("nothing", vec![], false),
            ("an empty frame", frame(4, 0, 0), false),
            ("two frames", [data.clone(), closed.clone()].concat(), false),
            ("half a frame's header", data[..5].to_vec(), true),
            ("half a payload", data[..20].to_vec(), true),
            ("an open block", open.clone(), true),
            ("a block that goes on", [open.clone(), more.clone()].concat(), true),
            ("a block that ended", [open, more, last].concat(), false),
            ("and another began", [closed, data[..1].to_vec()].concat(), true),
        ] {
            let (mut whole, mut pieces) = (Frames::default(), Frames::default());
            whole.read(&bytes);
            bytes.chunks(1).for_each(|piece| pieces.read(piece));
            assert_eq!(whole.incomplete(), incomplete, "{name}");
            assert_eq!(pieces.incomplete(), incomplete, "{name}, in pieces");
        }
    }
}
