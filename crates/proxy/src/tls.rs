//! TLS with an upstream, and what was wrong with it, in words that can be acted upon.
//!
//! **A certificate demanded of limpid.** It has none to show (mTLS). Up to TLS 1.2 the handshake fails then; in TLS 1.3 it is
//! over for the client before the server has looked, and the refusal comes with the first read, as an alert, or as nothing
//! but the end where the alert was overtaken by a reset. So a connection on which the server asked for a certificate is
//! under suspicion until something has come by it ([`crate::stream`]).

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;

use limpid_core::TlsFault;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, InvalidMessage, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::trust::Authorities;

/// TLS with the upstream's offer, and without any: then HTTP/1.1 is meant.
pub(crate) struct Tls {
    pub(crate) offering: TlsConnector,
    pub(crate) http1: TlsConnector,
}

impl Tls {
    /// Trusting these and the upstream's own.
    pub(crate) fn new(
        mut roots: RootCertStore,
        authorities: Option<&Authorities>,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Tls, rustls::Error> {
        if let Some(authorities) = authorities {
            authorities.add_to(&mut roots);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let http1 = config.with_root_certificates(roots).with_client_cert_resolver(Arc::new(NoCertificate));
        let mut offering = http1.clone();
        offering.alpn_protocols = alpn;
        Ok(Tls { offering: TlsConnector::from(Arc::new(offering)), http1: TlsConnector::from(Arc::new(http1)) })
    }
}

thread_local! {
    /// Whether a server has asked for a certificate since this was last cleared. A handshake is polled on one thread.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// No certificate of limpid's own; it notes that one was asked for.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ASKED.set(true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A handshake that is over.
pub(crate) struct Shaken {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The server has asked for a certificate, and got none.
    pub(crate) asked: bool,
}

/// Why there was none.
pub(crate) struct ShakeError {
    pub(crate) fault: TlsFault,
    pub(crate) error: io::Error,
}

/// The handshake.
pub(crate) async fn shake_hands(
    connector: &TlsConnector,
    name: ServerName<'static>,
    tcp: TcpStream,
) -> Result<Shaken, ShakeError> {
    let mut shaking = pin!(connector.connect(name, tcp));
    let mut asked = false;
    let shaken = poll_fn(|cx| {
        ASKED.set(false);
        let polled = shaking.as_mut().poll(cx);
        asked |= ASKED.get();
        polled
    });
    match shaken.await {
        Ok(stream) => Ok(Shaken { stream, asked }),
        Err(error) => Err(ShakeError { fault: in_handshake(&error, asked), error }),
    }
}

fn in_handshake(error: &io::Error, asked: bool) -> TlsFault {
    match of(error) {
        // Before TLS 1.3 there is no alert that says it. What was asked for is the likeliest by far.
        Some(TlsFault::Alert) | None if asked => TlsFault::ClientCertificate,
        Some(fault) => fault,
        None => TlsFault::Closed,
    }
}

/// What an I/O error of a connection over TLS says of TLS itself.
pub(crate) fn of(error: &io::Error) -> Option<TlsFault> {
    let cause = error.get_ref()?;
    if cause.is::<Refused>() {
        return Some(TlsFault::ClientCertificate);
    }
    Some(match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => TlsFault::ClientCertificate,
        rustls::Error::AlertReceived(_) => TlsFault::Alert,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFault::PlainText,
        _ => TlsFault::Handshake,
    })
}

fn of_certificate(error: &CertificateError) -> TlsFault {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
        CertificateError::UnknownIssuer => TlsFault::UnknownAuthority,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::WrongName,
        _ => TlsFault::Certificate,
    }
}

/// A server that asked for a certificate has ended the connection before it said anything.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Option<io::Error>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server asked for a client certificate, and ended the connection when it got none")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|error| error as &(dyn Error + 'static))
    }
}
