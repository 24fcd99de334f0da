//! Events come when they are due, and a client that leaves is noticed.

use std::time::Duration;

use super::*;
use crate::{EventKind, TraceEnding};

fn millis(stamps: &[limpid_core::Tick], from: limpid_core::Tick) -> Vec<u128> {
    stamps.iter().map(|at| at.since(from).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_chunk_is_sent_at_ttft_and_so_many_gaps() {
    let mut client = Client::new().await;
    client.post(CHAT, chat(json!({"ttft_ms": 70, "gap_ms": 7, "tokens": 5, "tail_ms": 3}))).await;
    let trace = client.stats.trace("r1").unwrap();
    assert_eq!(millis(&trace.tokens(), trace.arrived), [70, 77, 84, 91, 98]);
    // Role, five tokens, finish, [DONE].
    let sent = client.stats.sent("r1").unwrap();
    assert_eq!(millis(&sent, trace.arrived), [0, 70, 77, 84, 91, 98, 101, 101]);
    assert_eq!(trace.events[0].1, EventKind::Structure);
    assert_eq!(trace.ended.map(|(_, ending)| ending), Some(TraceEnding::Completed));
}

#[tokio::test(start_paused = true)]
async fn head_preamble_and_stall_have_their_own_times() {
    let mut client = Client::new().await;
    let sim = json!({"headers_ms": 20, "preamble_ms": 30, "ttft_ms": 50, "gap_ms": 10, "tokens": 4,
                     "stall_after": 2, "stall_ms": 1000});
    let before = Instant::now();
    let response = client.start(CHAT, chat(sim)).await.unwrap();
    assert_eq!(before.elapsed().as_millis(), 20);
    response.into_body().collect().await.unwrap();
    let trace = client.stats.trace("r1").unwrap();
    assert_eq!(millis(&client.stats.sent("r1").unwrap(), trace.arrived)[..5], [30, 50, 60, 1070, 1080]);
}

#[tokio::test(start_paused = true)]
async fn lateness_does_not_add_up() {
    let mut client = Client::new().await;
    // Off the timer's grid: each event is less than 1 ms late, the last one too.
    client.post(CHAT, chat(json!({"ttft_ms": 10.3, "gap_ms": 1.7, "tokens": 200}))).await;
    let trace = client.stats.trace("r1").unwrap();
    for (k, at) in trace.tokens().iter().enumerate() {
        let late = at.since(trace.arrived).as_secs_f64() * 1e3 - (10.3 + 1.7 * k as f64);
        assert!((0.0..=1.0).contains(&late), "chunk {k} is {late} ms late");
    }
}

#[tokio::test(start_paused = true)]
async fn reasoning_comes_first_on_the_same_grid() {
    let mut client = Client::new().await;
    let sim = json!({"ttft_ms": 10, "gap_ms": 5, "tokens": 5, "reasoning_tokens": 3, "tokens_per_chunk": 2});
    client.post("/v1/messages", chat(sim)).await;
    let trace = client.stats.trace("r1").unwrap();
    let kinds: Vec<_> = trace.events.iter().map(|(_, kind)| *kind).filter(|kind| kind.is_token()).collect();
    assert_eq!(kinds, [EventKind::Reasoning; 2].into_iter().chain([EventKind::Content; 3]).collect::<Vec<_>>());
    assert_eq!(millis(&trace.tokens(), trace.arrived), [10, 15, 20, 25, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_one_piece_comes_when_its_stream_would_end() {
    let mut client = Client::new().await;
    let mut request = chat(json!({"ttft_ms": 40, "gap_ms": 10, "tokens": 4}));
    request["stream"] = false.into();
    let before = Instant::now();
    client.post(CHAT, request).await;
    assert_eq!(before.elapsed().as_millis(), 70);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_in_mid_stream_is_noticed_at_once() {
    let mut client = Client::new().await;
    let mut response = client.start(CHAT, chat(json!({"ttft_ms": 10, "gap_ms": 1000, "tokens": 50}))).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(client.stats.cancelled(), 0);
    let left_at = client.stats.clock().now();
    client.connection.abort();
    drop(response);
    client.stats.until(|s| s.cancelled() == 1).await;
    let trace = client.stats.trace("r1").unwrap();
    assert_eq!(trace.ended, Some((left_at, TraceEnding::Cancelled)));
    assert_eq!(trace.tokens().len(), 1);
    client.served.await.unwrap();
    assert_eq!(client.stats.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_head_is_noticed_too() {
    let client = Client::new().await;
    let Client { mut send, stats, connection, .. } = client;
    let request = Request::post(CHAT).header("x-request-id", "r1");
    let request = request.body(Full::from(chat(json!({"headers_ms": 60_000, "ttft_ms": 60_000})).to_string())).unwrap();
    let waiting = tokio::spawn(async move { send.send_request(request).await });
    stats.until(|s| s.requests() == 1).await;
    connection.abort();
    stats.until(|s| s.cancelled() == 1).await;
    assert!(waiting.await.unwrap().is_err());
    let trace = stats.trace("r1").unwrap();
    assert!(trace.ended.unwrap().0.since(trace.arrived) < Duration::from_secs(1));
}
