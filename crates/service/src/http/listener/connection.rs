//! An accepted connection, which gives its place back when it is dropped, and which has to bring the head of its first
//! request in time: whoever drips it a byte a second would keep the place from others.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Until the first head is complete.
    head: Option<FirstHead>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit, head_timeout: Duration) -> Self {
        let head = Some(FirstHead { deadline: Box::pin(sleep(head_timeout)), end: EndOfHead::default() });
        Self { stream, head, _place: place }
    }
}

#[derive(Debug)]
struct FirstHead {
    deadline: Pin<Box<Sleep>>,
    end: EndOfHead,
}

/// Finds the empty line that ends a head, in pieces of any size. HTTP/2's preface has one, too (RFC 9113, 3.4).
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

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(head) = &mut self.head {
            if head.end.found_in(&buffer.filled()[before..]) {
                self.head = None;
            } else if head.deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        for (text, found) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\n\n", true),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\n", false),
            ("GET / HTTP/1.1\r\nX: \r\nY: \r\n", false),
            ("", false),
        ] {
            assert_eq!(EndOfHead::default().found_in(text.as_bytes()), found, "{text:?}");
            let mut end = EndOfHead::default();
            assert_eq!(
                text.as_bytes().chunks(1).any(|piece| end.found_in(piece)),
                found,
                "{text:?} in pieces"
            );
        }
    }
}
