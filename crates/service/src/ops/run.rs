//! Runs the listeners of a service from the first request to the last.

use std::io;

use poem::{Endpoint, IntoEndpoint};

use crate::{
    descriptors,
    health::Health,
    http::{BindError, HttpSettings, Listener, serve},
    metrics::Metrics,
    shutdown::Shutdown,
};

/// The taken ports of a service: the main one and, when it is set apart, the one for operators.
#[derive(Debug)]
pub struct Running {
    main: Listener,
    admin: Option<Listener>,
}

impl Running {
    /// Takes the ports, before anything else is started that would be in vain without them.
    pub fn bind(settings: &HttpSettings) -> Result<Self, BindError> {
        let wanted = settings.limits.max_connections;
        if let Some(open) = descriptors::raise_limit()
            && open < wanted as u64
        {
            tracing::warn!(
                open_files = open,
                connections = wanted,
                "fewer files may be open than HTTP_MAX_CONNECTIONS needs; raise the limit (ulimit -n) or lower that"
            );
        }
        let main = Listener::bind(settings.listen, settings.listen_variable)?;
        let admin =
            settings.admin_listen.map(|address| Listener::bind(address, "ADMIN_LISTEN")).transpose()?;
        Ok(Self { main, admin })
    }

    /// The main address with the port that was really taken.
    pub fn main_address(&self) -> std::net::SocketAddr {
        self.main.address()
    }

    /// The operators' address with the port that was really taken.
    pub fn admin_address(&self) -> Option<std::net::SocketAddr> {
        self.admin.as_ref().map(Listener::address)
    }
}

/// Serves until `shutdown` begins, then in order: not ready any more, still taking requests for the drain delay,
/// taking no more, waiting for those in flight, and at last [`Shutdown::stop`] for workers and the admin listener.
///
/// `admin` is served on the admin port when there is one; it must hold the operational calls.
pub async fn run<M, A>(
    listeners: Running,
    main: M,
    admin: A,
    health: &Health,
    metrics: &Metrics,
    shutdown: &Shutdown,
    settings: &HttpSettings,
) -> io::Result<()>
where
    M: IntoEndpoint,
    M::Endpoint: Endpoint + 'static,
    A: IntoEndpoint,
    A::Endpoint: Endpoint + 'static,
{
    let drained = async {
        shutdown.draining().await;
        health.draining();
        tokio::time::sleep(settings.drain_delay).await;
        tracing::info!("taking no more requests, waiting for those in flight");
    };
    let (limits, drain_timeout, connections) =
        (&settings.limits, settings.drain_timeout, metrics.connections());
    let main = async {
        let result = serve(listeners.main, main, drained, limits, drain_timeout, connections).await;
        shutdown.stop();
        result
    };
    let admin = async {
        match listeners.admin {
            Some(listener) => {
                serve(listener, admin, shutdown.stopped(), limits, drain_timeout, connections).await
            }
            None => Ok(()),
        }
    };
    let (main, admin) = tokio::join!(main, admin);
    main.and(admin)
}
