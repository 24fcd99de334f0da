//! A connection to an upstream: name, TCP, TLS, the protocol agreed on, and which of them failed.
//!
//! [`crate::addresses`] says where the name leads, [`crate::dial`] tries the addresses, [`crate::tls`] speaks TLS with the
//! machine's certificate authorities, and Mozilla's where the machine (a bare container) has none. The time limit is the
//! pool's, whose HTTP handshake counts too.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use limpid_core::{Clock, RelayFailure, TlsFault};
use limpid_route::{Scheme, Target};
use rustls::pki_types::ServerName;

use crate::addresses::Addresses;
use crate::dial;
use crate::resolve::Resolve;
use crate::shortage;
use crate::socket::TcpKeepalive;
pub(crate) use crate::stream::Stream;
use crate::tls::{self, Tls};
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
    pub(crate) keepalive: Option<TcpKeepalive>,
    pub(crate) timeout: Duration,
}

/// Makes [`Connect`]s; holds the machine's certificate authorities, if any upstream needs them.
pub(crate) struct Connector {
    roots: rustls::RootCertStore,
    resolver: Arc<dyn Resolve>,
    shortages: Arc<shortage::Log>,
}

impl Connector {
    pub(crate) fn new(
        mut schemes: impl Iterator<Item = Scheme>,
        resolver: Arc<dyn Resolve>,
        clock: &Clock,
    ) -> Connector {
        let tls = schemes.any(|s| s == Scheme::Https);
        let roots = if tls { trust::machines_own() } else { rustls::RootCertStore::empty() };
        Connector { roots, resolver, shortages: Arc::new(shortage::Log::new(clock.clone())) }
    }

    pub(crate) fn to(&self, reach: &Reach<'_>) -> Result<Connect, TrustError> {
        let target = reach.target;
        let offer = Offer::to(target.scheme(), reach.http2);
        let tls = match target.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::new(self.roots.clone(), reach.authorities, offer.alpn()).map_err(TrustError)?),
        };
        let addresses = Addresses::new(&target.name(), target.port(), Arc::clone(&self.resolver));
        let (origin, host) = (target.origin(), target.host().to_owned());
        let shortages = Arc::clone(&self.shortages);
        Ok(Connect {
            addresses,
            tls,
            offer,
            origin,
            host,
            timeout: reach.timeout,
            shortages,
            keepalive: reach.keepalive,
        })
    }
}

/// A fresh connection, ready for an HTTP handshake.
pub(crate) struct Connection {
    pub(crate) io: Stream,
    /// Whether HTTP/2 is to be spoken on it.
    pub(crate) http2: bool,
    /// Scheme and authority.
    pub(crate) origin: Arc<Uri>,
}

/// How many addresses are tried whose TLS fails, for one connection.
const TLS_TRIES: usize = 3;

/// Connects to one upstream.
pub(crate) struct Connect {
    addresses: Arc<Addresses>,
    tls: Option<Tls>,
    offer: Offer,
    origin: String,
    host: String,
    timeout: Duration,
    shortages: Arc<shortage::Log>,
    keepalive: Option<TcpKeepalive>,
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
            if self.addresses.is_unknown() {
                tracing::warn!(upstream = self.origin, after = ?self.timeout, "the name was not looked up in time");
                return Err(RelayFailure::DnsTimeout);
            }
            tracing::warn!(upstream = self.origin, after = ?self.timeout, "connect timed out");
            Err(RelayFailure::ConnectTimeout)
        })
    }

    /// A new connection, or why there is none; `http1` asks for HTTP/1.1 whatever the upstream's offer. Logs the details,
    /// which the outcome's reason leaves out.
    pub(crate) async fn connect(&self, http1: bool) -> Result<Connection, RelayFailure> {
        let mut tries = 1;
        loop {
            match self.connect_once(http1).await {
                // Nothing of the request is up: another address may do better.
                Err(RelayFailure::Tls(_)) if tries < TLS_TRIES && self.addresses.are_several() => tries += 1,
                done => return done,
            }
        }
    }

    async fn connect_once(&self, http1: bool) -> Result<Connection, RelayFailure> {
        let origin: Uri = self.origin.parse().map_err(|_| RelayFailure::Internal)?;
        let (tcp, address) = dial::dial(&self.addresses).await.map_err(|failed| self.not_connected(&failed))?;
        tracing::debug!(upstream = self.origin, %address, "connected");
        let only = !http1 && self.offer == Offer::Http2;
        let origin = Arc::new(origin);
        if let Some(keepalive) = self.keepalive {
            keepalive.set(&tcp);
        }
        let Some(tls) = &self.tls else {
            return Ok(Connection { io: Stream::Plain(tcp), http2: only, origin });
        };
        let connector = if http1 { &tls.http1 } else { &tls.offering };
        let name = ServerName::try_from(self.host.clone()).map_err(|_| RelayFailure::Tls(TlsFault::WrongName))?;
        let mut unproven = Unproven { addresses: &self.addresses, address, shaken: false };
        match tls::shake_hands(connector, name, tcp).await {
            Ok(shaken) => {
                unproven.shaken = true;
                let chosen = shaken.stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Ok(Connection { io: Stream::over_tls(shaken), http2: only || chosen, origin })
            }
            Err(failed) => {
                let error = chain(&failed.error);
                tracing::warn!(upstream = self.origin, %address, error, fault = ?failed.fault, "TLS handshake failed");
                Err(RelayFailure::Tls(failed.fault))
            }
        }
    }

    fn not_connected(&self, failed: &dial::DialError) -> RelayFailure {
        if let RelayFailure::Shortage(what) = failed.failure {
            return self.shortages.tell(what, &failed.error);
        }
        tracing::warn!(upstream = self.origin, error = chain(&failed.error), "connect failed");
        failed.failure
    }
}

/// An address that took the connection, but has not shaken hands: if it does not, another is tried first from then on,
/// however this ends.
struct Unproven<'a> {
    addresses: &'a Addresses,
    address: SocketAddr,
    shaken: bool,
}

impl Drop for Unproven<'_> {
    fn drop(&mut self) {
        if !self.shaken {
            self.addresses.avoid(self.address);
        }
    }
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
        let resolver = Arc::new(crate::resolve::SystemResolver::default());
        let connector = Connector::new([target.scheme()].into_iter(), resolver, &Clock::system());
        let timeout = Duration::from_secs(5);
        let reach = Reach { target: &target, http2: Http2::default(), authorities: None, keepalive: None, timeout };
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
        // Broadcasts are nobody's address, and this machine says so itself.
        assert_eq!(failure("http://255.255.255.255:9").await, RelayFailure::Unreachable);

        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", plain.local_addr().unwrap());
        let (result, ()) = tokio::join!(failure(&url), async {
            let (stream, _) = plain.accept().await.unwrap();
            drop(stream);
        });
        assert_eq!(result, RelayFailure::Tls(TlsFault::Closed));
    }

    #[tokio::test]
    async fn a_connection_is_probed() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::parse(&format!("http://{}", server.local_addr().unwrap())).unwrap();
        let resolver = Arc::new(crate::resolve::SystemResolver::default());
        let connector = Connector::new([target.scheme()].into_iter(), resolver, &Clock::system());
        let keepalive = Some(TcpKeepalive { idle: Duration::from_secs(77) });
        let timeout = Duration::from_secs(5);
        let reach = Reach { target: &target, http2: Http2::default(), authorities: None, keepalive, timeout };
        let connected = connector.to(&reach).unwrap().connect(false).await.unwrap();
        let Stream::Plain(tcp) = connected.io else { panic!("TLS was not asked for") };
        assert!(rustix::net::sockopt::socket_keepalive(&tcp).unwrap());
        assert_eq!(rustix::net::sockopt::tcp_keepidle(&tcp).unwrap(), Duration::from_secs(77));
    }
}
