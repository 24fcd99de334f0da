//! A client that sends and reads exact bytes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use limpid_core::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::wire::{Body, Head, Read, Reply, ReplyEnd};

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    clock: Clock,
    /// Read, and not taken yet.
    buffer: Vec<u8>,
}

/// The bytes of a request: the request line, `host` and, for a body or a method that has one, `content-length`, then
/// `headers` in their order. What `headers` names itself (also `transfer-encoding`) is not added.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut head = vec![format!("{method} {path} HTTP/1.1")];
    if !given("host") {
        head.push("host: localhost".to_owned());
    }
    let has_body = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
    if has_body && !given("content-length") && !given("transfer-encoding") {
        head.push(format!("content-length: {}", body.len()));
    }
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.push("\r\n".to_owned());
    let mut bytes = head.join("\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a request on a new connection and reads the reply.
///
/// # Errors
///
/// The connection cannot be made or written to. What happens to the reply stands in [`Reply::end`].
pub async fn exchange(addr: SocketAddr, request: &[u8], timeout: Duration) -> io::Result<Reply> {
    let mut client = RawClient::connect(addr).await?;
    client.send(request).await?;
    Ok(client.read_reply(timeout).await)
}

impl RawClient {
    /// Connects, with nodelay; stamps come from a clock of its own.
    ///
    /// # Errors
    ///
    /// The connection cannot be made.
    pub async fn connect(addr: SocketAddr) -> io::Result<RawClient> {
        RawClient::connect_with(addr, Clock::system()).await
    }

    /// Connects; stamps come from `clock`.
    ///
    /// # Errors
    ///
    /// The connection cannot be made.
    pub async fn connect_with(addr: SocketAddr, clock: Clock) -> io::Result<RawClient> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(RawClient { stream, clock, buffer: Vec::new() })
    }

    /// The client's own address.
    ///
    /// # Errors
    ///
    /// The socket is not connected any more.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    ///
    /// The peer closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will be sent; reading goes on.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Closes with a reset instead of a clean end.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Reads what comes next: at least one byte, or nothing at the end of the connection.
    ///
    /// # Errors
    ///
    /// The connection was reset; nothing came within `timeout` (`TimedOut`).
    pub async fn read_some(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill(Instant::now() + timeout).await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads until `needle` came, and returns all up to and with it.
    ///
    /// # Errors
    ///
    /// The connection ended (`UnexpectedEof`) or was reset; the needle did not come within `timeout` (`TimedOut`).
    pub async fn read_until(&mut self, needle: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + timeout;
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..].windows(needle.len().max(1)).position(|w| w == needle);
            if let Some(at) = found {
                let rest = self.buffer.split_off(searched + at + needle.len());
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len().saturating_sub(needle.len());
            if self.fill(deadline).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads until the peer ends the connection.
    ///
    /// # Errors
    ///
    /// The connection was reset, or is open after `timeout` (`TimedOut`).
    pub async fn read_to_end(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + timeout;
        while self.fill(deadline).await? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads one response; interim ones (1xx) are skipped. It returns after `timeout` at the latest, with what came.
    pub async fn read_reply(&mut self, timeout: Duration) -> Reply {
        self.read_reply_to(false, timeout).await
    }

    /// The same for the response to a HEAD request, which has no body whatever its headers say.
    pub async fn read_head_reply(&mut self, timeout: Duration) -> Reply {
        self.read_reply_to(true, timeout).await
    }

    async fn read_reply_to(&mut self, to_head: bool, timeout: Duration) -> Reply {
        let deadline = Instant::now() + timeout;
        let mut reading = Reading::new(to_head);
        if !self.buffer.is_empty() {
            let read = std::mem::take(&mut self.buffer);
            reading.take(&read, &self.clock);
        }
        let end = loop {
            if let Some(end) = reading.over() {
                break end;
            }
            match self.fill(deadline).await {
                Ok(0) => break reading.at_eof(),
                Ok(_) => {
                    let read = std::mem::take(&mut self.buffer);
                    reading.take(&read, &self.clock);
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => break ReplyEnd::Timeout,
                Err(_) => break ReplyEnd::Reset,
            }
        };
        self.buffer = std::mem::take(&mut reading.pending);
        reading.into_reply(end)
    }

    async fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        self.buffer.reserve(64 << 10);
        match timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
            Ok(read) => read,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A response that is being read.
struct Reading {
    to_head: bool,
    head: Option<Head>,
    body: Option<Body>,
    reads: Vec<Read>,
    raw: Vec<u8>,
    /// Not understood yet; in the end, what belongs to the next response.
    pending: Vec<u8>,
}

impl Reading {
    fn new(to_head: bool) -> Reading {
        Reading { to_head, head: None, body: None, reads: Vec::new(), raw: Vec::new(), pending: Vec::new() }
    }

    fn take(&mut self, read: &[u8], clock: &Clock) {
        let at = clock.now();
        self.raw.extend_from_slice(read);
        self.pending.extend_from_slice(read);
        let before = self.body.as_ref().map_or(0, |b| b.data.len());
        while self.head.is_none() {
            let Some((head, length)) = Head::parse(&self.pending) else { break };
            self.pending.drain(..length);
            if !(100..200).contains(&head.status()) || head.status() == 101 {
                self.body = Some(head.response_body(self.to_head));
                self.head = Some(head);
            }
        }
        if let Some(body) = &mut self.body {
            let used = body.feed(&self.pending);
            self.pending.drain(..used);
            self.reads.push(Read { at, body_bytes: body.data.len() - before });
        } else {
            self.reads.push(Read { at, body_bytes: 0 });
        }
    }

    fn over(&self) -> Option<ReplyEnd> {
        let (head, body) = (self.head.as_ref()?, self.body.as_ref()?);
        if head.status() == 0 || body.malformed {
            return Some(ReplyEnd::Malformed);
        }
        body.is_complete().then_some(ReplyEnd::Complete)
    }

    fn at_eof(&self) -> ReplyEnd {
        let proper = self.body.as_ref().is_some_and(Body::ends_with_connection);
        if proper { ReplyEnd::Complete } else { ReplyEnd::Eof }
    }

    fn into_reply(mut self, end: ReplyEnd) -> Reply {
        let head = self.head.take().unwrap_or(Head { line: String::new(), headers: Vec::new() });
        self.raw.truncate(self.raw.len() - self.pending.len());
        let (body, chunks) = self.body.take().map_or_else(Default::default, |b| (b.data, b.chunks));
        let status = head.status();
        Reply {
            status,
            status_line: head.line,
            headers: head.headers,
            body,
            chunks,
            reads: self.reads,
            end,
            raw: self.raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_its_caller_left_out() {
        assert_eq!(request("GET", "/", &[], b""), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let own = request("POST", "/", &[("Host", "a"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n");
        assert_eq!(own, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    }
}
