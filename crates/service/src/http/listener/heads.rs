//! Whether a head has begun and is not complete, told from the bytes of a connection alone. Poem gives hyper no clock, so
//! hyper waits for the rest of a head for ever.

use super::frames::Frames;

/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An answer that is not the answer yet: what the client sends next is the body.
const INTERIM: &[u8] = b"HTTP/1.1 100 ";

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Heads {
    at: At,
    /// How much of HTTP/2's preface was seen; `None` when this is HTTP/1.
    preface: Option<usize>,
}

#[derive(Debug)]
enum At {
    /// In a head of HTTP/1.
    Head(EndOfHead),
    /// The head is complete: the body is coming, or the answer is being made.
    Request,
    /// The answer has begun: what comes next is another head.
    Answer,
    Http2(Frames),
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { at: At::Head(EndOfHead::default()), preface: Some(0) }
    }

    /// These bytes came.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(seen) = self.preface {
            let expected = &PREFACE[seen..];
            let common = expected.len().min(bytes.len());
            if bytes[..common] != expected[..common] {
                self.preface = None;
            } else if common == expected.len() {
                self.preface = None;
                self.at = At::Http2(Frames::default());
                bytes = &bytes[common..];
            } else {
                self.preface = Some(seen + common);
            }
        }
        match &mut self.at {
            At::Head(end) => {
                // A preface on its way has an empty line in its middle.
                if end.found_in(bytes) && self.preface.is_none() {
                    self.at = At::Request;
                }
            }
            At::Request => {}
            At::Answer => {
                let mut end = EndOfHead::default();
                self.at = if end.found_in(bytes) { At::Request } else { At::Head(end) };
            }
            At::Http2(frames) => frames.read(bytes),
        }
    }

    /// These bytes were sent.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        if matches!(self.at, At::Request) && !bytes.is_empty() && !bytes.starts_with(INTERIM) {
            self.at = At::Answer;
        }
    }

    /// Whether the client owes us the rest of what it has begun. A connection on which nothing came yet has begun.
    pub(super) fn incomplete(&self) -> bool {
        match &self.at {
            At::Head(_) => true,
            At::Request | At::Answer => false,
            At::Http2(frames) => frames.incomplete(),
        }
    }
}

/// Finds the empty line that ends a head, in pieces of any size.
#[derive(Debug, Default)]
struct EndOfHead {
    line_is_empty: bool,
}

impl EndOfHead {
    /// Whether it is in `piece` or was completed by it.
    fn found_in(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            match byte {
                b'\n' if self.line_is_empty => return true,
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Seen<'a> {
        In(&'a [u8]),
        Out(&'a [u8]),
    }
    use Seen::{In, Out};

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0";

    #[test]
    fn what_the_client_owes_is_known_however_the_bytes_are_cut() {
        for (name, seen, incomplete) in [
            ("nothing came", &[][..], true),
            ("a whole head", &[In(GET)], false),
            ("lines without carriage return", &[In(b"GET / HTTP/1.1\nHost: a\n\n")], false),
            ("half a head", &[In(b"GET / HTTP/1.1\r\nHost: a\r\n")], true),
            ("an empty header is no empty line", &[In(b"GET / HTTP/1.1\r\nX: \r\nY: \r\n")], true),
            ("like the preface, but not it", &[In(b"PRI * HTTP/1.1\r\n\r\n")], false),
            ("a body may wait", &[In(POST), In(b"a")], false),
            ("answered", &[In(GET), Out(OK)], false),
            ("a second head began", &[In(GET), Out(OK), In(b"G")], true),
            ("a second head is there", &[In(GET), Out(OK), In(GET)], false),
            ("a second head in two", &[In(GET), Out(OK), In(&GET[..9]), In(&GET[9..])], false),
            ("a third head began", &[In(GET), Out(OK), In(GET), Out(OK), In(b"GET")], true),
            ("a long answer", &[In(GET), Out(OK), Out(b"part"), Out(b"part")], false),
            ("an answer that is not the answer", &[In(POST), Out(CONTINUE), In(b"a")], false),
            ("half a preface", &[In(&PREFACE[..20])], true),
            ("HTTP/2 at rest", &[In(PREFACE)], false),
            ("HTTP/2 with half a frame", &[In(PREFACE), In(PING)], true),
            ("HTTP/2 with a frame", &[In(PREFACE), In(PING), In(b"12345678")], false),
        ] {
            let (mut whole, mut pieces) = (Heads::new(), Heads::new());
            for event in seen {
                match event {
                    In(bytes) => {
                        whole.read(bytes);
                        bytes.chunks(1).for_each(|piece| pieces.read(piece));
                    }
                    Out(bytes) => {
                        whole.wrote(bytes);
                        pieces.wrote(bytes);
                    }
                }
            }
            assert_eq!(whole.incomplete(), incomplete, "{name}");
            assert_eq!(pieces.incomplete(), incomplete, "{name}, in pieces");
        }
    }
}
