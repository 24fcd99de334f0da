//! WebSocket: after the upstream's 101, and only then, two connections become one (RFC 6455, RFC 9110 §7.8).
//!
//! The request goes up with its `Connection: upgrade`, `Upgrade: websocket` and `Sec-WebSocket-*`. Any answer but a 101 is
//! a response like all others. No other protocol is passed on: what cannot be followed cannot be bounded either.
//!
//! Each direction has one buffer of [`BUFFER`] bytes: what one side does not take is not read from the other. The frames
//! are followed from the side, to tell a goodbye from a cut, and the upstream's text messages are shown to the observer
//! after they are passed on. Time limits for streams do not apply: a session may be silent, unless it has a limit of its own.
//!
//! **Endings.** The end of one side is passed on as a half-close, and the other has [`LINGER`] to end as well; a reset ends
//! both at once. If a close frame went either way, that was the end. If not, who ended first broke off. Where no byte passes
//! for too long, neither way, both are closed. The drain waits,
//! and breaks off what is still open when its time is up: the future of [`Splice::run`] is dropped, and with it both
//! connections and the exchange, which settles as `shutdown`.

use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use limpid_core::{Clock, Ending, Endpoint, RelayFailure, Tick};
use limpid_http1::server::Switched;
use limpid_observe::CloseWatch;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::connect::Stream;
use crate::exchange::Exchange;
use crate::forward::Answer;
use crate::request_body::RequestTap;
use crate::response_body::ResponseBody;
use crate::{headers, reply};

/// Bytes under way in each direction, at most.
const BUFFER: usize = 16 * 1024;

/// How long one side may take to end after the other did.
const LINGER: Duration = Duration::from_secs(5);

/// Whether the request asks to switch to WebSocket.
pub(crate) fn asked<B>(request: &Request<B>) -> bool {
    let fields = request.headers();
    *request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(fields, &CONNECTION, "upgrade")
        && fields.get_all(UPGRADE).iter().count() == 1
        && has_token(fields, &UPGRADE, "websocket")
        && !fields.contains_key(TRANSFER_ENCODING)
        && fields.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Responses over WebSocket is what Realtime is: a session of many responses.
pub(crate) fn classify(head: &Parts) -> Endpoint {
    match limpid_route::classify(&Method::POST, head.uri.path()) {
        Endpoint::Realtime | Endpoint::Responses => Endpoint::Realtime,
        _ => limpid_route::classify(&head.method, head.uri.path()),
    }
}

fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers::listed(fields, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// Where a connection's service leaves what is to be done when the connection has answered.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Splice>>>);

impl Slot {
    /// What was left, once.
    pub(crate) fn take(&self) -> Option<Splice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Two connections that are about to become one.
pub(crate) struct Splice {
    upstream: Stream,
    /// What was read of it already.
    read: BytesMut,
    exchange: Exchange,
    clock: Clock,
    silence: Silence,
}

/// The upstream's 101 as the client gets it; the rest is left in `slot`. `idle`: how long nothing may pass.
pub(crate) fn switch(
    answer: Answer,
    mut exchange: Exchange,
    clock: Clock,
    idle: Option<Duration>,
    slot: &Slot,
) -> Response<ResponseBody> {
    let (mut parts, mut reply) = answer.response.into_parts();
    let spelling = reply.take_spelling();
    exchange.answered(parts.status.as_u16(), &parts.headers);
    // Only a connection of HTTP/1.1 can switch, and only such a one was asked for.
    let Some((upstream, read)) = reply.into_switched() else { return reply::answer(exchange, RelayFailure::Internal) };
    parts.headers = headers::response(parts.headers, parts.status, Version::HTTP_11);
    parts.version = Version::HTTP_11;
    let silence = Silence { limit: idle, began: Instant::now(), moved_ns: AtomicU64::new(0) };
    let splice = Splice { upstream, read, exchange, clock, silence };
    *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(splice);
    Response::from_parts(parts, ResponseBody::none_behind(spelling))
}

/// Who ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Upstream,
    /// Both were silent for too long.
    Neither,
}

/// For how long nothing has passed, in either direction.
struct Silence {
    limit: Option<Duration>,
    began: Instant,
    moved_ns: AtomicU64,
}

impl Silence {
    fn something_passed(&self) {
        let moved = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved_ns.store(moved, Ordering::Relaxed);
    }

    /// Ready when it has been too long. The timer is not armed anew for each read.
    async fn too_long(&self) {
        let Some(limit) = self.limit else { return std::future::pending().await };
        loop {
            let until = self.began + Duration::from_nanos(self.moved_ns.load(Ordering::Relaxed)) + limit;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Splice {
    /// Relays until both sides have ended.
    pub(crate) async fn run(self, client: Switched) {
        let Splice { upstream, read, mut exchange, clock, silence } = self;
        let Some(tap) = exchange.tap() else { return };
        let (first, closed) = relay(client, (upstream, read), &mut exchange, &tap, &clock, &silence).await;
        let ending = match first {
            _ if closed => Ending::End,
            Side::Client => Ending::ClientGone,
            Side::Upstream => {
                exchange.failed(RelayFailure::BodyCutOff);
                Ending::UpstreamError
            }
            Side::Neither => {
                exchange.failed(RelayFailure::IdleTimeout);
                Ending::UpstreamError
            }
        };
        exchange.finish(ending);
    }
}

/// Who ended first, and whether one of them had said goodbye. Both connections are closed after it.
async fn relay(
    client: Switched,
    (upstream, read): (Stream, BytesMut),
    exchange: &mut Exchange,
    tap: &RequestTap,
    clock: &Clock,
    silence: &Silence,
) -> (Side, bool) {
    let (from_client, to_client) = (Cursor::new(client.read).chain(client.from), client.to);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let from_upstream = Cursor::new(read).chain(from_upstream);
    let (mut client_said, mut upstream_said) = (CloseWatch::default(), CloseWatch::default());
    let first = {
        let mut up = pin!(copy(from_client, to_upstream, clock, |data, _| {
            silence.something_passed();
            tap.passed(data.len());
            client_said.feed(data);
        }));
        let mut down = pin!(copy(from_upstream, to_client, clock, |data, at| {
            silence.something_passed();
            exchange.saw(data, at, Duration::ZERO);
            upstream_said.feed(data);
        }));
        tokio::select! {
            ended = &mut up => match ended {
                Ok(()) => {
                    let _late = tokio::time::timeout(LINGER, &mut down).await;
                    Side::Client
                }
                Err(Broken::Read) => Side::Client,
                Err(Broken::Write) => Side::Upstream,
            },
            ended = &mut down => match ended {
                Ok(()) => {
                    let _late = tokio::time::timeout(LINGER, &mut up).await;
                    Side::Upstream
                }
                Err(Broken::Read) => Side::Upstream,
                Err(Broken::Write) => Side::Client,
            },
            () = silence.too_long() => Side::Neither,
        }
    };
    (first, client_said.closed() || upstream_said.closed())
}

/// Which end of a direction broke.
enum Broken {
    Read,
    Write,
}

/// One direction, up to its end, which is passed on. Bytes are passed on first and looked at then.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    clock: &Clock,
    mut look: impl FnMut(&[u8], Tick),
) -> Result<(), Broken> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await.map_err(|_| Broken::Read)?;
        let at = clock.now();
        let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else { break };
        let written = pass_on(&mut to, data).await;
        look(data, at);
        written.map_err(|_| Broken::Write)?;
    }
    to.shutdown().await.map_err(|_| Broken::Write)
}

async fn pass_on(to: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> io::Result<()> {
    to.write_all(data).await?;
    to.flush().await
}
