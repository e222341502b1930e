//! A TCP proxy whose line can be cut in several ways, for whatever a router talks to: its database above all. It runs in the
//! process that starts it and listens on loopback.

mod line;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Pass,
    /// Every piece waits this long, in both directions.
    Delay(Duration),
    /// Nothing gets through and nobody is told. What was sent meanwhile arrives afterwards, as TCP would repeat it.
    Stall,
    /// As `Stall`, but the connections that lived through it are reset in the end: what was sent is gone.
    BlackHole,
    /// Every connection, open or new, is reset.
    Reset,
    /// The client is told that the server has closed, while the server's side stays open and idle.
    HalfClose,
}

/// A running proxy. It stops when it is dropped, and with it all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes everything on to `upstream`.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let acceptor = tokio::spawn(accept(listener, upstream, Arc::clone(&mode)));
        Ok(Self { address, mode, acceptor })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        // Each connection ends with it.
        self.mode.send_replace(Mode::Reset);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, mode: Arc<watch::Sender<Mode>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, say: it may be better in a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let mode = mode.subscribe();
        tokio::spawn(connect(client, upstream, mode));
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, mut mode: watch::Receiver<Mode>) {
    // A connection that is made while the line is cut is one more that nobody answers.
    let server = match line::while_cut(&mut mode).await {
        Ok(()) => TcpStream::connect(upstream).await,
        Err(cut) => Err(cut),
    };
    match server {
        Ok(server) => {
            // Without it small pieces wait; they arrive all the same.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            line::carry(client, server, mode).await;
        }
        Err(_) => {
            // The client sees a reset; where that can't be set, an ordinary end.
            let _ = client.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(200);

    /// A server that answers every byte with itself.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn says(stream: &mut TcpStream, byte: u8) -> io::Result<u8> {
        stream.write_all(&[byte]).await?;
        stream.read_u8().await
    }

    async fn hears(stream: &mut TcpStream) -> io::Result<u8> {
        tokio::time::timeout(LONG, stream.read_u8()).await.unwrap()
    }

    async fn proxy() -> (Proxy, TcpStream) {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut stream, 1).await.unwrap(), 1);
        (proxy, stream)
    }

    #[tokio::test]
    async fn what_stalls_arrives_afterwards() {
        let (proxy, mut stream) = proxy().await;
        proxy.set(Mode::Stall);
        assert!(tokio::time::timeout(SHORT, says(&mut stream, 2)).await.is_err());
        let mut other = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(tokio::time::timeout(SHORT, says(&mut other, 3)).await.is_err());
        proxy.set(Mode::Pass);
        assert_eq!((hears(&mut stream).await.unwrap(), hears(&mut other).await.unwrap()), (2, 3));
        proxy.set(Mode::Delay(Duration::from_millis(10)));
        assert_eq!(says(&mut stream, 4).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn what_falls_into_the_black_hole_is_gone() {
        let (proxy, mut stream) = proxy().await;
        proxy.set(Mode::BlackHole);
        assert!(tokio::time::timeout(SHORT, says(&mut stream, 2)).await.is_err());
        proxy.set(Mode::Pass);
        assert_eq!(hears(&mut stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut next, 5).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn resets_reach_open_and_new_connections() {
        let (proxy, mut stream) = proxy().await;
        proxy.set(Mode::Reset);
        assert_eq!(hears(&mut stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(hears(&mut next).await.is_err());
    }

    #[tokio::test]
    async fn a_half_closed_connection_can_be_written_to_for_nothing() {
        let (proxy, mut stream) = proxy().await;
        proxy.set(Mode::HalfClose);
        assert_eq!(hears(&mut stream).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        stream.write_all(b"into the void").await.unwrap();
        proxy.set(Mode::Pass);
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut next, 5).await.unwrap(), 5);
    }
}
