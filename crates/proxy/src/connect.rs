//! A connection to an upstream: name, TCP, TLS, and which of them failed.
//!
//! `HttpConnector` resolves and tries the addresses (happy eyeballs, RFC 8305); rustls speaks TLS with the machine's
//! certificate authorities, and Mozilla's where the machine (a bare container) has none. `TCP_NODELAY` is set, or small
//! requests wait 40 ms for an acknowledgement.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::TokioIo;
use limpid_core::RelayFailure;
use limpid_route::{Scheme, Target};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::util::MapErr;
use tower::{Service, ServiceExt};

/// No certificate authorities could be set up.
#[derive(Debug)]
pub struct TrustError(rustls::Error);

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS cannot be set up: {}", self.0)
    }
}

impl Error for TrustError {}

/// A failed name look-up, so that it can be told from a failed connection.
#[derive(Debug)]
struct DnsFailed(io::Error);

impl fmt::Display for DnsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name does not resolve: {}", self.0)
    }
}

impl Error for DnsFailed {}

type Tcp = HttpConnector<MapErr<GaiResolver, fn(io::Error) -> DnsFailed>>;

/// Makes [`Connect`]s; holds what TLS needs, if any upstream needs it.
pub(crate) struct Connector {
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Connector {
    pub(crate) fn new(mut schemes: impl Iterator<Item = Scheme>) -> Result<Connector, TrustError> {
        let tls = if schemes.any(|s| s == Scheme::Https) { Some(Arc::new(tls_config()?)) } else { None };
        Ok(Connector { tls })
    }

    pub(crate) fn to(&self, target: &Target, timeout: Duration) -> Connect {
        let resolver = GaiResolver::new().map_err(DnsFailed as fn(io::Error) -> DnsFailed);
        let mut tcp = Tcp::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = match target.scheme() {
            Scheme::Http => None,
            Scheme::Https => self.tls.clone().map(TlsConnector::from),
        };
        Connect { tcp, tls, origin: target.origin(), host: target.host().to_owned(), timeout }
    }
}

fn tls_config() -> Result<rustls::ClientConfig, TrustError> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("this machine has no certificate authorities; using the built-in Mozilla set");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(TrustError)?.with_root_certificates(roots).with_no_client_auth())
}

/// A fresh connection, ready for a handshake.
pub(crate) enum Connection {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

/// Connects to one upstream.
pub(crate) struct Connect {
    tcp: Tcp,
    tls: Option<TlsConnector>,
    origin: String,
    host: String,
    timeout: Duration,
}

impl Connect {
    /// A new connection, or why there is none. Logs the details, which the outcome's reason leaves out.
    pub(crate) async fn connect(&self) -> Result<Connection, RelayFailure> {
        match tokio::time::timeout(self.timeout, self.dial()).await {
            Ok(done) => done,
            Err(_elapsed) => {
                tracing::warn!(upstream = self.origin, after = ?self.timeout, "connect timed out");
                Err(RelayFailure::ConnectTimeout)
            }
        }
    }

    async fn dial(&self) -> Result<Connection, RelayFailure> {
        let origin = self.origin.parse().map_err(|_| RelayFailure::Internal)?;
        let tcp = self.tcp.clone().call(origin).await.map_err(|error| {
            tracing::warn!(upstream = self.origin, error = chain(&error), "connect failed");
            tcp_failure(&error)
        })?;
        let Some(tls) = &self.tls else {
            return Ok(Connection::Plain(tcp));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| RelayFailure::Tls)?;
        match tls.connect(name, tcp.into_inner()).await {
            Ok(stream) => Ok(Connection::Tls(Box::new(TokioIo::new(stream)))),
            Err(error) => {
                tracing::warn!(upstream = self.origin, error = chain(&error), "TLS handshake failed");
                Err(RelayFailure::Tls)
            }
        }
    }
}

fn tcp_failure(error: &(dyn Error + 'static)) -> RelayFailure {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if e.is::<DnsFailed>() {
            return RelayFailure::Dns;
        }
        if let Some(io) = e.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return RelayFailure::ConnectRefused,
                io::ErrorKind::TimedOut => return RelayFailure::ConnectTimeout,
                _ => {}
            }
        }
        cause = e.source();
    }
    RelayFailure::Connect
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let text = e.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = e.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure(url: &str) -> RelayFailure {
        let target = Target::parse(url).unwrap();
        let connector = Connector::new([target.scheme()].into_iter()).unwrap();
        match connector.to(&target, Duration::from_secs(5)).connect().await {
            Ok(_) => panic!("{url} connected"),
            Err(failure) => failure,
        }
    }

    #[tokio::test]
    async fn each_failure_has_its_own_name() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(failure(&format!("http://{closed}")).await, RelayFailure::ConnectRefused);
        assert_eq!(failure("http://nowhere.invalid").await, RelayFailure::Dns);

        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", plain.local_addr().unwrap());
        let (result, ()) = tokio::join!(failure(&url), async {
            let (stream, _) = plain.accept().await.unwrap();
            drop(stream);
        });
        assert_eq!(result, RelayFailure::Tls);
    }
}
