//! The cheapest HTTP/1.1 client that is still right: one persistent connection, one request at a time, buffers used again.
//! Generator and system under test share the processors, so the generator must not be what is measured.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// No answer of the router comes near it.
const LARGEST_HEAD: usize = 16 * 1024;
const HEADERS: usize = 32;

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A connection that is opened when it is needed, and again after it failed or was closed.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    address: SocketAddr,
    open: Option<Connection>,
}

impl Reconnecting {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    /// The status of the answer to a whole request.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        // Taken out for the time of the exchange: a connection that failed is not used again.
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let (status, keeps) = connection.exchange(request).await?;
        self.open = keeps.then_some(connection);
        Ok(status)
    }
}

/// Where an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    length: Length,
    keeps: bool,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(1024) })
    }

    /// Sends a whole request and reads the whole answer. After an error, and when the second value is `false`, the
    /// connection cannot be used again.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, bool)> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(head) = read_head(&self.received)? {
                break head;
            }
            if self.received.len() > LARGEST_HEAD {
                return Err(invalid("the head of the answer does not end"));
            }
        };
        match head.length {
            Length::Known(length) => {
                while self.received.len() < head.bytes + length {
                    self.receive().await?;
                }
            }
            Length::Chunked => {
                while !chunks_end(&self.received[head.bytes..])? {
                    self.receive().await?;
                }
            }
        }
        Ok((head.status, head.keeps))
    }

    async fn receive(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// `None` while the head is not complete.
fn read_head(received: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(received).map_err(|_| invalid("the answer is not HTTP"))? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    let (mut length, mut keeps) = (Length::Known(0), true);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value).ok().and_then(|value| value.trim().parse().ok());
            length = Length::Known(value.ok_or_else(|| invalid("the answer's length is not a number"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            keeps = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(Head { status: response.code.unwrap_or_default(), bytes, length, keeps }))
}

/// Whether the last chunk, and the empty line behind it, are there.
fn chunks_end(mut body: &[u8]) -> io::Result<bool> {
    loop {
        let (start, size) = match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete((start, size))) => (start, size as usize),
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err(invalid("a chunk of the answer has no size")),
        };
        let end = start + size + 2;
        if body.len() < end {
            return Ok(false);
        }
        if size == 0 {
            return Ok(true);
        }
        body = &body[end..];
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_where_the_answer_ends() {
        let known = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";
        let head = read_head(known).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.keeps), (200, Length::Known(15), true));
        assert_eq!(&known[head.bytes..], b"{\"status\":\"ok\"}");
        let chunked = b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        let head = read_head(chunked).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.keeps), (503, Length::Chunked, false));
        assert_eq!(read_head(&known[..30]).unwrap(), None);
        assert!(read_head(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_followed_to_their_end() {
        let body = b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
        assert!(chunks_end(body).unwrap());
        for cut in 0..body.len() {
            assert!(!chunks_end(&body[..cut]).unwrap(), "{cut}");
        }
        assert!(chunks_end(b"nonsense\r\n").is_err());
    }
}
