//! A running proxy, and what is known of its exchanges.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Category, Clock, Ending, ExchangeRecord, Hosts, UpstreamInfo};
use limpid_observe::Limits;
use limpid_proxy::{
    Drained, Http2, Http2Limits, Hurry, ObserveConfig, Proxy, ProxyConfig, ServerConfig, Timeouts, TraceConfig,
    UpstreamConfig,
};
use limpid_route::{KeyNames, Match, ModelPattern, Target};
use limpid_settle::Settler;
use limpid_testkit::{CollectingSink, RawClient, Reply, ReplyEnd, Step, exchange, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What a passing test never waits for.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const CHAT: &str = "/v1/chat/completions";
/// An event with a token.
pub(crate) const EVENT: &[u8] =
    b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
/// The end of a stream: finish, usage, end marker.
pub(crate) const DONE: &[u8] = b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\
    \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
pub(crate) const SSE_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A proxy on a free port.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    pub(crate) sink: Arc<CollectingSink>,
    pub(crate) hurry: Hurry,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Drained>>,
}

impl Rig {
    /// With one upstream that serves everything.
    pub(crate) async fn to(addr: SocketAddr) -> Rig {
        Rig::with(vec![upstream("only", &format!("http://{addr}"))], |_| {}).await
    }

    /// With these upstreams, and settings changed by `change`.
    pub(crate) async fn with(upstreams: Vec<UpstreamConfig>, change: impl FnOnce(&mut ProxyConfig)) -> Rig {
        let sink = Arc::new(CollectingSink::default());
        let mut config = ProxyConfig {
            server: ServerConfig {
                header_timeout: SOON,
                max_head_bytes: 64 << 10,
                request_body_timeout: None,
                tcp_keepalive: None,
                http2_ping_interval: None,
                http2_ping_timeout: Duration::from_secs(60),
                drain_timeout: SOON,
                worker_threads: None,
                pin_workers: false,
                hosts: Hosts::any(),
            },
            upstreams,
            routing: limpid_proxy::RoutingConfig::default(),
            observe: ObserveConfig { enabled: true, limits: Limits::default(), request_bytes: 1 << 20 },
            labels: limpid_route::LabelRules::default(),
            keys: KeyNames::of_this_start(),
            trace: TraceConfig::default(),
            settler: Settler::embedded(),
            estimates: None,
            capture: None,
            resolver: Arc::new(limpid_proxy::SystemResolver::default()),
            sink: Arc::<CollectingSink>::clone(&sink),
            clock: Clock::system(),
        };
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let proxy = Proxy::new(config).unwrap();
        let hurry = proxy.hurry();
        let serving = tokio::spawn(proxy.serve(listener, async move { drop(stopped.await) }));
        Rig { addr, sink, hurry, stop: Some(stop), serving: Some(serving) }
    }

    pub(crate) async fn client(&self) -> RawClient {
        RawClient::connect(self.addr).await.unwrap()
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> Reply {
        exchange(self.addr, bytes, SOON).await.unwrap()
    }

    /// The records, once there are `n`; fails if that is not the number of exchanges that began.
    pub(crate) async fn records(&self, n: usize) -> Vec<ExchangeRecord> {
        let records = self.sink.wait_for(n, SOON).await.unwrap();
        assert_eq!((self.sink.started_count(), records.len()), (n, n));
        records
    }

    /// The only record.
    pub(crate) async fn record(&self) -> ExchangeRecord {
        self.records(1).await.remove(0)
    }

    /// Begins to drain; what the drain says comes later.
    pub(crate) fn drain(&mut self) -> JoinHandle<Drained> {
        drop(self.stop.take());
        self.serving.take().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// An upstream that serves everything.
pub(crate) fn upstream(name: &str, url: &str) -> UpstreamConfig {
    let target = Target::parse(url).unwrap();
    let info = UpstreamInfo {
        name: name.into(),
        provider: "vllm".into(),
        region: None,
        address: target.host().into(),
        port: target.port(),
    };
    UpstreamConfig {
        info: Arc::new(info),
        target,
        matches: Match::default(),
        rewrite_prefix: None,
        http2: Http2::default(),
        http2_limits: Http2Limits::default(),
        tls_authorities: None,
        connect_timeout: SOON,
        key: None,
        tcp_keepalive: None,
        timeouts: Timeouts::default(),
        pool_idle_timeout: Duration::from_secs(60),
        max_idle_connections: 16,
        max_connection_age: None,
        max_response_head: 64 << 10,
        ask_for_usage: false,
    }
}

/// An upstream for these models only.
pub(crate) fn for_models(name: &str, url: &str, models: &[&str]) -> UpstreamConfig {
    let models = models.iter().map(|m| ModelPattern::parse(m)).collect();
    UpstreamConfig { matches: Match { models, ..Match::default() }, ..upstream(name, url) }
}

/// A chat request.
pub(crate) fn chat(body: &str) -> Vec<u8> {
    request("POST", CHAT, &[], body.as_bytes())
}

/// A chat request that asks for a stream.
pub(crate) fn streaming() -> Vec<u8> {
    chat(r#"{"model":"m","stream":true,"messages":[]}"#)
}

/// A transfer chunk, its size in capitals as limpid writes those of requests.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:X}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// A keep-alive server that gives every request the same reply.
pub(crate) fn always(reply: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::ReadRequest, Step::send(reply), Step::Repeat]
}

/// A message's head, without the empty line, and the rest.
pub(crate) fn split(message: &[u8]) -> (String, Vec<u8>) {
    let at = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&message[..at]).into_owned(), message[at + 4..].to_vec())
}

/// The bytes as the upstream must see them: with another `Host`, nothing else.
pub(crate) fn with_host(message: &[u8], host: SocketAddr) -> Vec<u8> {
    let old = b"limpid.test";
    let at = message.windows(old.len()).position(|w| w == old).unwrap();
    [&message[..at], host.to_string().as_bytes(), &message[at + old.len()..]].concat()
}

/// Bytes as text, for messages that can be read where two differ.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

pub(crate) fn whole(reply: &Reply) -> bool {
    reply.end == ReplyEnd::Complete
}

/// Category, reason, ending.
pub(crate) fn outcome(record: &ExchangeRecord) -> (Category, &str, Ending) {
    (record.outcome.category, &record.outcome.reason, record.outcome.ending)
}

/// An upstream that takes one connection, counts what it reads and replies once `answer_after` bytes came.
pub(crate) struct Sponge {
    pub(crate) addr: SocketAddr,
    taken: watch::Receiver<Vec<u8>>,
    reading: JoinHandle<()>,
}

impl Sponge {
    pub(crate) async fn start(answer_after: usize) -> Sponge {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, taken) = watch::channel(Vec::new());
        let reading = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = Vec::new();
            while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
                tell.send_modify(|all| all.append(&mut buffer));
                if tell.borrow().len() >= answer_after {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            }
        });
        Sponge { addr, taken, reading }
    }

    /// What was read, once `enough` says so.
    pub(crate) async fn until(&mut self, enough: impl FnMut(&Vec<u8>) -> bool) -> Vec<u8> {
        let waiting = self.taken.wait_for(enough);
        tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().clone()
    }
}

impl Drop for Sponge {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
