//! The upstream that plays a case, and the client that plays its other side.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::case::{After, Case, Exchange, Pace};
use crate::wire::{Framing, Kind, Message, Progress, Unframer, framing, head, head_length, read};

/// What a passing case never waits for.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// One run of a case.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the upstream saw of each request, in order of arrival.
    pub(crate) seen: Vec<Message>,
    /// What the client got.
    pub(crate) got: Vec<Message>,
    /// What the client was sent after its last reply.
    pub(crate) rest: Vec<u8>,
    /// Something that was waited for did not come.
    pub(crate) stuck: Late,
}

/// A case that is being run.
struct Stage {
    case: Case,
    taken: Mutex<usize>,
    seen: watch::Sender<Vec<Option<Message>>>,
    /// How far requests have come at the upstream, and replies at the client.
    up: Arc<watch::Sender<Progress>>,
    down: Arc<watch::Sender<Progress>>,
}

/// A server for all cases, one at a time.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    stage: Arc<Mutex<Option<Arc<Stage>>>>,
    accepting: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stage = Arc::<Mutex<Option<Arc<Stage>>>>::default();
        let current = Arc::clone(&stage);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, Arc::clone(&current)));
            }
        });
        Upstream { addr, stage, accepting }
    }

    /// Runs a case against whatever stands at `addr`: this upstream itself, or a proxy before it.
    pub(crate) async fn run(&self, case: &Case, addr: SocketAddr) -> Run {
        let stage = Arc::new(Stage {
            case: case.clone(),
            taken: Mutex::new(0),
            seen: watch::Sender::new(Vec::new()),
            up: Arc::new(watch::Sender::new((0, 0))),
            down: Arc::new(watch::Sender::new((0, 0))),
        });
        *self.stage.lock().unwrap() = Some(Arc::clone(&stage));
        let (got, rest, stuck) = talk(&stage, addr).await;
        // The upstream may still be reading the request of a client that left.
        let all = case.exchanges.len();
        let mut seen = stage.seen.subscribe();
        let over = seen.wait_for(|s| s.len() >= all && s.iter().all(Option::is_some));
        let late = tokio::time::timeout(SOON, over).await.is_err();
        let seen = stage.seen.borrow().iter().flatten().cloned().collect();
        Run { seen, got, rest, stuck: stuck.or(late.then_some("the upstream for requests")) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection of the upstream, which lives as long as the peer wants: through many cases.
async fn serve(mut stream: TcpStream, current: Arc<Mutex<Option<Arc<Stage>>>>) {
    let mut buffer = Vec::new();
    loop {
        if buffer.is_empty() && stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return;
        }
        let Some(stage) = current.lock().unwrap().clone() else { return };
        let mut number = 0;
        let begin = || {
            let mut taken = stage.taken.lock().unwrap();
            stage.seen.send_modify(|all| all.push(None));
            number = *taken;
            *taken += 1;
            number
        };
        let Some(message) = read(&mut stream, &mut buffer, Kind::Request, begin, &stage.up).await else { return };
        let whole = message.end == crate::wire::End::Complete;
        stage.seen.send_modify(|all| {
            if let Some(slot) = all.get_mut(number) {
                *slot = Some(message);
            }
        });
        let Some(exchange) = stage.case.exchanges.get(number).filter(|_| whole) else { return };
        if !reply(&mut stream, exchange, number, &stage).await {
            return;
        }
    }
}

/// Whether the connection goes on.
async fn reply(stream: &mut TcpStream, exchange: &Exchange, number: usize, stage: &Stage) -> bool {
    let end = match exchange.after {
        After::Keep | After::Close => exchange.reply.len(),
        After::Cut(at) | After::Reset(at) => at,
    };
    let kind = Kind::Reply(exchange.request.starts_with(b"HEAD "));
    let told = write(stream, &exchange.reply[..end], kind, &exchange.down, number, &stage.down).await;
    if let After::Reset(_) = exchange.after {
        // A reset takes away what was not read yet, so the client has it all by then.
        let Some(told) = told else { return false };
        wait_for(&stage.down, told).await;
        stream.set_zero_linger().unwrap();
    }
    exchange.after == After::Keep
}

/// Writes the bytes at their pace. Answers how far the other end should come by them.
async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    kind: Kind,
    pace: &Pace,
    number: usize,
    other: &watch::Sender<Progress>,
) -> Option<Progress> {
    let (mut from, mut unframer, mut taken) = (0, None::<Unframer>, 0);
    let mut told = None;
    for to in pace.cuts.ends(bytes.len()) {
        stream.write_all(&bytes[std::mem::replace(&mut from, to)..to]).await.ok()?;
        if unframer.is_none()
            && let Some((found, length)) = body(&bytes[..to], kind)
        {
            (unframer, taken) = (Some(Unframer::new(found)), length);
        }
        if let Some(unframer) = &mut unframer {
            taken += unframer.feed(&bytes[taken..to]);
            told = Some((number, 1 + unframer.body.len()));
        }
        match told {
            Some(told) if pace.lockstep && to < bytes.len() => {
                if !wait_for(other, told).await {
                    return None;
                }
            }
            _ => tokio::task::yield_now().await,
        }
    }
    told
}

/// The framing of what has its head in `bytes`, and where its body begins.
fn body(bytes: &[u8], kind: Kind) -> Option<(Framing, usize)> {
    let mut begin = 0;
    loop {
        let length = head_length(&bytes[begin..])?;
        let (line, fields) = head(&bytes[begin..begin + length - 4])?;
        begin += length;
        if kind == Kind::Request || line.get(9) != Some(&b'1') {
            return Some((framing(kind, &line, &fields), begin));
        }
    }
}

async fn wait_for(progress: &watch::Sender<Progress>, told: Progress) -> bool {
    let mut progress = progress.subscribe();
    let come = progress.wait_for(|now| *now >= told);
    tokio::time::timeout(SOON, come).await.is_ok_and(|r| r.is_ok())
}

/// What the client waited for in vain.
type Late = Option<&'static str>;

/// The client's side: what it got, what came after that.
async fn talk(stage: &Stage, addr: SocketAddr) -> (Vec<Message>, Vec<u8>, Late) {
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let (mut got, mut buffer, mut late) = (Vec::new(), Vec::new(), None);
    let numbered = || stage.case.exchanges.iter().enumerate();
    if stage.case.pipelined {
        let sending = async {
            for (number, exchange) in numbered() {
                send(stage, &mut writing, exchange, number).await;
            }
        };
        let receiving = async {
            for (number, exchange) in numbered() {
                late = late.or(receive(stage, &mut reading, &mut buffer, exchange, number, &mut got).await);
            }
        };
        tokio::join!(sending, receiving);
    } else {
        for (number, exchange) in numbered() {
            let told = send(stage, &mut writing, exchange, number).await;
            if exchange.request_cut.is_some() {
                let reached = if let Some(told) = told { wait_for(&stage.up, told).await } else { false };
                return (got, buffer, (!reached).then_some("the upstream for a part of a request"));
            }
            late = late.or(receive(stage, &mut reading, &mut buffer, exchange, number, &mut got).await);
        }
    }
    // The client says that nothing follows, so the other end closes; what it still says is too much.
    drop(writing);
    let rest = reading.read_to_end(&mut buffer);
    if tokio::time::timeout(SOON, rest).await.is_err() {
        late = late.or(Some("the client for the end of its connection"));
    }
    (got, buffer, late)
}

async fn send(stage: &Stage, to: &mut OwnedWriteHalf, exchange: &Exchange, number: usize) -> Option<Progress> {
    let sent = &exchange.request[..exchange.request_cut.unwrap_or(exchange.request.len())];
    write(to, sent, Kind::Request, &exchange.up, number, &stage.up).await
}

async fn receive(
    stage: &Stage,
    from: &mut OwnedReadHalf,
    buffer: &mut Vec<u8>,
    exchange: &Exchange,
    number: usize,
    got: &mut Vec<Message>,
) -> Late {
    let kind = Kind::Reply(exchange.request.starts_with(b"HEAD "));
    let reply = read(from, buffer, kind, || number, &stage.down);
    let Ok(message) = tokio::time::timeout(SOON, reply).await else { return Some("the client for a reply") };
    got.extend(message);
    None
}
