//! An accepted connection, which gives its place back when it is dropped, and which is cut off when the client owes it
//! the rest of a head, or does not take what it asked for: whoever drips a byte a second would keep the place from
//! others. Bodies are the edge's, see [`crate::http::edge`].

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::{heads::Heads, places::Place};
use crate::{http::patience::Patience, metrics::ConnectionMetrics};

/// What a client is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From the first byte of a head to its last.
    pub(super) head: Duration,
    /// For an answer that the client does not take.
    pub(super) answer: Duration,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    heads: Heads,
    times: Times,
    /// Runs while a head is incomplete.
    head_deadline: Option<Pin<Box<Sleep>>>,
    patience: Patience,
    /// Runs while an answer is not taken, since when that is.
    answer_deadline: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Nothing is read or written any more.
    cut_off: bool,
    metrics: ConnectionMetrics,
    _place: Place,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: Place, times: Times, metrics: ConnectionMetrics) -> Self {
        metrics.opened();
        Self {
            stream,
            heads: Heads::new(),
            times,
            head_deadline: Some(Box::pin(sleep(times.head))),
            patience: Patience::new(times.answer),
            answer_deadline: None,
            cut_off: false,
            metrics,
            _place: place,
        }
    }

    fn cut_off<T>(&mut self) -> Poll<io::Result<T>> {
        self.cut_off = true;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// What a write came to, and the end of it when none does for too long.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        first: &[u8],
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => {
                self.heads.wrote(&first[..first.len().min(bytes)]);
                if let Some((since, _)) = self.answer_deadline.take() {
                    self.patience.moved(since.elapsed(), bytes);
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let left = self.patience.left();
                let (_, deadline) =
                    self.answer_deadline.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
                ready!(deadline.as_mut().poll(cx));
                self.metrics.cut_off_answer();
                // Else the kernel would go on offering what was written, and keep its memory.
                if let Err(error) = self.stream.set_zero_linger() {
                    tracing::debug!(%error, "what was written cannot be thrown away");
                }
                self.cut_off()
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.closed();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.cut_off {
            return this.cut_off();
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.heads.read(&buffer.filled()[before..]);
        if !this.heads.incomplete() {
            this.head_deadline = None;
            return result;
        }
        let head = this.times.head;
        let deadline = this.head_deadline.get_or_insert_with(|| Box::pin(sleep(head)));
        if deadline.as_mut().poll(cx).is_ready() {
            this.metrics.cut_off_head();
            return this.cut_off();
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.cut_off {
            return this.cut_off();
        }
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(cx, bytes, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.cut_off {
            return this.cut_off();
        }
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        let first = slices.iter().map(|slice| &**slice).find(|slice| !slice.is_empty());
        this.wrote(cx, first.unwrap_or_default(), result)
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
