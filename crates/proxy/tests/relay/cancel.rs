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
    /// Its kernel says that it ends, and to what is written then that nobody is there.
    Close,
    Reset,
    /// It says that it will send nothing more, listens, and then is gone after all.
    HalfCloseAndReset,
}

const ALL: [Leave; 3] = [Leave::Close, Leave::Reset, Leave::HalfCloseAndReset];

async fn leave(mut client: RawClient, how: Leave) {
    match how {
        Leave::Close => drop(client),
        Leave::Reset => client.reset().unwrap(),
        Leave::HalfCloseAndReset => {
            client.half_close().await.unwrap();
            client.reset().unwrap();
        }
    }
}

#[tokio::test]
async fn leaving_while_waiting_for_the_head_closes_upstream() {
    for how in ALL {
        let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
        leave(client, how).await;
        server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone), "{how:?}");
        assert_eq!((record.status, record.attempts, record.usage.clone()), (None, 1, None));
        assert_eq!((record.timeline.headers, record.timeline.ttft()), (None, None));
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
        leave(client, how).await;
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

/// A half-close is no departure while an answer is owed: the head, the events and the end come, whenever it was.
#[tokio::test]
async fn a_client_that_half_closes_gets_its_whole_answer() {
    let events = [chunk(EVENT), chunk(EVENT), chunk(DONE), LAST_CHUNK.to_vec()];
    for after in 0..=events.len() {
        let go = Arc::new(Notify::new());
        let mut script = vec![Step::ReadRequest];
        let mut before = SSE_HEAD.to_vec();
        if after == 0 {
            script.push(Step::Wait(Arc::clone(&go)));
        }
        script.push(Step::send(SSE_HEAD));
        for (n, event) in events.iter().enumerate() {
            if n + 1 == after {
                script.push(Step::Wait(Arc::clone(&go)));
            }
            if n + 1 < after {
                before.extend_from_slice(event);
            }
            script.push(Step::send(event.clone()));
        }
        let server = RawServer::start(script).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        let mut got = Vec::new();
        if after > 0 {
            got = client.read_until(&before[before.len() - 4..], SOON).await.unwrap();
            while got.len() < before.len() {
                got.extend(client.read_until(&before[before.len() - 4..], SOON).await.unwrap());
            }
        }
        client.half_close().await.unwrap();
        server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        go.notify_one();
        got.extend(client.read_to_end(SOON).await.unwrap());
        let whole = [SSE_HEAD, &events.concat()].concat();
        // A leading zero of the chunk's size may ask whether it is still there.
        let asked = [&before[..], b"0", &whole[before.len()..]].concat();
        assert!(got == whole || (after > 0 && got == asked), "{after}: {}", got.escape_ascii());
        let record = rig.record().await;
        assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End), "{after}");
        assert_eq!(record.token_events, Some(2));
    }
}

/// Whatever the framing and the version; and limpid's own answers.
#[tokio::test]
async fn a_half_close_costs_no_kind_of_answer() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let to_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc";
    for (reply, ask, want) in [
        (sized, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", sized.to_owned()),
        (sized, "GET / HTTP/1.0\r\n\r\n", sized.replace("1.1", "1.0")),
        (to_end, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nabc".to_owned()),
    ] {
        let go = Arc::new(Notify::new());
        let script = vec![Step::ReadRequest, Step::Wait(Arc::clone(&go)), Step::send(reply)];
        let server = RawServer::start(script).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(ask.as_bytes()).await.unwrap();
        client.half_close().await.unwrap();
        server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        go.notify_one();
        let got = client.read_to_end(SOON).await.unwrap();
        assert_eq!(got.escape_ascii().to_string(), want.as_bytes().escape_ascii().to_string());
        assert_eq!(outcome(&rig.record().await), (Category::Ok, "ok", Ending::End));
    }
    let rig = Rig::with(vec![crate::common::upstream("only", "http://127.0.0.1:1")], |_| {}).await;
    let mut client = rig.client().await;
    client.send(&chat("{}")).await.unwrap();
    client.half_close().await.unwrap();
    assert!(client.read_to_end(SOON).await.unwrap().starts_with(b"HTTP/1.1 502 Bad Gateway\r\n"));
}

/// Requests that came before the half-close are answered, one after the other; then the connection ends.
#[tokio::test]
async fn a_half_close_behind_pipelined_requests_ends_behind_the_last_answer() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply), Step::Repeat]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&[chat("{}"), chat("{}"), chat("{}")].concat()).await.unwrap();
    client.half_close().await.unwrap();
    assert_eq!(client.read_to_end(SOON).await.unwrap(), reply.repeat(3).as_bytes());
    assert!(rig.records(3).await.iter().all(|r| r.outcome.category == Category::Ok));
}

/// A client whose next request is on the wire already, and that is not answered yet, is watched all the same.
#[tokio::test]
async fn leaving_with_a_pipelined_request_is_noticed_in_silence() {
    for how in ALL {
        let server = RawServer::start(vec![Step::ReadRequest, Step::ReadToEnd]).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let mut client = rig.client().await;
        client.send(&[streaming(), chat("{}")].concat()).await.unwrap();
        server.until(SOON, |seen| seen.first().is_some_and(|s| s.requests.len() == 1)).await.unwrap();
        leave(client, how).await;
        server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
        assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "client_gone", Ending::ClientGone), "{how:?}");
    }
}
