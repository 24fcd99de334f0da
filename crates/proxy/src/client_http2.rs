//! A client's connection over HTTP/2: hyper serves it, and this watches over its time.
//!
//! **Unused.** One rule for all that a client may leave undone: a connection on which no request is open has
//! `header_timeout`, as one of HTTP/1.1 has. So a preface without SETTINGS, a head whose `CONTINUATION` does not come, and
//! a client that is done all end alike. It is told by GOAWAY, and if it does not close upon that, it is closed: after a
//! moment if it never asked for anything, else after as long again, for it may still be reading the end of its last reply.
//! While another request is open, half a head costs what h2 has read of it, within `max_head_bytes`.
//!
//! **Draining.** GOAWAY goes out, and hyper waits for the client to answer a PING. One that does not (a machine asleep) holds
//! nothing up: without an open request the connection is closed after [`DRAINED`].
//!
//! **Silent.** hyper sends a PING when nothing has come for `http2_ping_interval`, and gives the connection up when it is not
//! answered; its exchanges are then those of a client that has gone.
//!
//! **Floods.** h2 bounds what a client can make it do: streams that are reset before they are served (20 at a time, then
//! `ENHANCE_YOUR_CALM`; CVE-2023-44487), faults that it answers with resets (1,024), `CONTINUATION`s of one head,
//! fields in all (`max_head_bytes`). Answers to PINGs and SETTINGS are written before more is read.

use std::convert::Infallible;
use std::io::Cursor;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Client, begins};
use crate::connect::chain;
use crate::request_body::ClientBody;
use crate::response_body::{BrokenOff, ResponseBody};
use crate::shared::ServerConfig;
use crate::{life, upgrade};

/// Streams that a client may have open on one connection.
const MAX_STREAMS: u32 = 200;
/// How long a client that never asked for anything may take to close after GOAWAY.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection of a drain may stay without an open request: a client may still be reading its last reply.
const DRAINED: Duration = Duration::from_secs(5);

/// How connections are served.
pub(crate) fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
    let max_list = u32::try_from(config.max_head_bytes).unwrap_or(u32::MAX);
    let mut http2 = Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_header_list_size(max_list)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(config.http2_ping_interval)
        .keep_alive_timeout(config.http2_ping_timeout);
    http2
}

/// Serves a connection. `read`: what was read of it already.
pub(crate) async fn serve(client: Client, stream: TcpStream, read: BytesMut) {
    let Client { shared, worker, protocols, mut draining, peer } = client;
    let requests = Requests::new();
    let counted = Arc::clone(&requests);
    let service = service_fn(move |request: Request<Incoming>| {
        let open = counted.begin();
        let request = request.map(ClientBody::Http2);
        let live = Box::pin(life::live(Arc::clone(&shared), worker, request, upgrade::Slot::default()));
        async move { Ok::<_, Infallible>(live.await.map(|body| Counted { body, _open: open })) }
    });
    let (from, to) = stream.into_split();
    let io = TokioIo::new(tokio::io::join(Cursor::new(read).chain(from), to));
    let mut connection = pin!(protocols.http2.serve_connection(io, service));
    let limit = protocols.header_timeout;
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = begins(&mut draining) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = requests.drained() => None,
            }
        }
        () = requests.unused_for(limit) => {
            connection.as_mut().graceful_shutdown();
            let patience = if requests.asked.load(Ordering::Relaxed) { limit } else { LINGER };
            tokio::time::timeout(patience, connection.as_mut()).await.ok()
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%peer, error = chain(&error), "client connection ended"),
        None => tracing::debug!(%peer, "an unused client connection is closed"),
    }
}

/// The requests that are open on a connection.
struct Requests {
    begin: Instant,
    open: AtomicUsize,
    /// Whether there ever was one.
    asked: AtomicBool,
    /// When the last of them ended, after the begin, ns.
    ended: AtomicU64,
}

impl Requests {
    fn new() -> Arc<Requests> {
        let (open, ended) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Requests { begin: Instant::now(), open, asked: AtomicBool::new(false), ended })
    }

    fn begin(self: &Arc<Requests>) -> OpenRequest {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.asked.store(true, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Ready once none has been open for [`DRAINED`] from now on.
    async fn drained(&self) {
        sleep(DRAINED).await;
        self.unused_for(DRAINED).await;
    }

    /// Ready once none has been open for that long. Nothing wakes it in between: it looks again when that could be.
    async fn unused_for(&self, limit: Duration) {
        loop {
            if self.open.load(Ordering::Relaxed) > 0 {
                sleep(limit).await;
                continue;
            }
            let until = self.begin + Duration::from_nanos(self.ended.load(Ordering::Relaxed)) + limit;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// One of them.
struct OpenRequest(Arc<Requests>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.ended.store(now, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body; its request is open until it is gone.
struct Counted {
    body: ResponseBody,
    _open: OpenRequest,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
