//! An upstream's side: a transport that gives pieces and keeps what is written.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use limpid_http1::client::{Connection, Reply};
use limpid_http1::framing::Framing;
use limpid_http1::fuzz;
use limpid_http1::scratch::Scratch;
use limpid_http1::spelling::Spelling;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::plain::{self, Head};

/// What is known of a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Empty where there is none.
    head: Vec<u8>,
    data: Vec<u8>,
    /// Whether it ended well; `None` where there is no head.
    pub(super) ended: Option<bool>,
}

/// What became of a reply that is passed on as it stands.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) seen: Seen,
    pub(super) wire: Vec<u8>,
    /// Bytes that were read.
    pub(super) used: usize,
    /// The connection may carry another request.
    pub(super) idle: bool,
}

/// Passes a reply on as it stands.
pub(super) fn by_wire(bytes: &[u8], cut: usize, asked: &Method) -> Passed {
    let mut passed = Passed { seen: Seen::default(), wire: Vec::new(), used: 0, idle: false };
    let Some((mut reply, head, io)) = begun(bytes, cut, asked) else { return passed };
    let announced: Box<[HeaderName]> = Box::new([HeaderName::from_static("x-a")]);
    let framing = [Framing::Length, Framing::ToEnd, Framing::Chunked(announced)];
    let framing = framing.iter().find(|framing| reply.is_framed_as(framing)).unwrap_or(&Framing::None);
    let (mut scratch, mut data) = (Scratch::take(), Vec::new());
    let mut polls = 0..bytes.len() + 4;
    let ended = loop {
        assert!(polls.next().is_some(), "no progress");
        match reply.poll_wire(&mut nobody(), framing, &mut scratch, |part| data.extend_from_slice(part)) {
            Poll::Pending => panic!("waits for nothing"),
            Poll::Ready(Err(_)) => break false,
            Poll::Ready(Ok(part)) => {
                passed.wire.extend_from_slice(&scratch[..part.bytes]);
                if part.ended {
                    break true;
                }
            }
        }
    };
    if matches!(framing, Framing::Chunked(_)) {
        assert_eq!(plain::begun(&passed.wire), data, "another body is passed on than seen");
        assert_eq!(plain::decoded(&passed.wire).is_some(), ended, "a body that breaks off ends well, or the other way");
    } else {
        assert_eq!(passed.wire, data, "another body is passed on than seen");
    }
    passed.idle = reply.into_idle().is_some();
    passed.seen = Seen { head, data, ended: Some(ended) };
    passed.used = io.borrow().used;
    passed
}

/// Takes a reply's frames.
pub(super) fn by_frames(bytes: &[u8], cut: usize, asked: &Method) -> Seen {
    let Some((mut reply, head, _)) = begun(bytes, cut, asked) else { return Seen::default() };
    let (mut data, mut polls) = (Vec::new(), 0..bytes.len() + 4);
    let ended = loop {
        assert!(polls.next().is_some(), "no progress");
        match Pin::new(&mut reply).poll_frame(&mut nobody()) {
            Poll::Pending => panic!("waits for nothing"),
            Poll::Ready(None) => break true,
            Poll::Ready(Some(Err(_))) => break false,
            Poll::Ready(Some(Ok(frame))) => data.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
        }
    };
    Seen { head, data, ended: Some(ended) }
}

/// What goes up of a request, to an upstream that only reads.
pub(super) fn sent(request: Request<Given>, spelling: Option<&Spelling>) -> Vec<u8> {
    let (io, kept) = Pieces::new(&[], 1);
    let answered = poll(Connection::new(io).send(request, spelling));
    assert!(answered.is_err(), "nobody answered");
    kept.take().written
}

type Begun = (Reply<Pieces, Given>, Vec<u8>, Rc<RefCell<Kept>>);

/// A reply whose head is read, and that head as it goes on.
fn begun(bytes: &[u8], cut: usize, asked: &Method) -> Option<Begun> {
    let (io, kept) = Pieces::new(bytes, cut);
    let mut request = Request::new(Given::new(VecDeque::new(), Some(0)));
    *request.method_mut() = asked.clone();
    let response: Response<_> = poll(Connection::new(io).send(request, None)).ok()?;
    let (parts, mut reply) = response.into_parts();
    let written = fuzz::written_response(&parts, reply.take_spelling().as_ref());
    let Some(head) = Head::of_response(&written) else { panic!("a head is passed on that is none") };
    assert_eq!((head.len, &*head.first[0]), (written.len(), parts.status.as_str().as_bytes()));
    let fields = parts.headers.iter().map(|(n, v)| (n.as_str().as_bytes().to_vec(), v.as_bytes().to_vec()));
    let lower = head.fields.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone()));
    assert!(fields.eq(lower), "other fields are passed on");
    Some((reply, written, kept))
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Polls what never has to wait.
fn poll<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut nobody()) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("waits for nothing"),
    }
}

/// A request's body whose frames are there.
#[derive(Debug)]
pub(super) struct Given {
    frames: VecDeque<Frame<Bytes>>,
    length: Option<u64>,
}

impl Given {
    /// `length`: of all its data, where the head tells it.
    pub(super) fn new(frames: VecDeque<Frame<Bytes>>, length: Option<u64>) -> Given {
        Given { frames, length }
    }
}

impl Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().frames.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// What is left of a transport.
#[derive(Debug, Default)]
struct Kept {
    used: usize,
    written: Vec<u8>,
}

/// A transport that gives these bytes in pieces, and then ends.
#[derive(Debug)]
struct Pieces {
    rest: VecDeque<u8>,
    cut: usize,
    /// What is left of the piece that is being given.
    now: usize,
    kept: Rc<RefCell<Kept>>,
}

impl Pieces {
    fn new(bytes: &[u8], cut: usize) -> (Pieces, Rc<RefCell<Kept>>) {
        let kept = Rc::default();
        (Pieces { rest: bytes.iter().copied().collect(), cut, now: cut, kept: Rc::clone(&kept) }, kept)
    }
}

impl AsyncRead for Pieces {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let count = this.now.min(this.rest.len()).min(into.remaining());
        into.put_slice(&this.rest.drain(..count).collect::<Vec<_>>());
        this.now = if this.now == count { this.cut } else { this.now - count };
        this.kept.borrow_mut().used += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.kept.borrow_mut().written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
