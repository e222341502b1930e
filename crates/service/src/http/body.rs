//! Reads a request's body up to a limit, without copying it when it came in one piece.

use std::{
    io::ErrorKind,
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

/// What is reserved at most for what a client only says that it will send.
const MOST_RESERVE: usize = 64 * 1024;

/// What is read and thrown away of a body that is too long, so that the client gets to read the answer: closing a
/// connection with unread bytes resets it, and most clients then report a broken pipe instead of the 413.
const DISCARDED: usize = 32 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// The whole body. The error is a 413 problem as soon as the announced or the received length is over `limit`,
/// a 408 one when it came too slowly, or a 400 one when the connection broke off.
pub async fn read_limited(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    read_admitted(headers, body, limit, |_| Ok(())).await
}

/// The same, with a say in it: `admit` is called with the length of each piece that came, before more is read.
pub async fn read_admitted(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut pieces = pin!(body.into_bytes_stream());
    let result = match announced {
        Some(length) if length > limit => Err(too_large(limit)),
        _ => collect(pieces.as_mut(), announced, limit, admit).await,
    };
    if result.as_ref().is_err_and(|problem| problem.status() == StatusCode::PAYLOAD_TOO_LARGE) {
        // Whoever is still not done then sends more than anybody would by mistake.
        let _ = tokio::time::timeout(DISCARD_TIME, discard(pieces)).await;
    }
    result
}

async fn collect<S>(
    mut pieces: Pin<&mut S>,
    announced: Option<usize>,
    limit: usize,
    mut admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem>
where
    S: Stream<Item = std::io::Result<Bytes>>,
{
    let mut checked = |piece, before| {
        let piece = checked(piece, before, limit)?;
        admit(piece.len())?;
        Ok(piece)
    };
    let Some(first) = pieces.next().await else {
        return Ok(Bytes::new());
    };
    let first = checked(first, 0)?;
    let Some(second) = pieces.next().await else {
        return Ok(first);
    };
    let mut whole =
        BytesMut::with_capacity(announced.unwrap_or(0).clamp(first.len(), MOST_RESERVE.max(first.len())));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(piece) = next {
        let piece = checked(piece, whole.len())?;
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
    let piece = piece.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => Problem::too_slow(),
        _ => Problem::bad_request("the body broke off; send it again"),
    })?;
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
    async fn every_piece_is_admitted_and_the_first_that_is_not_ends_it() {
        for (parts, admitted) in [(&["abc"][..], true), (&["a", "bc"], true), (&["ab", "cd", "e"], false)] {
            let mut left = 3_usize;
            let admit = |length| match left.checked_sub(length) {
                Some(rest) => {
                    left = rest;
                    Ok(())
                }
                None => Err(Problem::unavailable("full")),
            };
            let read = read_admitted(&HeaderMap::new(), pieces(parts), 9, admit).await;
            assert_eq!(read.map_err(|problem| problem.status().as_u16()).err(), (!admitted).then_some(503));
        }
    }

    #[tokio::test]
    async fn a_body_that_broke_off_or_came_too_slowly_is_the_clients_fault() {
        for (kind, status) in [(ErrorKind::ConnectionReset, 400), (ErrorKind::TimedOut, 408)] {
            let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(kind.into())]);
            let body = Body::from_bytes_stream::<_, Bytes, std::io::Error>(broken);
            let problem = read_limited(&HeaderMap::new(), body, 9).await.unwrap_err();
            assert_eq!(problem.status(), status);
        }
    }
}
