//! The numbers against the truth: the simulator stamps each event with the same clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use limpid_core::{Clock, Fault, Retryable};
use limpid_testkit::sim::{SimConfig, SimServer};
use limpid_testkit::{RawServer, Step, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::common::{CHAT, DONE, LAST_CHUNK, Rig, SOON, SSE_HEAD, chunk, streaming, upstream, whole};

const MS: Duration = Duration::from_millis(1);

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn times_agree_with_the_simulators_stamps() {
    const STREAMS: usize = 20;
    let clock = Clock::system();
    let sim = SimServer::start(SimConfig { clock: clock.clone(), ..SimConfig::default() }).await.unwrap();
    let shared = clock.clone();
    let rig = Rig::with(vec![upstream("sim", &sim.url())], |config| config.clock = shared).await;
    let mut client = rig.client().await;
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[],
        "sim":{"ttft_ms":12,"gap_ms":3,"tokens":30,"stall_after":10,"stall_ms":15,"input_tokens":77}}"#;
    for n in 0..STREAMS {
        let id = format!("r{n}");
        client.send(&request("POST", CHAT, &[("x-request-id", &id)], body.as_bytes())).await.unwrap();
        assert!(whole(&client.read_reply(SOON).await));
    }
    let (mut first, mut stall, mut tpot) = (Vec::new(), Vec::new(), Vec::new());
    for record in rig.records(STREAMS).await {
        let trace = sim.stats().trace(record.caller.request_id.as_deref().unwrap()).unwrap();
        let sent = trace.tokens();
        let marks = &record.timeline.marks;
        // A mark cannot be earlier than the moment before the write that it tells of.
        assert!(marks.first_token.unwrap() >= sent[0] && marks.last_token.unwrap() >= sent[29]);
        assert!(record.timeline.arrived <= trace.arrived);
        first.push(marks.first_token.unwrap().since(sent[0]));
        let true_stall = sent.windows(2).map(|w| w[1].since(w[0])).max().unwrap();
        stall.push(record.timeline.stall.unwrap().abs_diff(true_stall));
        let true_tpot = sent[29].since(sent[0]) / 29;
        tpot.push(record.tpot().unwrap().abs_diff(true_tpot));
        assert_eq!((record.token_events, record.timeline.gaps.count()), (Some(30), 29));
        let usage = record.usage.as_ref().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(77), Some(30)));
        assert!(
            record.timeline.overhead().unwrap() < SOON && record.timeline.upstream_ttft() <= record.timeline.ttft()
        );
    }
    let (first, stall, tpot) = (median(first), median(stall), median(tpot));
    assert!(first < MS && stall < MS && tpot < MS, "TTFT off by {first:?}, stall by {stall:?}, TPOT by {tpot:?}");
}

#[tokio::test]
async fn what_a_reply_does_not_tell_stays_absent() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = Rig::to(sim.addr()).await;
    let none = r#"{"model":"m","stream":true,"messages":[],"sim":{"ttft_ms":0,"gap_ms":0,"tokens":5,"usage":"never"}}"#;
    let plain = r#"{"model":"m","messages":[],"sim":{"ttft_ms":0,"gap_ms":0,"tokens":5,"input_tokens":3}}"#;
    for body in [none, plain] {
        assert!(whole(&rig.ask(&request("POST", CHAT, &[], body.as_bytes())).await));
    }
    let records = rig.records(2).await;
    let (none, plain) = (&records[0], &records[1]);
    assert_eq!((none.usage.as_ref(), none.tpot(), none.token_events), (None, None, Some(5)));
    assert!(none.timeline.ttft().is_some() && none.timeline.reader_lag.is_none_or(|lag| lag < SOON));
    assert_eq!((plain.timeline.ttft(), plain.timeline.stall, plain.token_events), (None, None, None));
    assert_eq!(plain.usage.as_ref().unwrap().output_tokens, Some(5));
    assert!(!plain.stream && plain.timeline.first_byte().is_some());
}

/// A clock that stands still until it is moved, and counts how often it is asked.
#[derive(Default)]
struct Hand {
    nanos: AtomicU64,
    asked: AtomicU64,
}

impl Hand {
    fn clock(self: &Arc<Hand>) -> Clock {
        let hand = Arc::clone(self);
        Clock::from_fn(SystemTime::UNIX_EPOCH, move || {
            hand.asked.fetch_add(1, Ordering::AcqRel);
            Duration::from_nanos(hand.nanos.load(Ordering::Acquire))
        })
    }

    fn advance(&self, by: Duration) {
        self.nanos.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::AcqRel);
    }

    /// Waits until nobody has asked for 300 ms: the relay has nothing to do. (It asks once a frame.)
    async fn quiet(&self) {
        loop {
            let before = self.asked.load(Ordering::Acquire);
            tokio::time::sleep(300 * MS).await;
            if self.asked.load(Ordering::Acquire) == before {
                return;
            }
        }
    }
}

/// A client that stops reading holds the stream up. That is no stall of the model's.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_charged_with_its_own_delay() {
    const HOUR: Duration = Duration::from_secs(3600);
    // More than all the sockets' buffers between the two ends take (16 MiB at the most here).
    let text = "y".repeat(64 << 10);
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let mut stream = SSE_HEAD.to_vec();
    for _ in 0..400 {
        stream.extend_from_slice(&chunk(event.as_bytes()));
    }
    stream.extend_from_slice(&[&chunk(DONE), LAST_CHUNK].concat());
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(stream), Step::ReadToEnd]).await.unwrap();
    let hand = Arc::new(Hand::default());
    let clock = hand.clock();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.clock = clock).await;

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut client = socket.connect(rig.addr).await.unwrap();
    client.write_all(&streaming()).await.unwrap();
    client.read_exact(&mut [0; 1000]).await.unwrap();
    // Every buffer is full now, and the relay waits for the client alone.
    hand.quiet().await;
    assert!(rig.sink.records().is_empty());
    hand.advance(HOUR);
    let mut buffer = vec![0; 1 << 20];
    let mut tail = Vec::new();
    while !tail.ends_with(LAST_CHUNK) {
        let read = tokio::time::timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap();
        assert_ne!(read, 0);
        tail.extend_from_slice(&buffer[..read]);
        tail.drain(..tail.len().saturating_sub(LAST_CHUNK.len()));
    }
    let record = rig.record().await;
    assert_eq!(record.timeline.reader_lag, Some(HOUR));
    assert_eq!((record.timeline.stall, record.token_events), (Some(Duration::ZERO), Some(400)));
}

/// The same pause, made by the upstream: then it is a stall, and the reader has no part in it.
#[tokio::test]
async fn a_slow_upstream_is_charged_with_the_stall() {
    const HOUR: Duration = Duration::from_secs(3600);
    let go = Arc::new(tokio::sync::Notify::new());
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(crate::common::EVENT)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send([chunk(crate::common::EVENT), chunk(DONE), LAST_CHUNK.to_vec()].concat()),
        Step::ReadToEnd,
    ];
    let server = RawServer::start(script).await.unwrap();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let own = clock.clone();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.clock = own).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(&chunk(crate::common::EVENT), SOON).await.unwrap();
    // The relay has handed the first event over; let it find that there is nothing more yet.
    tokio::task::yield_now().await;
    clock.advance(HOUR);
    go.notify_one();
    client.read_until(LAST_CHUNK, SOON).await.unwrap();
    let record = rig.record().await;
    assert_eq!((record.timeline.stall, record.timeline.reader_lag), (Some(HOUR), None));
    assert_eq!(record.timeline.ttft(), Some(Duration::ZERO));
    assert_eq!(record.tpot(), Some(HOUR));
    assert_eq!(record.timeline.total(), HOUR);
}

#[tokio::test]
async fn a_head_that_tells_of_limits_is_in_the_record() {
    const HEAD: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                        Retry-After: 20\r\nretry-after-ms: 1250\r\nX-RateLimit-Limit-Requests: 60\r\n\
                        X-RateLimit-Remaining-Requests: 0\r\nx-ratelimit-reset-requests: 6m0s\r\n\r\n{}";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(HEAD), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let reply = rig.ask(&request("POST", CHAT, &[], b"{}")).await;
    assert!(whole(&reply));
    let record = rig.record().await;
    let told = record.rate_limits.as_deref().unwrap();
    assert_eq!(told.retry_after, Some(MS * 1250));
    assert_eq!((told.requests.limit, told.requests.remaining), (Some(60), Some(0)));
    assert_eq!(told.requests.reset, Some(Duration::from_secs(360)));
    assert_eq!((record.outcome.fault, record.outcome.retryable), (Some(Fault::Client), Some(Retryable::Later)));
}
