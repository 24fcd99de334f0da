//! Upstreams over TLS: what is agreed on decides which HTTP is spoken, and whom a certificate may come from is a setting.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use limpid_core::{Category, Ending};
use limpid_proxy::{Authorities, Http2, UpstreamConfig};
use limpid_route::Target;
use limpid_testkit::{RawServer, Step, request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::addresses::Told;
use crate::common::{CHAT, Rig, chat, outcome, upstream};

/// A server over TLS that answers with the version it was asked in.
struct Server {
    addr: SocketAddr,
    authority: String,
    /// What each handshake agreed on.
    agreed: Arc<Mutex<Vec<Option<String>>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    async fn start(alpn: &[&str]) -> Server {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        Server::certified(alpn, params, rustls::ALL_VERSIONS).await
    }

    /// With this certificate of its own, signed by its authority, and these versions of TLS.
    async fn certified(alpn: &[&str], own: CertificateParams, tls: &[&'static SupportedProtocolVersion]) -> Server {
        Server::wanting(alpn, own, tls, false).await
    }

    /// Where `wants`, it takes only clients that show a certificate of its authority.
    async fn wanting(
        alpn: &[&str],
        own: CertificateParams,
        tls: &[&'static SupportedProtocolVersion],
        wants: bool,
    ) -> Server {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(tls).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = if wants {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let mut config = config.with_single_cert(vec![own.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let agreed = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&agreed);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let chosen = stream.get_ref().1.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned());
                tell.lock().unwrap().push(chosen);
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| async move {
                        let version = request.version();
                        if version == Version::HTTP_2 && request.headers().contains_key("x-http1-only") {
                            return Err(h2::Error::from(h2::Reason::HTTP_1_1_REQUIRED));
                        }
                        Ok(Response::new(Full::new(Bytes::from(format!("{version:?}")))))
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Server { addr, authority: issuer.pem(), agreed, accepting }
    }

    fn upstream(&self, http2: Http2) -> UpstreamConfig {
        let tls_authorities = Some(Authorities::from_pem(self.authority.as_bytes()).unwrap());
        UpstreamConfig { http2, tls_authorities, ..upstream("only", &format!("https://{}", self.addr)) }
    }

    fn agreed(&self) -> Vec<Option<String>> {
        self.agreed.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn alpn_decides() {
    let h2 = Some("h2");
    let http1 = Some("http/1.1");
    let both = ["h2", "http/1.1"];
    for (speaks, setting, agreed, version) in [
        (&both[..], Http2::Alpn, h2, "HTTP/2.0"),
        (&both[..1], Http2::Alpn, h2, "HTTP/2.0"),
        (&both[1..], Http2::Alpn, http1, "HTTP/1.1"),
        (&[], Http2::Alpn, None, "HTTP/1.1"),
        (&both[..], Http2::Never, None, "HTTP/1.1"),
        (&both[..], Http2::PriorKnowledge, h2, "HTTP/2.0"),
    ] {
        let server = Server::start(speaks).await;
        let rig = Rig::with(vec![server.upstream(setting)], |_| {}).await;
        for _ in 0..2 {
            let reply = rig.ask(&chat("{}")).await;
            assert_eq!((reply.status, reply.text().as_str()), (200, version), "{speaks:?} {setting:?}");
        }
        assert_eq!(server.agreed(), [agreed.map(str::to_owned)], "one connection, kept: {speaks:?} {setting:?}");
        let records = rig.records(2).await;
        assert!(records[0].timeline.connect.is_some() && records[1].timeline.connect.is_none());
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_only_offer_is_a_tls_failure() {
    let server = Server::start(&["http/1.1"]).await;
    let rig = Rig::with(vec![server.upstream(Http2::PriorKnowledge)], |_| {}).await;
    let reply = rig.ask(&chat("{}")).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("tls")));
}

#[tokio::test]
async fn an_authority_must_be_trusted() {
    let server = Server::start(&["h2"]).await;
    let mut only = server.upstream(Http2::Alpn);
    only.tls_authorities = None;
    let rig = Rig::with(vec![only], |_| {}).await;
    let reply = rig.ask(&chat("{}")).await;
    assert_eq!(reply.status, 502);
    assert!(why(&reply.text()).contains("tls_ca_file"), "{}", reply.text());
    let record = rig.record().await;
    assert_eq!((outcome(&record).0, outcome(&record).1), (Category::Network, "tls"));
}

/// A request to a server with this certificate; what the client gets, and what the text says was wrong.
async fn asked_of(own: CertificateParams, tls: &[&'static SupportedProtocolVersion]) -> (u16, String) {
    let server = Server::certified(&[], own, tls).await;
    let rig = Rig::with(vec![server.upstream(Http2::Alpn)], |_| {}).await;
    let reply = rig.ask(&chat("{}")).await;
    let record = rig.record().await;
    if reply.status != 200 {
        assert_eq!((outcome(&record).0, outcome(&record).1), (Category::Network, "tls"));
        assert_eq!((reply.header("x-limpid-error"), record.attempts), (Some("tls"), 0), "nothing was sent");
    }
    (reply.status, why(&reply.text()))
}

/// The text of a failed handshake, behind what is the same in all.
fn why(text: &str) -> String {
    let before = "limpid: the TLS handshake with upstream 'only' failed: ";
    let message = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|v| {
        let message = v["error"]["message"].as_str()?;
        Some(message.strip_prefix(before).unwrap_or(message).to_owned())
    });
    message.unwrap_or_else(|| text.to_owned())
}

/// Each is a failure of TLS, with a name of its own among the network's; the log says which.
#[tokio::test]
async fn a_certificate_that_does_not_hold_is_a_tls_failure() {
    let own = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
    let good = asked_of(own("127.0.0.1"), rustls::ALL_VERSIONS).await;
    assert_eq!(good.0, 200, "or the others would prove nothing");
    let old = asked_of(own("127.0.0.1"), &[&rustls::version::TLS12]).await;
    assert_eq!(old.0, 200, "TLS 1.2 will do");

    let mut expired = own("127.0.0.1");
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    let mut later = own("127.0.0.1");
    (later.not_before, later.not_after) = (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1));
    for (own, says) in [
        (own("example.com"), "its certificate is for other names than the host of its url"),
        (expired, "its certificate has expired or is not valid yet; renew it, or set the clocks right"),
        (later, "its certificate has expired or is not valid yet; renew it, or set the clocks right"),
    ] {
        assert_eq!(asked_of(own, rustls::ALL_VERSIONS).await, (502, says.to_owned()));
    }
}

/// In TLS 1.3 the handshake is over for limpid when the server refuses it: the refusal comes with the first read.
#[tokio::test]
async fn a_server_that_demands_a_certificate_is_a_tls_failure() {
    let both: &[&str] = &["h2", "http/1.1"];
    for (alpn, tls) in [
        (both, &rustls::version::TLS13),
        (&both[1..], &rustls::version::TLS13),
        (both, &rustls::version::TLS12),
        (&both[1..], &rustls::version::TLS12),
    ] {
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let server = Server::wanting(alpn, own, &[tls], true).await;
        let rig = Rig::with(vec![server.upstream(Http2::Alpn)], |_| {}).await;
        for n in 1..=5 {
            let reply = rig.ask(&chat("{}")).await;
            assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("tls")), "{alpn:?} {tls:?}");
            let says = why(&reply.text());
            assert_eq!(says, "it wants a certificate of its client (mTLS), and limpid has none to show", "{alpn:?}");
            let records = rig.records(n).await;
            assert_eq!(outcome(&records[n - 1]), (Category::Network, "tls", Ending::UpstreamError));
        }
    }
}

/// The mistake the other way round: what comes back is an alert, in whole or in part, or other TLS.
#[tokio::test]
async fn tls_where_plain_text_is_expected_is_told() {
    let server = Server::start(&["http/1.1"]).await;
    let rig = Rig::with(vec![upstream("only", &format!("http://{}", server.addr))], |_| {}).await;
    let reply = rig.ask(&chat("{}")).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("bad_response")));
    assert!(reply.text().contains("is its url https://?"), "{}", reply.text());
    for alert in [&b"\x15\x03\x01\0\x02\x02\x46"[..], b"\x15\x03\x03", b"\x15\x03\x01\0\x02\x02\x0a\r\n\r\n"] {
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(alert), Step::Close]).await.unwrap();
        let rig = Rig::with(vec![upstream("only", &server.url())], |_| {}).await;
        let reply = rig.ask(&chat("{}")).await;
        assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("bad_response")), "{alert:?}");
        assert_eq!(outcome(&rig.record().await), (Category::Network, "bad_response", Ending::UpstreamError));
    }
}

/// A server that speaks no TLS on that port.
#[tokio::test]
async fn plain_text_where_tls_is_expected_is_a_tls_failure() {
    let plain = RawServer::start(vec![Step::send("HTTP/1.1 400 Bad Request\r\n\r\n"), Step::Close]).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &format!("https://{}", plain.addr()))], |_| {}).await;
    let reply = rig.ask(&chat("{}")).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("tls")));
    assert_eq!(why(&reply.text()), "it answered in plain text; is its url http://?");
    assert_eq!(outcome(&rig.record().await), (Category::Network, "tls", Ending::UpstreamError));
}

/// What the upstream takes over HTTP/1.1 alone is asked so, where it offers both.
#[tokio::test]
async fn http_1_1_required_is_asked_again_over_http_1_1() {
    let server = Server::start(&["h2", "http/1.1"]).await;
    let rig = Rig::with(vec![server.upstream(Http2::Alpn)], |_| {}).await;
    let reply = rig.ask(&request("POST", CHAT, &[("X-Http1-Only", "1")], b"{}")).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "HTTP/1.1"));
    let record = rig.record().await;
    assert_eq!((record.outcome.category, record.attempts), (Category::Ok, 2));
}

/// A server, or something in between, that ends the connection instead of shaking hands.
#[tokio::test]
async fn a_handshake_that_is_cut_off_is_a_tls_failure() {
    for last in [Step::Close, Step::Reset] {
        let server = RawServer::start(vec![last]).await.unwrap();
        let rig = Rig::with(vec![upstream("only", &format!("https://{}", server.addr()))], |_| {}).await;
        let reply = rig.ask(&chat("{}")).await;
        assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("tls")));
        assert_eq!(why(&reply.text()), "it closed the connection; does that port speak TLS?");
    }
}

/// One of two addresses takes connections and does not speak TLS. Nothing of a request is up by then, so none fails.
#[tokio::test]
async fn an_address_whose_tls_fails_is_followed_by_another() {
    let params = CertificateParams::new(vec!["replicas.test".to_owned()]).unwrap();
    let server = Server::certified(&[], params, rustls::ALL_VERSIONS).await;
    let broken = TcpListener::bind(("127.0.0.2", server.addr.port())).await.unwrap();
    let taking = tokio::spawn(async move { while broken.accept().await.is_ok() {} });
    let told = Arc::new(Told::default());
    told.tell(&["127.0.0.1", "127.0.0.2"]);
    let mut only = server.upstream(Http2::Never);
    only.target = Target::parse(&format!("https://replicas.test:{}", server.addr.port())).unwrap();
    (only.max_idle_connections, only.pool_idle_timeout) = (0, Duration::ZERO);
    let rig = Rig::with(vec![only], |config| config.resolver = told).await;
    for _ in 0..10 {
        assert_eq!(rig.ask(&chat("{}")).await.status, 200);
    }
    assert_eq!(server.agreed().len(), 10);
    taking.abort();
}
