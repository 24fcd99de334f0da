//! Several worker threads: connections are spread over them, each worker keeps its own upstream connections, and the
//! drain waits for all.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use limpid_proxy::Drained;
use limpid_testkit::{RawServer, Step};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::common::{DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, always, chat, chunk, streaming, upstream};

const TWO: Option<NonZeroUsize> = NonZeroUsize::new(2);

#[tokio::test]
async fn connections_alternate_and_each_worker_keeps_its_own_upstream_connection() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.server.worker_threads = TWO).await;
    let mut clients = [rig.client().await, rig.client().await];
    for _round in 0..3 {
        for client in &mut clients {
            client.send(&chat("{}")).await.unwrap();
            assert_eq!(client.read_reply(SOON).await.status, 200);
        }
    }
    rig.records(6).await;
    let each: Vec<_> = server.seen().iter().map(|connection| connection.requests.len()).collect();
    assert_eq!(each, [3, 3]);
}

/// The cores that each thread of this name may use, as the kernel lists them.
#[cfg(target_os = "linux")]
fn cores_of(name: &str) -> Vec<String> {
    let read = |task: &std::path::Path, file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| read(task, "comm").trim() == name);
    let list = |task: std::path::PathBuf| {
        let status = read(&task, "status");
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap_or_default().trim().to_owned()
    };
    named.map(list).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn pinned_workers_keep_to_one_core_each() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.worker_threads = TWO;
        config.server.pin_workers = true;
    })
    .await;
    // Both have served, so both are pinned. Other tests' workers are not.
    let mut clients = [rig.client().await, rig.client().await];
    for client in &mut clients {
        client.send(&chat("{}")).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.status, 200);
    }
    let one = |cores: &String| cores.parse::<usize>().is_ok();
    let (first, second) = (cores_of("limpid-0"), cores_of("limpid-1"));
    let (first, second) = (first.iter().find(|c| one(c)).unwrap(), second.iter().find(|c| one(c)).unwrap());
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(first == second, cores == 1, "{first} and {second} of {cores}");
}

#[tokio::test]
async fn the_drain_waits_for_all_workers_and_counts_what_each_broke_off() {
    let go = Arc::new(Notify::new());
    let begins = || [SSE_HEAD, &chunk(EVENT)].concat();
    let ends = vec![
        Step::ReadRequest,
        Step::send(begins()),
        Step::Wait(Arc::clone(&go)),
        Step::send([chunk(DONE), LAST_CHUNK.to_vec()].concat()),
    ];
    let hangs = vec![Step::ReadRequest, Step::send(begins()), Step::ReadToEnd];
    let server = RawServer::start_each(vec![ends, hangs.clone(), hangs]).await.unwrap();
    let mut rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.worker_threads = TWO;
        config.server.drain_timeout = Duration::from_millis(300);
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = rig.client().await;
        client.send(&streaming()).await.unwrap();
        client.read_until(&chunk(EVENT), SOON).await.unwrap();
        clients.push(client);
    }
    let drain = rig.drain();
    go.notify_one();
    let rest = clients[0].read_to_end(SOON).await.unwrap();
    assert!(rest.ends_with(&[&chunk(DONE)[..], LAST_CHUNK].concat()), "whole, and then closed");
    assert_eq!(timeout(SOON, drain).await.unwrap().unwrap(), Drained { broken_off: 2 });
    assert_eq!(rig.sink.records().len(), 3, "all are recorded when the drain is over");
}
