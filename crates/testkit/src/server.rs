//! A server that plays a script.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::Head;

/// What a [`RawServer`] does on a connection. After the last step it closes the connection cleanly, whatever was
/// advertised before.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends exactly these bytes, in one write if the socket takes them.
    Send(Bytes),
    /// Waits so long.
    Sleep(Duration),
    /// Waits until the test notifies.
    Wait(Arc<Notify>),
    /// Reads until a request's head is there. What follows is left for the next read.
    ReadHead,
    /// Reads until a whole request is there, body included.
    ReadRequest,
    /// Reads, and drops, until the peer closes or resets the connection.
    ReadToEnd,
    /// Goes back to the first step: a keep-alive server of any number of requests.
    Repeat,
    /// Says that nothing more will be sent; the connection stays open.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// [`Step::Send`] of a byte string.
    pub fn send(bytes: impl AsRef<[u8]>) -> Step {
        Step::Send(Bytes::copy_from_slice(bytes.as_ref()))
    }
}

/// What happened on one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The raw bytes of each request (or head) that a read step took.
    pub requests: Vec<Vec<u8>>,
    /// The peer closed or reset the connection.
    pub peer_closed: bool,
    /// The script is at its end, or could not go on.
    pub over: bool,
}

/// A scripted server on a free port of the loopback. Dropping it closes everything.
#[derive(Debug)]
pub struct RawServer {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    requests: Mutex<Vec<Vec<u8>>>,
    changed: Notify,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, connection: usize, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.lock().get_mut(connection) {
            change(seen);
        }
        self.changed.notify_waiters();
    }
}

impl RawServer {
    /// Plays the same script on every connection.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(script: Vec<Step>) -> io::Result<RawServer> {
        RawServer::start_each(vec![script]).await
    }

    /// Plays the first script on the first connection, and so on; the last one on all that follow.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start_each(scripts: Vec<Vec<Step>>) -> io::Result<RawServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, scripts, Arc::clone(&state)));
        Ok(RawServer { addr, state, accepting })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://` and the address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What happened on each connection, in order of their acceptance.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().clone()
    }

    /// All requests, in the order in which they were whole.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `condition` holds for what was seen; it is asked at every change.
    ///
    /// # Errors
    ///
    /// It does not hold after `timeout` (`TimedOut`).
    pub async fn until(&self, timeout: Duration, condition: impl Fn(&[Seen]) -> bool) -> io::Result<()> {
        let holds = async {
            loop {
                let mut changed = std::pin::pin!(self.state.changed.notified());
                // Listen before asking, or a change in between is missed.
                changed.as_mut().enable();
                if condition(&self.state.lock()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(timeout, holds).await.map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, scripts: Vec<Vec<Step>>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut seen = state.lock();
            seen.push(Seen::default());
            seen.len() - 1
        };
        state.changed.notify_waiters();
        let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let player = Player { stream, state: &state, number, buffer: Vec::new() };
            // An error means that the peer is gone.
            if player.play(&script).await.is_err() {
                state.update(number, |seen| seen.peer_closed = true);
            }
            state.update(number, |seen| seen.over = true);
        });
    }
}

struct Player<'a> {
    stream: TcpStream,
    state: &'a State,
    number: usize,
    buffer: Vec<u8>,
}

impl Player<'_> {
    async fn play(mut self, script: &[Step]) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut at = 0;
        while let Some(step) = script.get(at) {
            at += 1;
            match step {
                Step::Send(bytes) => self.stream.write_all(bytes).await?,
                Step::Sleep(time) => tokio::time::sleep(*time).await,
                Step::Wait(notify) => notify.notified().await,
                Step::ReadHead => self.read(false).await?,
                Step::ReadRequest => self.read(true).await?,
                Step::ReadToEnd => {
                    while self.fill().await.is_ok() {
                        self.buffer.clear();
                    }
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Step::Repeat => {
                    at = 0;
                    // A script without a wait must not keep the others from running.
                    tokio::task::yield_now().await;
                }
                Step::HalfClose => self.stream.shutdown().await?,
                Step::Close => return Ok(()),
                Step::Reset => return self.stream.set_zero_linger(),
            }
        }
        Ok(())
    }

    /// Reads one request or its head, and notes its bytes.
    async fn read(&mut self, with_body: bool) -> io::Result<()> {
        let (head, head_length) = loop {
            if let Some(found) = Head::parse(&self.buffer) {
                break found;
            }
            self.fill().await?;
        };
        let mut length = head_length;
        if with_body {
            let mut body = head.request_body();
            loop {
                length += body.feed(&self.buffer[length..]);
                if body.is_complete() || body.malformed {
                    break;
                }
                self.fill().await?;
            }
        }
        let rest = self.buffer.split_off(length);
        let request = std::mem::replace(&mut self.buffer, rest);
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        self.state.update(self.number, |seen| seen.requests.push(request));
        Ok(())
    }

    /// Reads more; an error at the end of the connection.
    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
