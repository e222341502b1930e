//! Makes connections that notice when the other side is gone, and says in one line why one can't be made.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::{
    AsyncMessage, Client, Connection, Socket, config::SslMode, error::SqlState, tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Address, session::Session};
use crate::{clock::Clock, metrics::StoreMetrics, store::Micros};

/// What each session is told. The limits end what a router that vanished left behind: its locks are free again after
/// at most `idle_in_transaction_session_timeout`.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '8s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET client_connection_check_interval = '2s'; \
    SET jit = off; SET client_min_messages = warning";

/// Look-ups by key, whatever the statistics of the moment say: the queue tables are empty now and full in a minute.
pub(super) const STABLE_PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off; SET synchronous_commit = on";

/// Deletes and walks through whole tables need more time than a webhook has.
const PATIENT: &str = "SET statement_timeout = '60s'";

/// The whole of a connection's start, TLS and password included.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Short transactions of the same few statements.
    Writing,
    /// Whatever is asked.
    Asking,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "no connection to {place}: {cause}; check that PostgreSQL runs there and can be reached, \
         and the host and port in the address"
    )]
    Unreachable { place: String, cause: String },
    #[error("{place} refuses the user {user}: {cause}; check the user and the password in the address")]
    Refused { place: String, user: String, cause: String },
    #[error("{place} has no such database: {cause}; make it, or name another one in the address")]
    NoDatabase { place: String, cause: String },
    #[error("no protected connection to {place}: {cause}; check sslmode and sslrootcert in the address")]
    Tls { place: String, cause: String },
    #[error("the certificates in {path} can't be used: {cause}; name a PEM file in sslrootcert")]
    Certificates { path: String, cause: String },
    #[error("{place}: {cause}")]
    Other { place: String, cause: String },
}

type Line = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

#[derive(Clone)]
pub(super) struct Connector {
    address: Address,
    tls: MakeRustlsConnect,
    /// How far tests moved the clock.
    ahead: Micros,
    metrics: StoreMetrics,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connector").field(&self.address).finish()
    }
}

impl Connector {
    pub(super) fn new(address: Address, clock: Clock, metrics: StoreMetrics) -> Result<Self, ConnectError> {
        let tls = MakeRustlsConnect::new(tls(&address)?);
        Ok(Self { address, tls, ahead: clock.advance(), metrics })
    }

    pub(super) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    pub(super) fn place(&self) -> String {
        self.address.place()
    }

    /// `heard`: gets what other sessions notify of.
    pub(super) async fn connect(
        &self,
        purpose: Purpose,
        heard: Option<UnboundedSender<String>>,
    ) -> Result<Session, ConnectError> {
        let late = || self.error_of("it did not answer in time".to_owned());
        let made = async {
            let (client, connection) = self.open().await?;
            let open = self.metrics.connected(match purpose {
                _ if heard.is_some() => "listening",
                Purpose::Writing => "writing",
                Purpose::Asking => "asking",
            });
            tokio::spawn(drive(connection, heard));
            let ahead = self.ahead;
            let particular = match purpose {
                Purpose::Writing => STABLE_PLANS,
                Purpose::Asking => PATIENT,
            };
            let settings = format!("{SETTINGS}; {particular}; SET whatsapp_router.ahead = '{ahead}'");
            client.batch_execute(&settings).await.map_err(|error| self.explain(&error))?;
            Ok(Session::new(client, open))
        };
        tokio::time::timeout(PATIENCE, made).await.map_err(|_| late())?
    }

    async fn open(&self) -> Result<(Client, Line), ConnectError> {
        match self.address.config.connect(self.tls.clone()).await {
            Ok(made) => Ok(made),
            // As libpq does: what only prefers TLS goes on without it where it can't be had.
            Err(error) if self.address.prefers_tls_only() && is_tls(&error) => {
                tracing::warn!(place = self.place(), %error, "the connection to the database is not protected");
                let mut config = self.address.config.clone();
                config.ssl_mode(SslMode::Disable);
                config.connect(self.tls.clone()).await.map_err(|error| self.explain(&error))
            }
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn error_of(&self, cause: String) -> ConnectError {
        ConnectError::Unreachable { place: self.place(), cause }
    }

    fn explain(&self, error: &tokio_postgres::Error) -> ConnectError {
        let (place, cause) = (self.place(), describe(error));
        if is_tls(error) {
            return ConnectError::Tls { place, cause };
        }
        match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                ConnectError::Refused { place, user: self.address.user().to_owned(), cause }
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => ConnectError::NoDatabase { place, cause },
            Some(_) => ConnectError::Other { place, cause },
            None if cause.contains("password") => {
                ConnectError::Refused { place, user: self.address.user().to_owned(), cause }
            }
            None => self.error_of(cause),
        }
    }
}

/// The database's own words where it has any, else what happened to the connection. Never a parameter's value.
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message().replace('\n', " "), said.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
    .replace('\n', " ")
}

fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

async fn drive(mut connection: Line, heard: Option<UnboundedSender<String>>) {
    let mut messages =
        std::pin::pin!(futures_util::stream::poll_fn(move |context| connection.poll_message(context)));
    while let Some(message) = futures_util::StreamExt::next(&mut messages).await {
        match message {
            Ok(AsyncMessage::Notification(news)) => {
                if let Some(heard) = &heard {
                    // Nobody listens any more: the connection ends with its client.
                    let _ = heard.send(news.payload().to_owned());
                }
            }
            Ok(_) => {}
            // Whoever waits for an answer is told as well.
            Err(error) => {
                tracing::debug!(error = describe(&error), "a connection to the database ended");
                return;
            }
        }
    }
}

fn tls(address: &Address) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed =
        |error: rustls::Error| ConnectError::Tls { place: address.place(), cause: error.to_string() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let config = match &address.root_certificates {
        None => builder.with_platform_verifier().map_err(failed)?.with_no_client_auth(),
        Some(path) => {
            let unusable =
                |cause: String| ConnectError::Certificates { path: path.display().to_string(), cause };
            let mut roots = RootCertStore::empty();
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable(io::Error::from(io::ErrorKind::UnexpectedEof).to_string()));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(config)
}
