//! `[server]`: the data listener and the process.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::admin::good_hosts;
use super::kinds::Secret;
use super::reader::{Checked, Reader, Refused, positive};

/// The data listener and the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect. Default `127.0.0.1:4800`: this machine only. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// How long a client may take from connecting, or from its last reply's end, to the end of a request's head: the
    /// keep-alive of idle clients too. Default 75 s, as nginx keeps them. Shorter values close connections that clients
    /// are about to use again; longer ones let idle attackers hold sockets.
    pub header_timeout: Duration,
    /// How long a request's body may pause while it is waited for. Default: absent, no limit: a slow line is no fault. Then the
    /// client gets 408, and the record says `client_request/request_body_timeout`.
    pub request_body_timeout: Option<Duration>,
    /// How long nothing may come by a client's connection before it is probed (TCP keep-alive), the admin listener's too.
    /// Default 60 s; four probes 15 s apart follow, so a client that has vanished is noticed after two minutes. `0s`: no probes.
    pub tcp_keepalive: Duration,
    /// How long nothing may come by a client's HTTP/2 connection before it is sent a PING. Default 60 s. `0s`: none is.
    pub http2_ping_interval: Duration,
    /// How long its answer may take. Default 60 s: a client that reads slowly answers late. Then its connection is closed.
    pub http2_ping_timeout: Duration,
    /// How long running streams may go on after a shutdown is asked for. Default 30 s. What still runs then is cut off
    /// and recorded as `shutdown`; `0s` cuts off at once.
    pub drain_timeout: Duration,
    /// The largest request head, bytes. Default 64 KiB. A larger one is answered with 431.
    pub max_head_bytes: usize,
    /// Names API keys that `[keys]` does not: `k-` and 8 digits of a hash under this secret. Default: absent, a random
    /// one for each start, so that the names change with it. Any text; keep it out of the file by giving it as
    /// `LIMPID_SERVER__KEY_HASH_SECRET`.
    pub key_hash_secret: Option<Secret>,
    /// Threads that relay. Default: absent, one for each core.
    pub worker_threads: Option<NonZeroUsize>,
    /// Whether each of these threads keeps to a core of its own, the first to the first that the process may use, and so
    /// on. Default `false`: the kernel moves them. Linux only; elsewhere without effect. For cores that nothing else uses:
    /// two processes that pin meet on the same cores.
    pub pin_workers: bool,
    /// Names by which clients may ask, beside IP addresses and `localhost`, without port; `*` is every name. Pages of these
    /// names, and no others, may ask through a browser (`Origin`). Default: absent. While `listen` is on the loopback that is
    /// the names in the upstreams' `url` and `host`, for a page of elsewhere must not use what only this machine may; elsewhere
    /// it is every name.
    pub hosts: Option<Vec<Arc<str>>>,
    /// Whether other processes of the same user may listen on the same addresses (`SO_REUSEPORT`), so that a new limpid can
    /// start beside this one and no connection is refused in between. Default `false`: a second one by mistake is told.
    pub reuse_port: bool,
}

impl Server {
    pub(super) fn read(mut r: Reader<'_>) -> Server {
        let server = Server {
            listen: r.value("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 4800))),
            header_timeout: r.value_if("header_timeout", Duration::from_secs(75), positive),
            request_body_timeout: r.optional("request_body_timeout", positive),
            tcp_keepalive: r.value_if("tcp_keepalive", Duration::from_secs(60), keepalive),
            http2_ping_interval: r.value("http2_ping_interval", Duration::from_secs(60)),
            http2_ping_timeout: r.value_if("http2_ping_timeout", Duration::from_secs(60), positive),
            drain_timeout: r.value("drain_timeout", Duration::from_secs(30)),
            // The least that the relay sets aside for a head.
            max_head_bytes: r.size("max_head_bytes", 64 << 10, 8 << 10..=16 << 20),
            key_hash_secret: r.optional("key_hash_secret", |_| Ok(())),
            worker_threads: r.optional("worker_threads", |n| threads(*n)).and_then(NonZeroUsize::new),
            pin_workers: r.value("pin_workers", false),
            hosts: r.optional("hosts", |hosts: &Vec<Arc<str>>| good_hosts(hosts)),
            reuse_port: r.value("reuse_port", false),
        };
        r.finish();
        server
    }
}

/// What the kernel takes: whole seconds, at most 32,767 of them.
pub(super) fn keepalive(idle: &Duration) -> Checked {
    if idle.subsec_nanos() == 0 && idle.as_secs() <= 32_767 {
        return Ok(());
    }
    Err(Refused::new(
        "it is not in whole seconds, or more than 9 hours",
        "write a duration such as \"60s\", or \"0s\" for none",
    ))
}

fn threads(n: usize) -> Result<(), Refused> {
    match n {
        1..=1024 => Ok(()),
        _ => Err(Refused::new("it is not from 1 to 1024", "leave it out for one thread a core")),
    }
}
