//! Out of file descriptors: no upstream is blamed, and the listener outlives it. A process of its own, for the limit is the
//! process's.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Category, Clock, Ending, Fault, Retryable, UpstreamInfo};
use limpid_observe::Limits;
use limpid_proxy::{
    Http2, ObserveConfig, Proxy, ProxyConfig, ServerConfig, SystemResolver, Timeouts, TraceConfig, UpstreamConfig,
};
use limpid_route::{KeyNames, LabelRules, Match, ModelPattern, Target};
use limpid_settle::Settler;
use limpid_testkit::{CollectingSink, RawClient, RawServer, Step, request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

const SOON: Duration = Duration::from_secs(20);

fn upstream(name: &str, url: &str) -> UpstreamConfig {
    let target = Target::parse(url).unwrap();
    let (address, port) = (target.host().into(), target.port());
    UpstreamConfig {
        info: Arc::new(UpstreamInfo { name: name.into(), provider: "vllm".into(), region: None, address, port }),
        target,
        matches: Match { models: vec![ModelPattern::parse(name)], ..Match::default() },
        rewrite_prefix: None,
        http2: Http2::default(),
        http2_limits: limpid_proxy::Http2Limits::default(),
        tls_authorities: None,
        connect_timeout: SOON,
        key: None,
        tcp_keepalive: None,
        timeouts: Timeouts::default(),
        pool_idle_timeout: Duration::ZERO,
        max_idle_connections: 0,
        max_connection_age: None,
        max_response_head: 64 << 10,
        ask_for_usage: false,
    }
}

async fn proxy(upstreams: Vec<UpstreamConfig>) -> (std::net::SocketAddr, Arc<CollectingSink>) {
    let sink = Arc::new(CollectingSink::default());
    let config = ProxyConfig {
        server: ServerConfig {
            header_timeout: SOON,
            max_head_bytes: 64 << 10,
            request_body_timeout: None,
            tcp_keepalive: None,
            http2_ping_interval: None,
            http2_ping_timeout: SOON,
            drain_timeout: SOON,
            worker_threads: None,
            pin_workers: false,
            hosts: limpid_core::Hosts::any(),
        },
        upstreams,
        routing: limpid_proxy::RoutingConfig::default(),
        observe: ObserveConfig { enabled: true, limits: Limits::default(), request_bytes: 1 << 20 },
        labels: LabelRules::default(),
        keys: KeyNames::of_this_start(),
        trace: TraceConfig::default(),
        settler: Settler::embedded(),
        estimates: None,
        capture: None,
        resolver: Arc::new(SystemResolver::default()),
        sink: Arc::<CollectingSink>::clone(&sink),
        clock: Clock::system(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(Proxy::new(config).unwrap().serve(listener, std::future::pending()));
    (addr, sink)
}

/// No further file can be opened; says what the limit was.
fn out_of_descriptors() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // A file gets the lowest number that is free, and none from the limit on.
    let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let current = Some(u64::try_from(free).unwrap());
    setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum }).unwrap();
    before
}

#[tokio::test]
async fn out_of_descriptors_is_limpids_own_failure_and_passes() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(ok), Step::Close]).await.unwrap();
    let by_name = format!("http://localhost:{}", server.addr().port());
    let (addr, sink) = proxy(vec![upstream("a", &server.url()), upstream("b", &by_name)]).await;
    let mut client = RawClient::connect(addr).await.unwrap();
    let late = TcpSocket::new_v4().unwrap();
    let ask =
        |model: &str| request("POST", "/v1/chat/completions", &[], format!("{{\"model\":\"{model}\"}}").as_bytes());
    // The connection is accepted and open.
    client.send(&ask("a")).await.unwrap();
    assert_eq!(client.read_reply(SOON).await.status, 200);

    let before = out_of_descriptors();
    // By address and by name: a name that cannot be looked up for want of descriptors is no unknown name.
    for model in ["a", "b"] {
        client.send(&ask(model)).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!((reply.status, reply.header("x-limpid-error")), (503, Some("no_descriptors")), "{model}");
        let text = reply.text();
        assert!(text.contains("ulimit -n") && text.contains("limpid_internal"), "{text}");
        assert!(!text.contains("upstream 'a'"), "nobody else is blamed: {text}");
    }
    // Who comes now waits, and is served when there are some again.
    let mut late = late.connect(addr).await.unwrap();
    late.write_all(&ask("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    setrlimit(Resource::Nofile, before).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"ok") {
        assert_ne!(tokio::time::timeout(SOON, late.read_buf(&mut reply)).await.unwrap().unwrap(), 0);
    }
    // A name's failure is believed for a moment.
    let mut asked = 4;
    loop {
        client.send(&ask("b")).await.unwrap();
        asked += 1;
        let reply = client.read_reply(SOON).await;
        if reply.status == 200 {
            break;
        }
        assert_eq!(reply.header("x-limpid-error"), Some("no_descriptors"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let records = sink.wait_for(asked, SOON).await.unwrap();
    for record in &records[1..3] {
        let outcome = &record.outcome;
        assert_eq!(
            (outcome.category, &*outcome.reason, outcome.ending),
            (Category::Internal, "no_descriptors", Ending::End)
        );
        assert_eq!((outcome.fault, outcome.retryable), (Some(Fault::Limpid), Some(Retryable::Later)));
    }
}
