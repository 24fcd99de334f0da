//! A connection to an upstream: name, TCP, TLS, the protocol agreed on, and which of them failed.
//!
//! `HttpConnector` resolves and tries the addresses (happy eyeballs, RFC 8305); rustls speaks TLS with the machine's
//! certificate authorities, and Mozilla's where the machine (a bare container) has none. `TCP_NODELAY` is set, or small
//! requests wait 40 ms for an acknowledgement. The time limit is the pool's, whose HTTP handshake counts too.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use limpid_core::RelayFailure;
use limpid_route::{Scheme, Target};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::util::MapErr;
use tower::{Service, ServiceExt};

pub(crate) use crate::stream::Stream;
use crate::trust::{self, Authorities};

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

/// Which HTTP an upstream is spoken to with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Http2 {
    /// HTTP/2 where a TLS upstream chooses it (ALPN, RFC 7301); HTTP/1.1 elsewhere.
    #[default]
    Alpn,
    /// HTTP/2 only: without asking in plain text (prior knowledge, RFC 9113 §3.3), the one offer of ALPN over TLS.
    PriorKnowledge,
    /// HTTP/1.1 only.
    Never,
}

/// What is offered to an upstream: [`Http2`] for its scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    Either,
    Http2,
}

impl Offer {
    fn to(scheme: Scheme, http2: Http2) -> Offer {
        match (http2, scheme) {
            (Http2::Never, _) | (Http2::Alpn, Scheme::Http) => Offer::Http1,
            (Http2::Alpn, Scheme::Https) => Offer::Either,
            (Http2::PriorKnowledge, _) => Offer::Http2,
        }
    }

    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Offer::Http1 => Vec::new(),
            Offer::Either => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Offer::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// How one upstream is reached.
pub(crate) struct Reach<'a> {
    pub(crate) target: &'a Target,
    pub(crate) http2: Http2,
    /// Trusted beside the machine's.
    pub(crate) authorities: Option<&'a Authorities>,
    pub(crate) timeout: Duration,
}

/// Makes [`Connect`]s; holds the machine's certificate authorities, if any upstream needs them.
pub(crate) struct Connector {
    roots: rustls::RootCertStore,
}

impl Connector {
    pub(crate) fn new(mut schemes: impl Iterator<Item = Scheme>) -> Connector {
        let tls = schemes.any(|s| s == Scheme::Https);
        Connector { roots: if tls { trust::machines_own() } else { rustls::RootCertStore::empty() } }
    }

    pub(crate) fn to(&self, reach: &Reach<'_>) -> Result<Connect, TrustError> {
        let resolver = GaiResolver::new().map_err(DnsFailed as fn(io::Error) -> DnsFailed);
        let mut tcp = Tcp::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let target = reach.target;
        let offer = Offer::to(target.scheme(), reach.http2);
        let tls = match target.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(self.tls(offer, reach.authorities).map_err(TrustError)?),
        };
        let (origin, host) = (target.origin(), target.host().to_owned());
        Ok(Connect { tcp, tls, offer, origin, host, timeout: reach.timeout })
    }

    fn tls(&self, offer: Offer, authorities: Option<&Authorities>) -> Result<Tls, rustls::Error> {
        let mut roots = self.roots.clone();
        if let Some(authorities) = authorities {
            authorities.add_to(&mut roots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let http1 = config.with_root_certificates(roots).with_no_client_auth();
        let mut offering = http1.clone();
        offering.alpn_protocols = offer.alpn();
        Ok(Tls { offering: TlsConnector::from(Arc::new(offering)), http1: TlsConnector::from(Arc::new(http1)) })
    }
}

/// TLS with the upstream's offer, and without any: then HTTP/1.1 is meant.
struct Tls {
    offering: TlsConnector,
    http1: TlsConnector,
}

/// A fresh connection, ready for an HTTP handshake.
pub(crate) struct Connection {
    pub(crate) io: Stream,
    /// Whether HTTP/2 is to be spoken on it.
    pub(crate) http2: bool,
    /// Scheme and authority.
    pub(crate) origin: Arc<Uri>,
}

/// Connects to one upstream.
pub(crate) struct Connect {
    tcp: Tcp,
    tls: Option<Tls>,
    offer: Offer,
    origin: String,
    host: String,
    timeout: Duration,
}

impl Connect {
    pub(crate) fn offer(&self) -> Offer {
        self.offer
    }

    /// The outcome of `opening`, unless the time that a connection may take is up before.
    pub(crate) async fn in_time<T>(
        &self,
        opening: impl Future<Output = Result<T, RelayFailure>>,
    ) -> Result<T, RelayFailure> {
        tokio::time::timeout(self.timeout, opening).await.unwrap_or_else(|_elapsed| {
            tracing::warn!(upstream = self.origin, after = ?self.timeout, "connect timed out");
            Err(RelayFailure::ConnectTimeout)
        })
    }

    /// A new connection, or why there is none; `http1` asks for HTTP/1.1 whatever the upstream's offer. Logs the details,
    /// which the outcome's reason leaves out.
    pub(crate) async fn connect(&self, http1: bool) -> Result<Connection, RelayFailure> {
        let origin: Uri = self.origin.parse().map_err(|_| RelayFailure::Internal)?;
        let tcp = self.tcp.clone().call(origin.clone()).await.map_err(|error| {
            tracing::warn!(upstream = self.origin, error = chain(&error), "connect failed");
            tcp_failure(&error)
        })?;
        let only = !http1 && self.offer == Offer::Http2;
        let origin = Arc::new(origin);
        let tcp = tcp.into_inner();
        let Some(tls) = &self.tls else {
            return Ok(Connection { io: Stream::Plain(tcp), http2: only, origin });
        };
        let connector = if http1 { &tls.http1 } else { &tls.offering };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| RelayFailure::Tls)?;
        match connector.connect(name, tcp).await {
            Ok(stream) => {
                let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Ok(Connection { io: Stream::Tls(Box::new(stream)), http2: only || chosen, origin })
            }
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
        let connector = Connector::new([target.scheme()].into_iter());
        let timeout = Duration::from_secs(5);
        let reach = Reach { target: &target, http2: Http2::default(), authorities: None, timeout };
        let connect = connector.to(&reach).unwrap();
        match connect.in_time(connect.connect(false)).await {
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
