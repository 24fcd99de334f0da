//! The bytes that backend and clients agree on: the order in a prompt, the events of a stream, a reply's body.
//!
//! Every event has the same length and says which stream it is of, which event, and when it was written (nanoseconds of
//! `CLOCK_MONOTONIC`, which all processes of a machine share). These stand in the text that the model would have
//! written, so that they survive a gateway that reads each event and writes its own.

use std::io::Write;

/// Nanoseconds of the machine's monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// What the backend is asked to stream.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    /// The stream's number, in each of its events.
    pub(crate) stream: u64,
    /// How many events with text.
    pub(crate) events: u64,
    /// From the request to the first of them, microseconds.
    pub(crate) first_us: u64,
    /// Between two of them, microseconds.
    pub(crate) gap_us: u64,
}

impl Order {
    /// The request, as a client writes it.
    pub(crate) fn request(&self) -> Vec<u8> {
        let Order { stream, events, first_us, gap_us } = self;
        post(
            "",
            "sk-bench",
            &format!(
                r#"{{"model":"bench","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"bench {stream} {events} {first_us} {gap_us}"}}]}}"#
            ),
        )
    }

    /// Finds the order in a request's body.
    pub(crate) fn find(body: &[u8]) -> Option<Order> {
        let text = std::str::from_utf8(body).ok()?;
        let (_, rest) = text.split_once("\"bench ")?;
        let mut numbers = rest.split('"').next()?.split(' ').map(|number| number.parse().ok());
        Some(Order {
            stream: numbers.next()??,
            events: numbers.next()??,
            first_us: numbers.next()??,
            gap_us: numbers.next()??,
        })
    }
}

/// A request for a short reply that is no stream.
pub(crate) fn short_request() -> Vec<u8> {
    short_request_as("", "sk-bench", "bench")
}

/// The same with a path's beginning, a key and a model of its own.
pub(crate) fn short_request_as(path: &str, key: &str, model: &str) -> Vec<u8> {
    let body =
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"What is the capital of France?"}}]}}"#);
    post(path, key, &body)
}

/// Its reply's body.
pub(crate) const SHORT_REPLY: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The capital of France is Paris."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":8,"total_tokens":22}}"#;

fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path}/v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The first event: the role, no text.
pub(crate) fn role_event(stream: u64) -> Vec<u8> {
    chunk(
        stream,
        r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]"#,
    )
}

/// An event with text.
pub(crate) fn text_event(stream: u64, event: u64, stamp_ns: u64) -> Vec<u8> {
    chunk(
        stream,
        &format!(
            r#""choices":[{{"index":0,"delta":{{"content":" s{stream:08}e{event:06}t{stamp_ns:020}"}},"logprobs":null,"finish_reason":null}}]"#
        ),
    )
}

/// The last events: the reason, the usage, the end.
pub(crate) fn end_events(stream: u64, events: u64) -> Vec<u8> {
    let mut out = chunk(stream, r#""choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#);
    let usage = format!(
        r#""choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{events},"total_tokens":{}}}"#,
        events + 9
    );
    out.extend_from_slice(&chunk(stream, &usage));
    out.extend_from_slice(b"data: [DONE]\n\n");
    out
}

fn chunk(stream: u64, rest: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // Writing to a Vec does not fail.
    let _ = write!(
        out,
        "data: {{\"id\":\"chatcmpl-{stream:08}\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"bench\",{rest}}}\n\n"
    );
    out
}

/// Stream, number and stamp out of an event with text, whoever wrote it; none for other events.
pub(crate) fn marks(event: &[u8]) -> Option<(u64, u64, u64)> {
    let at = event.windows(2).position(|w| w == b" s")? + 2;
    let text = std::str::from_utf8(event.get(at..at + 36)?).ok()?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse().ok();
    (text.get(8..9) == Some("e") && text.get(15..16) == Some("t"))
        .then(|| Some((number(0, 8)?, number(9, 15)?, number(16, 36)?)))?
}

/// Takes an HTTP/1.1 message apart as it comes: the body without its transfer coding.
#[derive(Default)]
pub(crate) struct Message {
    state: State,
    line: Vec<u8>,
    /// The first line, and what the head says of the body.
    pub(crate) first_line: String,
    length: u64,
    chunked: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Head,
    Counted(u64),
    Size,
    Chunk(u64),
    AfterChunk,
    Trailer,
    Done,
}

impl Message {
    /// Whether the message has ended.
    pub(crate) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on; the body's bytes go to `body`. Gives how many bytes were taken: all, unless the message has ended.
    pub(crate) fn feed(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, String> {
        let mut taken = 0;
        while taken < bytes.len() && !self.done() {
            let rest = &bytes[taken..];
            if let State::Counted(left) | State::Chunk(left) = self.state {
                let n = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                body.extend_from_slice(&rest[..n]);
                taken += n;
                self.state = match (self.state, left - n as u64) {
                    (State::Counted(_), 0) => State::Done,
                    (State::Counted(_), left) => State::Counted(left),
                    (_, 0) => State::AfterChunk,
                    (_, left) => State::Chunk(left),
                };
                continue;
            }
            let end = rest.iter().position(|&byte| byte == b'\n');
            self.line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            taken += end.map_or(rest.len(), |at| at + 1);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.state = self.next(String::from_utf8_lossy(&line).trim_end())?;
            }
        }
        Ok(taken)
    }

    /// The state after a line.
    fn next(&mut self, line: &str) -> Result<State, String> {
        Ok(match self.state {
            State::Head if line.is_empty() => match (self.chunked, self.length) {
                (true, _) => State::Size,
                (false, 0) => State::Done,
                (false, length) => State::Counted(length),
            },
            State::Head => {
                self.head_line(line)?;
                State::Head
            }
            State::Size => match u64::from_str_radix(line.split(';').next().unwrap_or(line).trim(), 16) {
                Ok(0) => State::Trailer,
                Ok(size) => State::Chunk(size),
                Err(_) => return Err(format!("a chunk's size reads {line:?}")),
            },
            State::AfterChunk => State::Size,
            State::Trailer if line.is_empty() => State::Done,
            other => other,
        })
    }

    fn head_line(&mut self, line: &str) -> Result<(), String> {
        if self.first_line.is_empty() {
            line.clone_into(&mut self.first_line);
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("a header reads {line:?}"))?;
        if name.eq_ignore_ascii_case("content-length") {
            self.length = value.trim().parse().map_err(|_| format!("content-length is {value:?}"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
        Ok(())
    }
}
