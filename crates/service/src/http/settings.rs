//! The settings that every HTTP service has.

use std::{net::SocketAddr, time::Duration};

use crate::{
    settings::Env,
    shutdown::{DRAIN_TIMEOUT, read_drain_delay},
};

/// Where to listen, and the bounds of doing so.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The main address.
    pub listen: SocketAddr,
    /// The variable that sets it, for messages.
    pub listen_variable: &'static str,
    /// Where health and metrics are instead of on the main address.
    pub admin_listen: Option<SocketAddr>,
    /// Whether `/docs` is served.
    pub docs: bool,
    /// The bounds of each listener.
    pub limits: Limits,
    /// How long new requests are still taken after the first signal.
    pub drain_delay: Duration,
    /// How long in-flight requests may take after that.
    pub drain_timeout: Duration,
}

/// The bounds of a listener.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Over this many open connections new ones wait to be accepted.
    pub max_connections: usize,
    /// Over this many of one client, new ones of it are closed. An address of IPv4 or a /64 of IPv6 is one client.
    pub max_connections_per_address: usize,
    /// The head of a request has to be there this long after it began; the first one, after the connection did.
    pub head_timeout: Duration,
    /// A body has to be there by then; every 4 KiB of it earn a second more.
    pub body_timeout: Duration,
    /// A connection on which nothing moves for this long is closed; an answer that the client does not take gets this
    /// long in all, and every 4 KiB of it earn a second more.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_address: 2048,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

impl HttpSettings {
    /// Reads `variable` (the service's own, such as `ROUTER_LISTEN`), `ADMIN_LISTEN`, `DOCS`,
    /// `HTTP_MAX_CONNECTIONS`, `HTTP_MAX_CONNECTIONS_PER_ADDRESS`, `HTTP_HEAD_TIMEOUT`, `HTTP_BODY_TIMEOUT`,
    /// `HTTP_IDLE_TIMEOUT` and `SHUTDOWN_DRAIN_DELAY`.
    pub fn read(env: &mut Env, variable: &'static str, default: &'static str) -> Option<Self> {
        let listen = env.var(variable, "address and port to listen on").default(default).address();
        let admin = env
            .var(
                "ADMIN_LISTEN",
                "address and port for /health, /livez, /readyz and /metrics instead of the main one",
            )
            .hint("write an address with a port such as 0.0.0.0:9090, or unset it")
            .address();
        let docs = env.var("DOCS", "whether /docs shows the API in a browser").default("on").boolean();
        let max_connections = env
            .var("HTTP_MAX_CONNECTIONS", "open connections per listener; more wait to be accepted")
            .default("4096")
            .parse_with(parse_connections);
        let per_address = env
            .var(
                "HTTP_MAX_CONNECTIONS_PER_ADDRESS",
                "open connections of one client address (IPv6: of one /64) per listener; more are closed. A proxy in front is \
                 one client. Unset: half of `HTTP_MAX_CONNECTIONS`",
            )
            .parse_with(parse_connections);
        let head_timeout = env
            .var(
                "HTTP_HEAD_TIMEOUT",
                "a connection is closed when the head of a request has not come this long after it began",
            )
            .default("15s")
            .duration();
        let body_timeout = env
            .var(
                "HTTP_BODY_TIMEOUT",
                "a request whose body has not come by then gets a 408; every 4 KiB of it earn a second more",
            )
            .default("30s")
            .duration();
        let idle_timeout = env
            .var(
                "HTTP_IDLE_TIMEOUT",
                "a connection on which nothing moves for this long is closed, and one whose client takes its answer slower than 4 KiB/s",
            )
            .default("75s")
            .duration();
        let drain_delay = read_drain_delay(env);
        if let (Some(main), Some(admin)) = (listen, admin)
            && main == admin
            && main.port() != 0
        {
            let instead = format!("choose another port, or unset it to have everything on {variable}");
            env.problem("ADMIN_LISTEN", format!("is the same address as {variable}"), instead);
        }
        Some(Self {
            listen: listen?,
            listen_variable: variable,
            admin_listen: admin,
            docs: docs?,
            limits: Limits {
                max_connections: max_connections?,
                max_connections_per_address: per_address.unwrap_or(max_connections?.div_ceil(2)),
                head_timeout: head_timeout?,
                body_timeout: body_timeout?,
                idle_timeout: idle_timeout?,
            },
            drain_delay: drain_delay?,
            drain_timeout: DRAIN_TIMEOUT,
        })
    }

    /// Where health is asked for.
    pub fn ops_address(&self) -> SocketAddr {
        self.admin_listen.unwrap_or(self.listen)
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    // The bound of a tokio semaphore is far above what an operating system can hold open.
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err("is not a number from 1 to 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<HttpSettings>, Vec<String>) {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let settings = HttpSettings::read(&mut env, "SERVER_LISTEN", "0.0.0.0:8001");
        let problems = env.finish().err();
        (settings, problems.iter().flat_map(|all| all.iter()).map(|problem| problem.name.clone()).collect())
    }

    #[test]
    fn everything_has_a_default() {
        let (settings, problems) = read(&[]);
        let settings = settings.unwrap();
        assert!(problems.is_empty());
        assert_eq!(settings.listen, "0.0.0.0:8001".parse().unwrap());
        assert_eq!(settings.ops_address(), settings.listen);
        assert!(settings.docs);
        assert_eq!(settings.limits.max_connections, 4096);
        assert_eq!(settings.limits.max_connections_per_address, 2048);
    }

    #[test]
    fn one_address_has_half_of_the_connections_unless_set() {
        for (pairs, expected) in [
            (&[("HTTP_MAX_CONNECTIONS", "1")][..], 1),
            (&[("HTTP_MAX_CONNECTIONS", "100")], 50),
            (&[("HTTP_MAX_CONNECTIONS", "100"), ("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "90")], 90),
        ] {
            assert_eq!(read(pairs).0.unwrap().limits.max_connections_per_address, expected, "{pairs:?}");
        }
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let (settings, problems) = read(&[
            ("SERVER_LISTEN", "8001"),
            ("ADMIN_LISTEN", "nine"),
            ("DOCS", "perhaps"),
            ("HTTP_MAX_CONNECTIONS", "0"),
            ("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "many"),
            ("HTTP_HEAD_TIMEOUT", "15"),
            ("HTTP_BODY_TIMEOUT", "30"),
            ("HTTP_IDLE_TIMEOUT", "75"),
            ("SHUTDOWN_DRAIN_DELAY", "-1s"),
        ]);
        assert!(settings.is_none());
        let names = [
            "SERVER_LISTEN",
            "ADMIN_LISTEN",
            "DOCS",
            "HTTP_MAX_CONNECTIONS",
            "HTTP_MAX_CONNECTIONS_PER_ADDRESS",
            "HTTP_HEAD_TIMEOUT",
            "HTTP_BODY_TIMEOUT",
            "HTTP_IDLE_TIMEOUT",
            "SHUTDOWN_DRAIN_DELAY",
        ];
        assert_eq!(problems, names);
    }

    #[test]
    fn two_listeners_need_two_addresses() {
        let (_, problems) = read(&[("SERVER_LISTEN", ":9000"), ("ADMIN_LISTEN", ":9000")]);
        assert_eq!(problems, ["ADMIN_LISTEN"]);
    }
}
