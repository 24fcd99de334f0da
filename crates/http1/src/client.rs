//! An upstream's connection: writes a request, reads its response.
//!
//! Nothing runs by itself. Whoever waits for the response drives the upload too, and whoever reads the response's body goes
//! on with an upload that the upstream has answered early. Dropping any of them closes the connection, which cancels the
//! work behind it.
//!
//! **Errors of an upload.** An upstream that stops reading may still answer, and its answer counts: a failure to write ends
//! the upload alone. If the request's own body breaks off, the connection is given up.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::chunks;
use crate::framing::{BodyError, Framing, Reading, Wire};
use crate::head::{self, Refused, ResponseHead};
use crate::reuse::Reuse;
use crate::scratch::{poll_read, poll_read_behind};
use crate::spelling::Spelling;
use crate::trailers;
use crate::upload::Upload;

/// The largest head of a response, bytes, where nothing else is said. Clouds send up to 8 KiB.
pub const MAX_HEAD: usize = 64 * 1024;

/// Why there is no response.
#[derive(Debug)]
pub enum SendError {
    /// The connection ended before a head was whole.
    Closed,
    /// The connection failed.
    Io(io::Error),
    /// What came is no response, or too large a head.
    Refused(Refused),
    /// What came is a record of TLS: the other side speaks that here.
    Tls,
    /// The request's own body broke off.
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SendError::Closed => f.write_str("the connection ended before a response"),
            SendError::Io(error) => error.fmt(f),
            SendError::Refused(why) => why.fmt(f),
            SendError::Tls => f.write_str("the answer is TLS, not HTTP"),
            SendError::Body(error) => write!(f, "the request's body broke off: {error}"),
        }
    }
}

impl std::error::Error for SendError {}

/// A connection that carries nothing.
#[derive(Debug)]
pub struct Connection<T> {
    io: T,
    max_head: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// A new one.
    pub fn new(io: T) -> Connection<T> {
        Connection { io, max_head: MAX_HEAD }
    }

    /// How large the head of a response may be, bytes, with the interim ones before it.
    #[must_use]
    pub fn with_max_head(self, max_head: usize) -> Connection<T> {
        Connection { max_head, ..self }
    }

    /// The transport.
    pub fn io(&mut self) -> &mut T {
        &mut self.io
    }

    /// Sends a request, with the target and the fields as they are, and waits for the head of its response. Interim
    /// responses are passed over. `spelling`: how its head was written.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the connection is closed.
    pub fn send<B>(
        self,
        request: Request<B>,
        spelling: Option<&Spelling>,
    ) -> impl Future<Output = Result<Response<Reply<T, B>>, SendError>> + use<T, B>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let asked = request.method().clone();
        let (upload, sent) = Upload::new(request, spelling);
        let upload = Some(Box::new(upload));
        let Connection { io, max_head } = self;
        let mut waiting = Waiting { io, upload, read: BytesMut::new(), asked, seen: 0, passed_over: 0, max_head };
        // The future holds nothing twice: one is made for every request.
        async move {
            let head = poll_fn(|cx| waiting.poll_head(cx)).await?;
            let Waiting { io, upload, read, .. } = waiting;
            let ResponseHead { parts, spelling, reading, keep_alive } = head;
            let length = reading.length();
            let reuse = sent.answered(keep_alive && upload.is_none(), parts.status, parts.version, length);
            let reply = Reply { io, read, reading, malformed: false, reuse, upload, spelling: Some(spelling) };
            Ok(Response::from_parts(parts, reply))
        }
    }
}

/// A request on its way, whose response is waited for.
struct Waiting<T, B> {
    io: T,
    upload: Option<Box<Upload<B>>>,
    read: BytesMut,
    asked: Method,
    /// How much of what was read is known to hold no head.
    seen: usize,
    /// Bytes of interim heads and of empty lines.
    passed_over: usize,
    max_head: usize,
}

impl<T, B> Waiting<T, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, SendError>> {
        drive(&mut self.upload, &mut self.io, cx).map_err(|error| SendError::Body(error.into()))?;
        loop {
            match self.head() {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(_) if is_tls(&self.read) => return Poll::Ready(Err(SendError::Tls)),
                Err(why) => return Poll::Ready(Err(SendError::Refused(why))),
            }
            if ready!(poll_read_behind(&mut self.io, cx, &mut self.read)).map_err(SendError::Io)? == 0 {
                let why = if is_tls(&self.read) { SendError::Tls } else { SendError::Closed };
                return Poll::Ready(Err(why));
            }
        }
    }

    /// The head, if it is whole; interim ones are taken off.
    fn head(&mut self) -> Result<Option<ResponseHead>, Refused> {
        loop {
            self.passed_over += head::pass_empty_lines(&mut self.read);
            if self.read.is_empty() || !head::is_worth_reading(&self.read, self.seen) {
                break;
            }
            match head::read_response(&mut self.read, &self.asked)? {
                Some((_, len)) if self.passed_over + len > self.max_head => return Err(Refused::TooLarge),
                Some((head, len)) if is_interim(head.parts.status) => {
                    (self.seen, self.passed_over) = (0, self.passed_over + len);
                }
                Some((head, _)) => return Ok(Some(head)),
                None => break,
            }
        }
        self.seen = self.read.len();
        if self.passed_over + self.seen > self.max_head { Err(Refused::TooLarge) } else { Ok(None) }
    }
}

/// Whether this is how an alert of TLS begins (RFC 8446 §5.1), with which its servers answer what is no handshake.
fn is_tls(read: &[u8]) -> bool {
    read.starts_with(&[0x15, 0x03])
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Goes on with an upload, if there is one that can go on. One that cannot be written is given up, and never
/// goes.
fn drive<T, B>(upload: &mut Option<Box<Upload<B>>>, io: &mut T, cx: &mut Context<'_>) -> Result<(), B::Error>
where
    T: AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    let Some(going) = upload else { return Ok(()) };
    match going.poll_write(io, cx) {
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(whole)) => {
            if whole {
                *upload = None;
            }
            Ok(())
        }
        Poll::Ready(Err(error)) => Err(error),
    }
}

/// A response's body, on the connection that it comes by.
#[derive(Debug)]
pub struct Reply<T, B> {
    io: T,
    /// What was read and not taken.
    read: BytesMut,
    reading: Reading,
    /// What came last is no chunk.
    malformed: bool,
    /// As far as the heads tell.
    reuse: Reuse,
    upload: Option<Box<Upload<B>>>,
    spelling: Option<Spelling>,
}

impl<T, B> Reply<T, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// How its head was written, once.
    pub fn take_spelling(&mut self) -> Option<Spelling> {
        self.spelling.take()
    }

    /// Whether [`poll_wire`](Reply::poll_wire) gives what a body that is framed so is on the wire.
    pub fn is_framed_as(&self, framing: &Framing) -> bool {
        match self.reading {
            Reading::Chunks(_) => matches!(framing, Framing::Chunked(_)),
            Reading::Length(_) => matches!(framing, Framing::Length),
            Reading::ToEnd => *framing == Framing::ToEnd,
        }
    }

    /// Reads what is next of the body as it stands on the wire, into `into`, which should be a whole scratch: data in
    /// the upstream's own chunks, without their extensions and with the trailers that `framing` lets pass. `saw` is shown
    /// the data.
    ///
    /// # Errors
    ///
    /// [`BodyError`]. What was put before it is lost on nobody: the error comes alone, on the next call.
    pub fn poll_wire(
        &mut self,
        cx: &mut Context<'_>,
        framing: &Framing,
        into: &mut [u8],
        mut saw: impl FnMut(&[u8]),
    ) -> Poll<Result<Wire, BodyError>> {
        self.drive(cx)?;
        if self.malformed {
            return Poll::Ready(Err(BodyError::Malformed));
        }
        if self.reading.is_end() {
            return Poll::Ready(Ok(Wire { bytes: 0, ended: true }));
        }
        // There is always room for the end of chunks.
        let room = into.len().saturating_sub(2);
        let place = into.get_mut(..room).unwrap_or_default();
        let read = if self.read.is_empty() {
            let most = self.reading.length().and_then(|n| usize::try_from(n).ok()).unwrap_or(room).min(room);
            ready!(poll_read(&mut self.io, cx, place.get_mut(..most).unwrap_or_default())).map_err(BodyError::Io)?
        } else {
            let now = self.read.len().min(room);
            place[..now].copy_from_slice(&self.read.split_to(now));
            now
        };
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
        if read == 0 {
            self.reading.connection_ended()?;
            return Poll::Ready(Ok(Wire { bytes: 0, ended: true }));
        }
        Poll::Ready(self.follow(read, framing, into, &mut saw))
    }

    /// Goes through `read` bytes of the body that stand in `into`.
    fn follow(
        &mut self,
        read: usize,
        framing: &Framing,
        into: &mut [u8],
        saw: &mut impl FnMut(&[u8]),
    ) -> Result<Wire, BodyError> {
        match &mut self.reading {
            Reading::Length(left) => {
                let now = usize::try_from(*left).map_or(read, |left| left.min(read));
                *left -= now as u64;
                if now < read {
                    self.read.extend_from_slice(&into[now..read]);
                }
                saw(&into[..now]);
                Ok(Wire { bytes: now, ended: *left == 0 })
            }
            Reading::ToEnd => {
                saw(&into[..read]);
                Ok(Wire { bytes: read, ended: false })
            }
            Reading::Chunks(chunks) => {
                let (used, mut bytes, mut sound) = chunks::without_asides(chunks, read, into, saw);
                let ended = chunks.is_end();
                if ended {
                    self.read.extend_from_slice(&into[used..read]);
                    match trailers::read(chunks.trailers()) {
                        Ok(fields) => bytes += framing.end_of_trailers(fields.as_ref(), &mut into[bytes..]),
                        Err(_) => sound = false,
                    }
                }
                // What is sound goes first.
                self.malformed = !sound;
                if !sound {
                    chunks.lose();
                }
                if !sound && bytes == 0 { Err(BodyError::Malformed) } else { Ok(Wire { bytes, ended: ended && sound }) }
            }
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        drive(&mut self.upload, &mut self.io, cx).map_err(|_| BodyError::CutOff)
    }

    /// Whether the body comes in chunks, and what was taken of it so far is whole ones; `None` where it does not.
    pub fn is_between_chunks(&self) -> Option<bool> {
        let Reading::Chunks(chunks) = &self.reading else { return None };
        Some(self.read.is_empty() && chunks.is_between())
    }

    /// Whether all of the body has been taken.
    pub fn is_end(&self) -> bool {
        self.reading.is_end()
    }

    /// Bytes that are yet to come, where the head told it.
    pub fn length(&self) -> Option<u64> {
        self.reading.length()
    }

    /// When the connection may carry another request; see [`reuse`](crate::reuse).
    pub fn reuse(&self) -> Reuse {
        let clear = self.reading.is_end() && self.read.is_empty() && self.upload.is_none();
        if clear { self.reuse } else { Reuse::Never }
    }

    /// The connection, unless it is to be closed. [`Reply::reuse`] tells from when on it may be used.
    pub fn into_idle(self) -> Option<Connection<T>> {
        (self.reuse() != Reuse::Never).then(|| Connection::new(self.io))
    }

    /// The transport and what was read of it behind the head: after a 101.
    pub fn into_switched(self) -> (T, BytesMut) {
        (self.io, self.read)
    }
}

impl<T, B> Body for Reply<T, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.drive(cx)?;
        loop {
            if this.reading.is_end() {
                return Poll::Ready(None);
            }
            if let Some(frame) = this.reading.take(&mut this.read)? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if this.reading.is_end() {
                return Poll::Ready(None);
            }
            if ready!(poll_read_behind(&mut this.io, cx, &mut this.read)).map_err(BodyError::Io)? == 0 {
                this.reading.connection_ended()?;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map(SizeHint::with_exact).unwrap_or_default()
    }
}
