//! The listener's limits, by plain sockets. They are short and real; what is closed says so.

#![expect(clippy::unwrap_used, reason = "the helpers beside the tests are tests too: a failed unwrap is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use limpid_admin::{About, AdminState, Hosts, Limits, MetricsText, serve};
use limpid_core::{Clock, Handover};
use limpid_insight::{Insight, InsightConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// What a passing test never waits for.
const SOON: Duration = Duration::from_secs(20);

/// Far more than a connection's buffers hold.
struct Large;

impl MetricsText for Large {
    fn render(&self, _openmetrics: bool) -> String {
        "m 1\n".repeat(8 << 20)
    }
}

struct Rig {
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl Rig {
    async fn new(header_timeout: Duration, max_connections: usize) -> Rig {
        let (insight, _consumer) = Insight::new(InsightConfig::default(), Clock::system());
        let (handover, _drain) = Handover::new(1, Vec::new(), Arc::default());
        let state = AdminState {
            insight,
            metrics: Arc::new(Large),
            counts: handover.counts(),
            ready: Arc::new(AtomicBool::new(true)),
            let_go: Arc::default(),
            hosts: Hosts::new([]),
            about: About { version: "9.9.9", upstreams: Vec::new() },
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, state, Limits { header_timeout, max_connections }));
        Rig { addr, serving }
    }

    async fn says(&self, bytes: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.addr).await.unwrap();
        client.write_all(bytes.as_bytes()).await.unwrap();
        client
    }

    async fn is_healthy(&self) -> bool {
        let mut client = self.says("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        until(&mut client, "ok\n").await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads until that comes; false if the connection ends before.
async fn until(client: &mut TcpStream, want: &str) -> bool {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(want) {
        match timeout(SOON, client.read_buf(&mut all)).await.unwrap() {
            Ok(1..) => {}
            Ok(0) | Err(_) => return false,
        }
    }
    true
}

/// Waits for the connection's end.
async fn is_closed(client: &mut TcpStream) -> bool {
    let mut all = Vec::new();
    timeout(SOON, client.read_to_end(&mut all)).await.is_ok()
}

#[tokio::test]
async fn who_says_nothing_whole_is_closed() {
    let rig = Rig::new(Duration::from_millis(100), 100).await;
    for said in ["", "G", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "] {
        assert!(is_closed(&mut rig.says(said).await).await, "{said:?}");
    }
    // One that was answered, and says nothing more.
    let mut client = rig.says("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(until(&mut client, "ok\n").await);
    assert!(is_closed(&mut client).await);
}

/// A head that comes byte by byte has no longer.
#[tokio::test]
async fn a_head_has_its_time_as_a_whole() {
    let rig = Rig::new(Duration::from_millis(300), 100).await;
    let mut client = rig.says("GET / HTTP/1.1\r\n").await;
    let drip = async {
        while client.write_all(b"X-A: 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(SOON, drip).await.is_ok());
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let rig = Rig::new(SOON / 2, 1).await;
    let mut client = rig.says("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(until(&mut client, "m 1").await);
    // From here on time passes when nothing moves. Far below 32 MB have come then; the rest is never written.
    tokio::time::pause();
    tokio::time::sleep(2 * SOON).await;
    tokio::time::resume();
    let mut all = Vec::new();
    let ended = timeout(SOON, client.read_to_end(&mut all)).await.unwrap();
    assert!(ended.is_err() || all.len() < 32 << 20, "{} bytes", all.len());
}

#[tokio::test]
async fn live_events_go_on() {
    let rig = Rig::new(Duration::from_millis(1500), 100).await;
    let mut client = rig.says("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(3500) {
        assert!(until(&mut client, "event: tick").await, "after {:?}", began.elapsed());
    }
}

/// The longest unused makes room, and what moves stays.
#[tokio::test]
async fn a_probe_gets_through_whatever_is_open() {
    let rig = Rig::new(SOON, 10).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(rig.says("GET").await);
    }
    for _ in 0..3 {
        assert!(rig.is_healthy().await);
    }
    for early in &mut silent[..30] {
        assert!(is_closed(early).await);
    }
}
