//! Upstreams with several addresses, of which some do not answer, and names that lead elsewhere after a while. The
//! addresses are of the loopback; which name leads to which is the test's own resolver's say.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use limpid_core::{Category, Clock, Ending};
use limpid_proxy::{Resolve, Resolving, UpstreamConfig};
use limpid_testkit::request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::common::{CHAT, Rig, SOON, chat, outcome, upstream};

/// Says of every name what it was told last; `None`: nothing, for ever.
#[derive(Default)]
pub(crate) struct Told(Mutex<Option<Vec<IpAddr>>>);

impl Told {
    pub(crate) fn tell(&self, ips: &[&str]) {
        *self.0.lock().unwrap() = Some(ips.iter().map(|ip| ip.parse().unwrap()).collect());
    }
}

impl Resolve for Told {
    fn resolve(&self, _: &str) -> Resolving {
        let told = self.0.lock().unwrap().clone();
        Box::pin(async move {
            match told {
                Some(ips) => Ok(ips.iter().map(|ip| SocketAddr::new(*ip, 0)).collect()),
                None => std::future::pending::<io::Result<Vec<SocketAddr>>>().await,
            }
        })
    }
}

/// A server of one address that answers with that address.
pub(crate) struct Replica {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Replica {
    pub(crate) async fn start(ip: &str, port: u16) -> Replica {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, ip) = (Arc::clone(&connections), ip.to_owned());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, ip.clone()));
            }
        });
        Replica { port, connections, accepting }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A request that says `x-last` is the last of its connection.
async fn serve(mut stream: TcpStream, ip: String) {
    loop {
        let mut read = Vec::new();
        while !read.ends_with(b"{}") {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let last = read.windows(6).any(|w| w == b"x-last");
        let close = if last { "Connection: close\r\n" } else { "" };
        let reply = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {}\r\n\r\n{ip}", ip.len());
        if stream.write_all(reply.as_bytes()).await.is_err() || last {
            return;
        }
    }
}

/// A request after which the upstream closes the connection.
fn last() -> Vec<u8> {
    request("POST", CHAT, &[("x-last", "1")], b"{}")
}

/// A listener that answers no connection: its backlog is full, and it accepts none.
async fn hangs(ip: &str, port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ip.parse::<IpAddr>().unwrap(), port).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(addr)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "its backlog has no end");
    }
    (listener, waiting)
}

async fn rig(port: u16, told: &Arc<Told>, change: impl FnOnce(&mut UpstreamConfig)) -> Rig {
    let mut only = upstream("only", &format!("http://replicas.test:{port}"));
    change(&mut only);
    let resolver = Arc::<Told>::clone(told);
    Rig::with(vec![only], |config| config.resolver = resolver).await
}

#[tokio::test]
async fn new_connections_are_spread_over_all_addresses() {
    let first = Replica::start("127.0.0.1", 0).await;
    let others = [Replica::start("127.0.0.2", first.port).await, Replica::start("127.0.0.3", first.port).await];
    let told = Arc::new(Told::default());
    told.tell(&["127.0.0.2", "127.0.0.1", "127.0.0.3"]);
    let rig = rig(first.port, &told, |_| {}).await;
    for _ in 0..30 {
        assert_eq!(rig.ask(&last()).await.status, 200);
    }
    let each = [&first, &others[0], &others[1]].map(Replica::connections);
    assert_eq!(each, [10, 10, 10]);
}

/// The addresses are tried in turn, so each of a few connections meets the bad ones first. They are met once.
#[tokio::test]
async fn addresses_that_hang_or_refuse_cost_one_connection_a_moment_and_no_request_an_error() {
    let good = Replica::start("127.0.0.1", 0).await;
    let (_listener, _waiting) = hangs("127.0.0.2", good.port).await;
    let told = Arc::new(Told::default());
    // Nobody listens at 127.0.0.3.
    told.tell(&["127.0.0.2", "127.0.0.3", "127.0.0.1"]);
    let rig = rig(good.port, &told, |only| only.connect_timeout = SOON).await;
    let began = Instant::now();
    for _ in 0..40 {
        let reply = rig.ask(&last()).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "127.0.0.1"));
    }
    assert_eq!(good.connections(), 40);
    let records = rig.records(40).await;
    let waited = records.iter().filter(|r| r.timeline.connect.unwrap() >= Duration::from_millis(250)).count();
    // Once, and once more for each ten seconds that the machine may take for all this.
    let again = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    assert!((1..=1 + again).contains(&waited), "{waited} connections waited for the one that hangs");
}

#[tokio::test]
async fn where_no_address_answers_the_reason_is_the_nearest_to_a_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let told = Arc::new(Told::default());
    told.tell(&["127.0.0.2", "127.0.0.3", "255.255.255.255"]);
    let rig = rig(nobody, &told, |_| {}).await;
    let reply = rig.ask(&last()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("connect_refused")));
    told.tell(&["255.255.255.255"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let reply = rig.ask(&last()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (502, Some("unreachable")));
    assert!(reply.text().contains("there is no way to the network or host of upstream 'only'"), "{}", reply.text());
    assert_eq!(outcome(&rig.records(2).await[1]), (Category::Network, "unreachable", Ending::UpstreamError));
}

/// No name server answers: the upstream is not to blame for that.
#[tokio::test]
async fn a_name_that_is_not_looked_up_in_time_says_so() {
    let told = Arc::new(Told::default());
    let rig = rig(9, &told, |only| only.connect_timeout = Duration::from_millis(100)).await;
    let reply = rig.ask(&last()).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (504, Some("dns_timeout")));
    assert!(reply.text().contains("was not looked up"), "{}", reply.text());
    assert_eq!(outcome(&rig.record().await), (Category::Timeout, "dns_timeout", Ending::UpstreamError));
}

/// The name leads elsewhere: new connections go there within a second or so.
#[tokio::test]
async fn new_connections_follow_the_name() {
    let old = Replica::start("127.0.0.1", 0).await;
    let new = Replica::start("127.0.0.2", old.port).await;
    let told = Arc::new(Told::default());
    told.tell(&["127.0.0.1"]);
    let rig = rig(old.port, &told, |_| {}).await;
    assert_eq!(rig.ask(&last()).await.text(), "127.0.0.1");
    told.tell(&["127.0.0.2"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(rig.ask(&last()).await.text(), "127.0.0.2");
    assert_eq!((old.connections(), new.connections()), (1, 1));
}

/// Constant traffic, on a connection that is never unused for long, moves with its name when the connection is old enough.
#[tokio::test]
async fn constant_traffic_follows_the_name() {
    let old = Replica::start("127.0.0.1", 0).await;
    let new = Replica::start("127.0.0.2", old.port).await;
    let told = Arc::new(Told::default());
    told.tell(&["127.0.0.1"]);
    let mut only = upstream("only", &format!("http://replicas.test:{}", old.port));
    only.max_connection_age = Some(Duration::from_secs(300));
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let (own, resolver) = (clock.clone(), Arc::<Told>::clone(&told));
    let rig = Rig::with(vec![only], |config| (config.clock, config.resolver) = (own, resolver)).await;
    assert_eq!(rig.ask(&chat("{}")).await.text(), "127.0.0.1");
    told.tell(&["127.0.0.2"]);
    // What was looked up is old by then; the connection is not.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut moved_at = None;
    for second in (0..=360).step_by(10) {
        let reply = rig.ask(&chat("{}")).await;
        assert_eq!(reply.status, 200);
        if reply.text() == "127.0.0.2" {
            moved_at.get_or_insert(second);
        } else {
            assert_eq!(moved_at, None, "it does not go back");
        }
        clock.advance(Duration::from_secs(10));
    }
    let moved_at = moved_at.unwrap();
    assert!((270..=330).contains(&moved_at), "five minutes, and a tenth of that: {moved_at} s");
    assert_eq!((old.connections(), new.connections()), (1, 1));
}
