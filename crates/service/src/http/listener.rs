//! Listeners: taking a port, accepting a bounded number of connections, and serving until told to stop.

mod connection;
mod frames;
mod heads;
mod places;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use poem::{
    IntoEndpoint, Server,
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::net::{TcpListener, TcpSocket};

use self::{
    connection::{Connection, Times},
    places::Places,
};
use super::settings::Limits;
use crate::metrics::ConnectionMetrics;

/// Connections that the kernel holds while all of ours are taken.
const BACKLOG: u32 = 1024;

/// Requests at once on one HTTP/2 connection; without a bound one connection could open as many as it likes.
const HTTP2_STREAMS: u32 = 64;

/// How long to wait when the system cannot give us another connection, such as out of file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Why a port could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("port {} is taken by another process; stop that one, or set {variable} to a free address such as {example}", .address.port())]
    InUse {
        /// The whole address.
        address: SocketAddr,
        /// The variable that changes it.
        variable: &'static str,
        /// What it could be changed to.
        example: SocketAddr,
    },
    /// Ports below 1024 are often reserved.
    #[error("port {} may not be used without more rights; set {variable} to a port above 1023", .address.port())]
    Forbidden {
        /// The whole address.
        address: SocketAddr,
        /// The variable that changes it.
        variable: &'static str,
    },
    /// Anything else, such as an address that this machine does not have.
    #[error("cannot listen on {address}: {source}; set {variable} to an address of this machine")]
    Other {
        /// The whole address.
        address: SocketAddr,
        /// The variable that changes it.
        variable: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A port that is ours. Connections are accepted once it is served; until then the kernel keeps them.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes the port. `variable` is the setting that changes the address, for the message.
    pub fn bind(address: SocketAddr, variable: &'static str) -> Result<Self, BindError> {
        let named = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address, variable, example: next_port(address) },
            io::ErrorKind::PermissionDenied => BindError::Forbidden { address, variable },
            _ => BindError::Other { address, variable, source },
        };
        let tcp = listen(address).map_err(named)?;
        let address = tcp.local_addr().map_err(named)?;
        Ok(Self { tcp, address })
    }

    /// The address with the port that was really taken, which matters when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Without it a restart would have to wait for the connections of the process before to time out.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn next_port(mut address: SocketAddr) -> SocketAddr {
    let port = address.port();
    address.set_port(if port > 55_000 { port - 100 } else { port + 100 });
    address
}

/// Serves until `stop` resolves and then at most `drain_timeout` longer, for what is in flight.
///
/// Draining belongs into `stop`: see [`crate::ops::run`].
pub async fn serve<E>(
    listener: Listener,
    endpoint: E,
    stop: impl Future<Output = ()>,
    limits: &Limits,
    drain_timeout: Duration,
    metrics: &ConnectionMetrics,
) -> io::Result<()>
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    let acceptor = BoundedAcceptor {
        address: listener.address,
        tcp: listener.tcp,
        places: Places::new(limits.max_connections, limits.max_connections_per_address),
        times: Times { head: limits.head_timeout, answer: limits.idle_timeout },
        metrics: metrics.clone(),
    };
    Server::new_with_acceptor(acceptor)
        .idle_timeout(limits.idle_timeout)
        .http2_max_concurrent_streams(HTTP2_STREAMS)
        .run_with_graceful_shutdown(endpoint, stop, Some(drain_timeout))
        .await
}

struct BoundedAcceptor {
    tcp: TcpListener,
    address: SocketAddr,
    places: Places,
    times: Times,
    metrics: ConnectionMetrics,
}

impl Acceptor for BoundedAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            let closed = || io::Error::other("there are no places for connections any more");
            let place = self.places.free().await.ok_or_else(closed)?;
            match self.tcp.accept().await {
                Ok((stream, remote)) => {
                    let Some(place) = self.places.take(place, remote.ip()) else {
                        self.metrics.refused();
                        continue;
                    };
                    // Without it a small answer waits for the acknowledgement of the one before.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY cannot be set");
                    }
                    let connection = Connection::new(stream, place, self.times, self.metrics.clone());
                    let local = LocalAddr(self.address.into());
                    return Ok((connection, local, RemoteAddr(remote.into()), Scheme::HTTP));
                }
                // The client went away while it was waiting.
                Err(error) if is_of_one_client(&error) => {}
                // poem would call again at once and spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection, waiting a moment");
                    drop(place);
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_itself_and_the_variable() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap(), "ROUTER_LISTEN").unwrap();
        let error = Listener::bind(first.address(), "ROUTER_LISTEN").unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }));
        let text = error.to_string();
        assert!(text.contains(&first.address().port().to_string()), "{text}");
        assert!(text.contains("ROUTER_LISTEN"), "{text}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_with_the_variable() {
        let error = Listener::bind("192.0.2.1:8000".parse().unwrap(), "ADMIN_LISTEN").unwrap_err();
        assert!(error.to_string().contains("ADMIN_LISTEN"), "{error}");
    }

    #[test]
    fn the_example_is_another_valid_port() {
        for (taken, example) in [(8000, 8100), (65_535, 65_435), (1, 101)] {
            let address = SocketAddr::from(([127, 0, 0, 1], taken));
            assert_eq!(next_port(address).port(), example);
        }
    }
}
