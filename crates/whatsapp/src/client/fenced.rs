//! A request's body that is only given out until a moment: whoever may send no longer must not, however long the
//! process slept between its last look and the write to the socket.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The moment has passed, so the body was kept back.
#[derive(Debug, thiserror::Error)]
#[error("it was too late to send")]
pub(super) struct TooLate;

pub(super) struct Fenced {
    body: Option<Bytes>,
    until: Instant,
    kept_back: Arc<AtomicBool>,
}

impl Fenced {
    /// The body, and whether it was kept back: then nothing that could be taken for a request has left.
    pub(super) fn new(body: Bytes, until: Instant) -> (Self, Arc<AtomicBool>) {
        let kept_back = Arc::new(AtomicBool::new(false));
        (Self { body: Some(body), until, kept_back: kept_back.clone() }, kept_back)
    }
}

impl Body for Fenced {
    type Data = Bytes;
    type Error = TooLate;

    /// Called when the connection is about to write, after its place in the pool was found.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let Some(body) = self.body.take() else { return Poll::Ready(None) };
        if Instant::now() >= self.until {
            self.kept_back.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(TooLate)));
        }
        Poll::Ready(Some(Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}
