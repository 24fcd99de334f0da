//! Stopping: streams may finish, idle connections close, what takes too long is broken off and recorded as that.

use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Category, Ending};
use limpid_proxy::Drained;
use limpid_testkit::{RawClient, RawServer, Step};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::common::{DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, always, chat, chunk, outcome, streaming, upstream};

#[tokio::test]
async fn a_stream_under_way_may_finish_and_idle_connections_close() {
    let go = Arc::new(Notify::new());
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(EVENT)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send([chunk(EVENT), chunk(DONE), LAST_CHUNK.to_vec()].concat()),
    ];
    let scripts = vec![always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), script];
    let server = RawServer::start_each(scripts).await.unwrap();
    let mut only = upstream("only", &server.url());
    only.max_idle_connections = 0;
    let mut rig = Rig::with(vec![only], |_| {}).await;

    let mut fresh = rig.client().await;
    let mut idle = rig.client().await;
    idle.send(&chat("{}")).await.unwrap();
    assert_eq!(idle.read_reply(SOON).await.status, 200);
    let mut busy = rig.client().await;
    busy.send(&streaming()).await.unwrap();
    busy.read_until(&chunk(EVENT), SOON).await.unwrap();

    let addr = rig.addr;
    let drain = rig.drain();
    assert_eq!(idle.read_to_end(SOON).await.unwrap(), b"", "closed");
    assert_eq!(fresh.read_to_end(SOON).await.unwrap(), b"", "closed");
    assert!(RawClient::connect(addr).await.is_err(), "the listener is closed");
    assert!(!drain.is_finished(), "it waits for the stream");
    go.notify_one();
    let rest = busy.read_to_end(SOON).await.unwrap();
    assert!(rest.ends_with(&[&chunk(DONE)[..], LAST_CHUNK].concat()), "whole, and then closed");
    assert_eq!(timeout(SOON, drain).await.unwrap().unwrap(), Drained { broken_off: 0 });
    let records = rig.records(2).await;
    assert_eq!(outcome(&records[1]), (Category::Ok, "stop", Ending::End));
}

#[tokio::test]
async fn what_takes_too_long_is_broken_off() {
    let scripts = vec![
        vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd],
        vec![Step::ReadRequest, Step::ReadToEnd],
    ];
    let server = RawServer::start_each(scripts).await.unwrap();
    let mut rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.drain_timeout = Duration::from_millis(50);
    })
    .await;
    let mut streams = rig.client().await;
    streams.send(&streaming()).await.unwrap();
    streams.read_until(&chunk(EVENT), SOON).await.unwrap();
    let mut waits = rig.client().await;
    waits.send(&streaming()).await.unwrap();
    server.until(SOON, |seen| seen.len() == 2 && seen[1].requests.len() == 1).await.unwrap();

    let drained = timeout(SOON, rig.drain()).await.unwrap().unwrap();
    assert_eq!(drained, Drained { broken_off: 2 });
    // The records are there when the drain is over: nobody waits for them after that.
    let records = rig.sink.records();
    assert_eq!((rig.sink.started_count(), records.len()), (2, 2));
    for record in &records {
        assert_eq!(outcome(record), (Category::Cancelled, "shutdown", Ending::Shutdown));
    }
    let mut statuses: Vec<_> = records.iter().map(|r| (r.status, r.token_events)).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [(None, None), (Some(200), Some(1))]);
    let rest = streams.read_to_end(SOON).await;
    assert!(!rest.is_ok_and(|r| r.ends_with(LAST_CHUNK)), "no clean end");
    server.until(SOON, |seen| seen.iter().all(|s| s.peer_closed)).await.unwrap();
}

#[tokio::test]
async fn a_drain_in_a_hurry_breaks_off_and_records() {
    let begins = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd];
    let server = RawServer::start(begins).await.unwrap();
    let mut rig = Rig::with(vec![upstream("only", &server.url())], |_| {}).await;
    let mut busy = rig.client().await;
    busy.send(&streaming()).await.unwrap();
    busy.read_until(&chunk(EVENT), SOON).await.unwrap();
    let (hurry, drain) = (rig.hurry.clone(), rig.drain());
    hurry.now();
    assert_eq!(timeout(SOON, drain).await.unwrap().unwrap(), Drained { broken_off: 1 });
    assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "shutdown", Ending::Shutdown));
}
