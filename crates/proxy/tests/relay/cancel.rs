//! A client that goes away frees the upstream at once, and leaves one record of what it had.

use std::sync::Arc;

use limpid_core::{Category, Ending};
use limpid_testkit::sim::{SimConfig, SimServer, TraceEnding};
use limpid_testkit::{RawClient, RawServer, Step, request};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::common::{CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, chat, chunk, outcome, streaming};

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Leave {
    Close,
    Reset,
    /// It says that it will send nothing more, and might still listen.
    HalfClose,
}

const ALL: [Leave; 3] = [Leave::Close, Leave::Reset, Leave::HalfClose];

/// Gives back a client that only half left.
async fn leave(mut client: RawClient, how: Leave) -> Option<RawClient> {
    match how {
        Leave::Close => drop(client),
        Leave::Reset => client.reset().unwrap(),
        Leave::HalfClose => {
            client.half_close().await.unwrap();
            return Some(client);
        }
    }
    None
}

/// A half-closed connection cannot be told from a closed one without trying to write, and both are taken as gone (as
/// nginx does): a client that half-closes before its answer is there gets none.
#[tokio::test]
async fn leaving_while_waiting_for_the_head_closes_upstream() {
    for how in ALL {
        let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
        let half = leave(client, how).await;
        server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone), "{how:?}");
        assert_eq!((record.status, record.attempts, record.usage.clone()), (None, 1, None));
        assert_eq!((record.timeline.headers, record.timeline.ttft()), (None, None));
        if let Some(mut client) = half {
            assert_eq!(client.read_to_end(SOON).await.unwrap(), b"");
        }
    }
}

#[tokio::test]
async fn leaving_in_mid_stream_closes_upstream() {
    for how in ALL {
        let two = [chunk(EVENT), chunk(EVENT)].concat();
        let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &two].concat()), Step::ReadToEnd];
        let server = RawServer::start(script).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        client.read_until(&two, SOON).await.unwrap();
        let _half = leave(client, how).await;
        server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone), "{how:?}");
        assert_eq!((record.status, record.token_events), (Some(200), Some(2)));
        assert!(record.timeline.ttft().is_some() && record.timeline.gaps.count() == 1);
    }
}

#[tokio::test]
async fn the_simulator_counts_a_cancelled_stream() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    let rig = Rig::to(sim.addr()).await;
    let mut client = rig.client().await;
    let body = r#"{"model":"m","stream":true,"messages":[],"sim":{"ttft_ms":1,"gap_ms":1,"fault":"stall_forever:5"}}"#;
    client.send(&request("POST", CHAT, &[("X-Request-Id", "r1")], body.as_bytes())).await.unwrap();
    // The role chunk, and five with a token.
    for _ in 0..6 {
        client.read_until(b"\n\n", SOON).await.unwrap();
    }
    drop(client);
    timeout(SOON, sim.stats().until(|s| s.cancelled() == 1)).await.unwrap();
    timeout(SOON, sim.stats().until(|s| s.open_connections() == 0)).await.unwrap();
    assert_eq!(sim.stats().trace("r1").unwrap().ended.unwrap().1, TraceEnding::Cancelled);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert_eq!((record.token_events, record.caller.request_id.as_deref()), (Some(5), Some("r1")));
}

/// The openai client closes at `[DONE]`, before the final chunk of the coding: nothing was lost.
#[tokio::test]
async fn leaving_after_the_last_event_is_no_failure() {
    let stream = [SSE_HEAD, &chunk(EVENT), &chunk(DONE)].concat();
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(stream), Step::ReadToEnd]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(&chunk(DONE), SOON).await.unwrap();
    drop(client);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::ClientGone));
    assert_eq!(record.usage.as_ref().and_then(|u| u.output_tokens), Some(2));
}

#[tokio::test]
async fn leaving_right_after_the_last_byte_is_no_failure() {
    let chunked = [SSE_HEAD, &chunk(EVENT), &chunk(DONE), LAST_CHUNK].concat();
    let sized = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    for (reply, end) in [(chunked, LAST_CHUNK), (sized, &b"\r\n\r\n{}"[..])] {
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply), Step::Repeat]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        for n in 1..=20 {
            let mut client = rig.client().await;
            client.send(&streaming()).await.unwrap();
            client.read_until(end, SOON).await.unwrap();
            client.reset().unwrap();
            rig.records(n).await;
        }
        let records = rig.records(20).await;
        assert!(records.iter().all(|r| (r.outcome.category, r.outcome.ending) == (Category::Ok, Ending::End)));
    }
}

/// The route waits for the model, and the client leaves before it has told it: nothing goes upstream.
#[tokio::test]
async fn leaving_before_the_model_is_known_leaves_one_record() {
    let server = RawServer::start(vec![Step::ReadToEnd]).await.unwrap();
    let models = crate::common::for_models("m", &server.url(), &["m"]);
    let rig = Rig::with(vec![models], |_| {}).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Content-Length", "50")], b"")).await.unwrap();
    client.send(b"{\"messages\":").await.unwrap();
    timeout(SOON, async {
        while rig.sink.started_count() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    drop(client);
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert_eq!((record.status, record.attempts), (None, 0));
    assert!(record.upstream.is_none() && server.seen().is_empty());
}

/// A client whose next request is already on the wire leaves: the first exchange notices it all the same.
#[tokio::test]
async fn leaving_with_a_pipelined_request_is_noticed_in_mid_stream() {
    let go = Arc::new(Notify::new());
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(EVENT)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send(chunk(EVENT)),
        Step::send(chunk(EVENT)),
        Step::ReadToEnd,
    ];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&[streaming(), chat("{}")].concat()).await.unwrap();
    client.read_until(&chunk(EVENT), SOON).await.unwrap();
    client.reset().unwrap();
    // Nothing more is read while a request waits its turn, so the next write tells.
    go.notify_one();
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
    assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "client_gone", Ending::ClientGone));
}
