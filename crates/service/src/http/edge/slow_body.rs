//! Cuts off a body that comes too slowly, whatever reads it: reading fails with [`ErrorKind::TimedOut`].

use std::{
    future::poll_fn,
    io::{Error, ErrorKind},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use poem::{
    Body, Request,
    http::{
        HeaderMap, Version,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};
use tokio::time::{Instant, timeout};

use crate::http::patience::Patience;

/// Puts the watch around the body of a request that has one.
pub(super) fn watch(request: &mut Request, time: Duration) {
    if has_body(request.version(), request.headers()) {
        let body = request.take_body();
        request.set_body(Body::from_bytes_stream(watched(body.into_bytes_stream(), time)));
    }
}

fn has_body(version: Version, headers: &HeaderMap) -> bool {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length != "0",
        // HTTP/2 needs neither.
        None => headers.contains_key(TRANSFER_ENCODING) || version == Version::HTTP_2,
    }
}

fn watched<S>(pieces: S, time: Duration) -> impl Stream<Item = Result<Bytes, Error>> + Send
where
    S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
{
    let start = (Box::pin(pieces), Patience::new(time), false);
    stream::unfold(start, |(mut pieces, mut patience, over)| async move {
        if over {
            return None;
        }
        let (piece, over) = next(pieces.as_mut(), &mut patience).await?;
        Some((piece, (pieces, patience, over)))
    })
}

/// The next piece, and whether it is the last thing to be had.
async fn next<S>(mut pieces: Pin<&mut S>, patience: &mut Patience) -> Option<(Result<Bytes, Error>, bool)>
where
    S: Stream<Item = Result<Bytes, Error>>,
{
    let started = Instant::now();
    match timeout(patience.left(), poll_fn(|cx| pieces.as_mut().poll_next(cx))).await {
        Ok(piece) => {
            let piece = piece?;
            patience.moved(started.elapsed(), piece.as_ref().map_or(0, Bytes::len));
            let over = piece.is_err();
            Some((piece, over))
        }
        Err(_) => Some((Err(Error::new(ErrorKind::TimedOut, "the body came too slowly")), true)),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    /// `count` pieces of `length` bytes, one every `every`.
    fn drip(count: usize, length: usize, every: Duration) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok(Bytes::from(vec![b'x'; length]))
        })
    }

    async fn read<S>(pieces: S) -> (usize, Option<ErrorKind>)
    where
        S: Stream<Item = Result<Bytes, Error>> + Send + 'static,
    {
        let all: Vec<_> = watched(pieces, TIME).collect().await;
        let length = all.iter().flatten().map(Bytes::len).sum();
        (length, all.last().and_then(|last| last.as_ref().err().map(Error::kind)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_off_and_a_slow_line_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(read(drip(100, 64 * 1024, 10 * second)).await, (100 * 64 * 1024, None));
        let (length, error) = read(drip(100, 1, second)).await;
        assert!(length <= 30 && error == Some(ErrorKind::TimedOut), "{length} {error:?}");
        assert_eq!(read(drip(1, 1, 31 * second)).await, (0, Some(ErrorKind::TimedOut)));
        assert_eq!(read(stream::iter([])).await, (0, None));
    }

    #[tokio::test]
    async fn a_broken_body_ends_as_it_did() {
        let broken =
            stream::iter([Ok(Bytes::from_static(b"a")), Err(Error::from(ErrorKind::ConnectionReset))]);
        assert_eq!(read(broken).await, (1, Some(ErrorKind::ConnectionReset)));
    }

    #[test]
    fn only_what_may_have_a_body_is_watched() {
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        for (version, headers, expected) in [
            (Version::HTTP_11, HeaderMap::new(), false),
            (Version::HTTP_11, with("content-length", "0"), false),
            (Version::HTTP_11, with("content-length", "7"), true),
            (Version::HTTP_11, with("transfer-encoding", "chunked"), true),
            (Version::HTTP_2, HeaderMap::new(), true),
        ] {
            assert_eq!(has_body(version, &headers), expected, "{headers:?}");
        }
    }
}
