//! The clients: all in one thread, a task for each connection, so that they leave the two or so cores to the proxies.
//!
//! Every byte is compared with what the backend must have written; a stream in which anything is lost, repeated,
//! reordered or changed has failed. From a gateway that writes events of its own only the text is compared.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::wire::{Message, Order, SHORT_REPLY, end_events, marks, now_ns, role_event, text_event};

/// How one contender is reached.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) port: u16,
    /// Whether events are compared byte for byte.
    pub(crate) exact: bool,
}

/// What streams gave.
#[derive(Default)]
pub(crate) struct Streams {
    /// Arrival less stamp of each event with text, µs.
    pub(crate) event_us: Vec<u64>,
    /// From the beginning of the connection to the first event with text, µs.
    pub(crate) first_us: Vec<u64>,
    /// Streams that came whole.
    pub(crate) whole: usize,
    pub(crate) failed: usize,
    /// Why the first one failed.
    pub(crate) failure: Option<String>,
}

/// How far streams are, for who counts while they run.
#[derive(Default)]
pub(crate) struct Progress {
    /// Streams that have their first text.
    pub(crate) begun: AtomicUsize,
    /// Streams that came to their end, whole or not.
    pub(crate) ended: AtomicUsize,
    /// Events with text.
    pub(crate) events: AtomicU64,
}

/// Runs `count` streams, whose starts are spread over `ramp`.
pub(crate) async fn streams(target: Target, count: usize, order: Order, ramp: Duration) -> Streams {
    streams_told(target, count, order, ramp, &Arc::default()).await
}

/// The same, and tells how far they are.
pub(crate) async fn streams_told(
    target: Target,
    count: usize,
    order: Order,
    ramp: Duration,
    told: &Arc<Progress>,
) -> Streams {
    let begin = Instant::now();
    // Who writes events of its own may fall far behind the backend and still deliver everything.
    let late = Duration::from_secs(if target.exact { 30 } else { 150 });
    let patience = Duration::from_micros(order.first_us + order.gap_us * order.events) + late;
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let order = Order { stream: number as u64, ..order };
        let start = begin + ramp.mul_f64(number as f64 / count as f64);
        let told = Arc::clone(told);
        tasks.spawn(async move {
            sleep_until(start).await;
            let whole = timeout(patience, stream(target, order, &told)).await;
            told.ended.fetch_add(1, Ordering::Relaxed);
            whole.unwrap_or_else(|_| Err("it did not end".to_owned()))
        });
    }
    let mut all = Streams::default();
    while let Some(result) = tasks.join_next().await {
        match result.map_err(|error| error.to_string()).and_then(|result| result) {
            Ok((first, events)) => {
                all.whole += 1;
                all.first_us.push(first);
                all.event_us.extend(events);
            }
            Err(why) => {
                all.failed += 1;
                all.failure.get_or_insert(why);
            }
        }
    }
    all
}

async fn stream(target: Target, order: Order, told: &Progress) -> Result<(u64, Vec<u64>), String> {
    let began = now_ns();
    let mut socket = connect(target.port).await.map_err(|error| format!("to connect: {error}"))?;
    socket.write_all(&order.request()).await.map_err(|error| format!("to write: {error}"))?;
    let mut buffer = vec![0; 4096];
    let (mut message, mut body) = (Message::default(), Vec::new());
    let mut reader = Reader::new(order, target.exact);
    while !message.done() {
        let n = socket.read(&mut buffer).await.map_err(|error| format!("to read: {error}"))?;
        let arrived = now_ns();
        if n == 0 {
            return Err(format!("it broke off after {:?} and {} events", message.first_line, reader.event_us.len()));
        }
        message.feed(&buffer[..n], &mut body)?;
        let before = reader.event_us.len();
        reader.read(&mut body, arrived)?;
        let new = reader.event_us.len() - before;
        told.events.fetch_add(new as u64, Ordering::Relaxed);
        if new > 0 && reader.first_ns.is_none() {
            reader.first_ns = Some(arrived);
            told.begun.fetch_add(1, Ordering::Relaxed);
        }
    }
    if !message.first_line.contains(" 200") {
        return Err(format!("{} {}", message.first_line, String::from_utf8_lossy(&body)));
    }
    reader.finish(&body)?;
    let first = reader.first_ns.ok_or("no text came")?;
    Ok((first.saturating_sub(began) / 1000, reader.event_us))
}

/// Checks a stream's events as they come.
struct Reader {
    order: Order,
    exact: bool,
    event_us: Vec<u64>,
    first_ns: Option<u64>,
    /// What is not text: the role before it, and the end.
    other: Vec<u8>,
}

impl Reader {
    fn new(order: Order, exact: bool) -> Reader {
        let room = usize::try_from(order.events).unwrap_or(0);
        Reader { order, exact, event_us: Vec::with_capacity(room), first_ns: None, other: Vec::new() }
    }

    /// Takes the whole events out of `body`.
    fn read(&mut self, body: &mut Vec<u8>, arrived: u64) -> Result<(), String> {
        let mut from = 0;
        while let Some(length) = body[from..].windows(2).position(|w| w == b"\n\n") {
            let event = &body[from..from + length + 2];
            from += event.len();
            let Some((stream, number, stamp)) = marks(event) else {
                self.other.extend_from_slice(event);
                continue;
            };
            let expected = self.event_us.len() as u64;
            if (stream, number) != (self.order.stream, expected) {
                return Err(format!("event {number} of stream {stream} came for event {expected}"));
            }
            if self.exact && (stamp > arrived || event != text_event(stream, number, stamp)) {
                return Err(format!("event {number} was changed: {}", String::from_utf8_lossy(event)));
            }
            self.event_us.push(arrived.saturating_sub(stamp) / 1000);
        }
        body.drain(..from);
        Ok(())
    }

    /// Whether all came.
    fn finish(&self, rest: &[u8]) -> Result<(), String> {
        if self.event_us.len() as u64 != self.order.events {
            return Err(format!("{} of {} events came", self.event_us.len(), self.order.events));
        }
        let mut expected = role_event(self.order.stream);
        expected.extend_from_slice(&end_events(self.order.stream, self.order.events));
        if self.exact && (self.other != expected || !rest.is_empty()) {
            return Err("the first or the last events were changed".to_owned());
        }
        Ok(())
    }
}

/// Opens streams that say one thing and then nothing; gives them once all have their first text.
pub(crate) async fn idle(target: Target, count: usize) -> Result<Vec<TcpStream>, String> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let order = Order { stream: number, events: 2, first_us: 20_000, gap_us: 3_600_000_000 };
        let mut socket = connect(target.port).await.map_err(|error| error.to_string())?;
        socket.write_all(&order.request()).await.map_err(|error| error.to_string())?;
        open.push(socket);
    }
    for socket in &mut open {
        let mut seen = Vec::new();
        while !seen.windows(7).any(|w| w == b"e000000") {
            let read = timeout(Duration::from_secs(30), socket.read_buf(&mut seen)).await;
            match read {
                Ok(Ok(n)) if n > 0 => {}
                Ok(Ok(_)) => return Err("an idle stream was closed".to_owned()),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err("an idle stream's text did not come".to_owned()),
            }
        }
    }
    Ok(open)
}

/// Requests for short replies, which go round.
#[derive(Clone)]
pub(crate) struct Requests(Arc<(Vec<Vec<u8>>, AtomicUsize)>);

impl Requests {
    /// These, one after another and again.
    pub(crate) fn in_turn(all: Vec<Vec<u8>>) -> Requests {
        Requests(Arc::new((all, AtomicUsize::new(0))))
    }

    fn next(&self) -> &[u8] {
        let (all, turn) = &*self.0;
        &all[turn.fetch_add(1, Ordering::Relaxed) % all.len()]
    }
}

/// What short requests gave.
#[derive(Default)]
pub(crate) struct Replies {
    /// From writing the request to the reply's last byte, µs.
    pub(crate) took_us: Vec<u64>,
    pub(crate) failed: usize,
    pub(crate) failure: Option<String>,
}

/// `clients` connections, one request after another on each: `rate` a second in all, or as fast as they are answered.
pub(crate) async fn requests(
    target: Target,
    clients: usize,
    rate: Option<usize>,
    lasts: Duration,
    requests: &Requests,
) -> Replies {
    let begin = Instant::now();
    let period = rate.map(|rate| Duration::from_secs_f64(clients as f64 / rate as f64));
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let offset = period.unwrap_or_default().mul_f64(number as f64 / clients as f64);
        tasks.spawn(client(target, begin + offset, period, begin + lasts, requests.clone()));
    }
    let mut all = Replies::default();
    while let Some(result) = tasks.join_next().await {
        match result.map_err(|error| error.to_string()) {
            Ok((took, failure)) => {
                all.took_us.extend(took);
                all.failed += usize::from(failure.is_some());
                all.failure = all.failure.or(failure);
            }
            Err(why) => all.failure = Some(why),
        }
    }
    all
}

/// Each of the requests once, over each of `clients` connections: whoever serves a connection has met them all.
pub(crate) async fn once_each(target: Target, clients: usize, requests: &Requests) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let requests = requests.clone();
        tasks.spawn(async move {
            let mut socket = connect(target.port).await.map_err(|error| error.to_string())?;
            for request in &requests.0.0 {
                request_once(&mut socket, request).await?;
            }
            Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string()).and_then(|whole| whole)?;
    }
    Ok(())
}

/// One client, until the end or its first failure.
async fn client(
    target: Target,
    start: Instant,
    period: Option<Duration>,
    end: Instant,
    requests: Requests,
) -> (Vec<u64>, Option<String>) {
    let mut took = Vec::new();
    let mut due = start;
    let mut socket = match connect(target.port).await {
        Ok(socket) => socket,
        Err(error) => return (took, Some(error.to_string())),
    };
    while due < end && Instant::now() < end {
        if let Some(period) = period {
            sleep_until(due).await;
            due += period;
        }
        let began = now_ns();
        match timeout(Duration::from_secs(10), request_once(&mut socket, requests.next())).await {
            Ok(Ok(())) => took.push((now_ns() - began) / 1000),
            Ok(Err(why)) => return (took, Some(why)),
            Err(_) => return (took, Some("no reply within 10 s".to_owned())),
        }
    }
    (took, None)
}

async fn request_once(socket: &mut TcpStream, request: &[u8]) -> Result<(), String> {
    socket.write_all(request).await.map_err(|error| error.to_string())?;
    let (mut message, mut body) = (Message::default(), Vec::new());
    let mut buffer = [0; 2048];
    while !message.done() {
        let n = socket.read(&mut buffer).await.map_err(|error| error.to_string())?;
        if n == 0 {
            return Err("the connection was closed".to_owned());
        }
        message.feed(&buffer[..n], &mut body)?;
    }
    if body != SHORT_REPLY.as_bytes() {
        return Err(format!("{}: {}", message.first_line, String::from_utf8_lossy(&body)));
    }
    Ok(())
}

/// The body of a page.
pub(crate) async fn get(port: u16, path: &str) -> Result<String, String> {
    let mut socket = connect(port).await.map_err(|error| error.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    socket.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let (mut message, mut body, mut buffer) = (Message::default(), Vec::new(), vec![0; 16 * 1024]);
    while !message.done() {
        let n = socket.read(&mut buffer).await.map_err(|error| error.to_string())?;
        if n == 0 {
            return Err(format!("{path} broke off"));
        }
        message.feed(&buffer[..n], &mut body)?;
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
