//! `DATABASE_URL` for PostgreSQL: where the server is, and how the connection is protected.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::SecretString;
use tokio_postgres::config::{Host, SslMode};
use url::Url;

/// A connection that carries nothing in either direction for this long is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// What was sent and not acknowledged for this long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// A server named by `postgres://user:password@host:port/database?sslmode=…`. It never shows the password.
#[derive(Clone)]
pub struct Address {
    pub(super) config: tokio_postgres::Config,
    /// Authorities to trust in place of the system's.
    pub(super) root_certificates: Option<PathBuf>,
    /// The text it was made from, for comparing.
    url: SecretString,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.place()).finish()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.url.expose_secret() == other.url.expose_secret()
    }
}

impl Eq for Address {}

impl Address {
    /// Host, port and database, for logs and errors.
    pub fn place(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            #[cfg(unix)]
            Some(Host::Unix(folder)) => folder.display().to_string(),
            None => format!("localhost:{port}"),
        };
        format!("{host}/{}", self.config.get_dbname().or(self.config.get_user()).unwrap_or("?"))
    }

    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("?")
    }

    /// Whether the connection may go without TLS where the server has none.
    pub(super) fn prefers_tls_only(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Prefer
    }
}

impl FromStr for Address {
    type Err = String;

    /// Errors never repeat the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| {
            format!("is no address ({error}); write postgres://user:password@host:5432/database, with special characters of the password percent-encoded")
        })?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err("does not begin with postgres://".to_owned());
        }
        let mut root_certificates = None;
        let mut rest = Vec::new();
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("sslrootcert", path) => root_certificates = Some(PathBuf::from(path)),
                // Ours always checks the certificate and the name in it when there is TLS.
                ("sslmode", "verify-ca" | "verify-full") => {
                    rest.push(("sslmode".to_owned(), "require".to_owned()));
                }
                ("sslmode", mode) if !matches!(mode, "disable" | "prefer" | "require") => {
                    return Err("its sslmode is not one of disable, prefer, require, verify-full".to_owned());
                }
                _ => rest.push((name.into_owned(), value.into_owned())),
            }
        }
        if rest.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(&rest);
        }
        let mut config: tokio_postgres::Config =
            // A space is `+` in a form but not in such an address.
            url.as_str().replace('+', "%20").parse().map_err(|error: tokio_postgres::Error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                format!("can't be used: {}", cause.unwrap_or_else(|| "a part of it is not understood".to_owned()))
            })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("names no host; write postgres://user:password@host:5432/database".to_owned());
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err("names no user; write postgres://user:password@host:5432/database".to_owned());
        }
        config.application_name("whatsapp-router").tcp_user_timeout(UNACKNOWLEDGED);
        config.keepalives(true).keepalives_idle(KEEPALIVE);
        config.keepalives_interval(Duration::from_secs(2)).keepalives_retries(3);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        Ok(Self { config, root_certificates, url: SecretString::from(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        text.parse()
    }

    #[test]
    fn addresses() {
        let address = parse("postgres://router:pa%40ss@db.example:6432/router?sslmode=require").unwrap();
        assert_eq!(address.place(), "db.example:6432/router");
        assert_eq!(address.config.get_password(), Some(&b"pa@ss"[..]));
        assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
        let address =
            parse("postgresql://router@db/router?sslmode=verify-full&sslrootcert=/etc/ca.pem").unwrap();
        assert_eq!(address.root_certificates, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(parse("postgres://u@h/d").unwrap().place(), "h:5432/d");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for wrong in [
            "postgres://router:hunter2@/router",
            "postgres://:hunter2@host/router",
            "postgres://router:hunter2@host/router?sslmode=maybe",
            "postgres://router:hunter2@host/router?nonsense=1",
            "postgres://router:hunter2@host:99999/router",
            "mysql://router:hunter2@host/router",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
        }
        assert!(
            !format!("{:?}", parse("postgres://router:hunter2@host/router").unwrap()).contains("hunter2")
        );
    }
}
