//! Reads a request's body up to a limit, without copying it when it came in one piece.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use poem::{
    Body,
    http::{HeaderMap, StatusCode, header::CONTENT_LENGTH},
};

use super::Problem;

/// A chunked body has no announced length; this much is reserved before it proves to be long.
const FIRST_RESERVE: usize = 16 * 1024;

/// What is read and thrown away of a body that is too long, so that the client gets to read the answer: closing a
/// connection with unread bytes resets it, and most clients then report a broken pipe instead of the 413.
const DISCARDED: usize = 32 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// The whole body. The error is a 413 problem as soon as the announced or the received length is over `limit`,
/// or a 400 one when the connection broke off.
pub async fn read_limited(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut pieces = pin!(body.into_bytes_stream());
    let result = match announced {
        Some(length) if length > limit => Err(too_large(limit)),
        _ => collect(pieces.as_mut(), announced, limit).await,
    };
    if result.as_ref().is_err_and(|problem| problem.status() == StatusCode::PAYLOAD_TOO_LARGE) {
        // Whoever is still not done then sends more than anybody would by mistake.
        let _ = tokio::time::timeout(DISCARD_TIME, discard(pieces)).await;
    }
    result
}

async fn collect<S>(mut pieces: Pin<&mut S>, announced: Option<usize>, limit: usize) -> Result<Bytes, Problem>
where
    S: Stream<Item = std::io::Result<Bytes>>,
{
    let Some(first) = pieces.next().await else {
        return Ok(Bytes::new());
    };
    let first = checked(first, 0, limit)?;
    let Some(second) = pieces.next().await else {
        return Ok(first);
    };
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(FIRST_RESERVE).max(first.len()));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(piece) = next {
        let piece = checked(piece, whole.len(), limit)?;
        whole.extend_from_slice(&piece);
        next = pieces.next().await;
    }
    Ok(whole.freeze())
}

async fn discard<S: Stream<Item = std::io::Result<Bytes>>>(mut pieces: Pin<&mut S>) {
    let mut left = DISCARDED;
    while let Some(Ok(piece)) = pieces.next().await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn checked(piece: std::io::Result<Bytes>, before: usize, limit: usize) -> Result<Bytes, Problem> {
    let piece = piece.map_err(|_| Problem::bad_request("the body broke off; send it again"))?;
    if piece.len() > limit - before { Err(too_large(limit)) } else { Ok(piece) }
}

fn too_large(limit: usize) -> Problem {
    Problem::payload_too_large(format!("the body is longer than {limit} bytes; send less"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<std::io::Result<Bytes>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        Body::from_bytes_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn any_number_of_pieces_makes_the_whole() {
        for (parts, whole) in [(&[][..], ""), (&["abc"][..], "abc"), (&["a", "b", "c"][..], "abc")] {
            let read = read_limited(&HeaderMap::new(), pieces(parts), 3).await.unwrap();
            assert_eq!(read, whole);
        }
    }

    #[tokio::test]
    async fn the_limit_holds_for_one_piece_for_many_and_for_what_is_announced() {
        for parts in [&["abcd"][..], &["ab", "cd"][..], &["a", "b", "c", "d"][..]] {
            let problem = read_limited(&HeaderMap::new(), pieces(parts), 3).await.unwrap_err();
            assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "4".parse().unwrap());
        assert!(read_limited(&headers, pieces(&["a"]), 3).await.is_err());
    }

    #[tokio::test]
    async fn a_broken_connection_is_a_bad_request() {
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(std::io::Error::other("reset"))]);
        let problem = read_limited(&HeaderMap::new(), Body::from_bytes_stream(broken), 9).await.unwrap_err();
        assert_eq!(problem.status(), 400);
    }
}
