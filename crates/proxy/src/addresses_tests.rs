//! With time that stands still and a resolver that says what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{advance, sleep};

use super::*;
use crate::resolve::Resolving;

/// One look-up: what it finds, after how long. `Err`: nothing.
type Said = (Duration, Result<Vec<&'static str>, ()>);

#[derive(Default)]
struct Scripted {
    script: Mutex<VecDeque<Said>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn say(&self, after_ms: u64, found: Result<&[&'static str], ()>) {
        let said = (Duration::from_millis(after_ms), found.map(<[_]>::to_vec));
        self.script.lock().unwrap().push_back(said);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Resolve for Scripted {
    fn resolve(&self, _: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let said = self.script.lock().unwrap().pop_front();
        Box::pin(async move {
            let Some((after, found)) = said else { return std::future::pending().await };
            sleep(after).await;
            let found = found.map_err(|()| io::Error::other("nobody knows"))?;
            Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
        })
    }
}

fn named() -> (Arc<Scripted>, Arc<Addresses>) {
    let resolver = Arc::new(Scripted::default());
    let addresses = Addresses::new("up.test", 80, Arc::<Scripted>::clone(&resolver));
    addresses.lock().turn = 0;
    (resolver, addresses)
}

async fn order(addresses: &Arc<Addresses>) -> Vec<String> {
    let order = addresses.in_order().await.unwrap();
    order.iter().map(|a| a.ip().to_string()).collect()
}

fn at(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 80)
}

#[tokio::test(start_paused = true)]
async fn connections_begin_at_another_address_each_whatever_the_resolver_prefers() {
    let (resolver, addresses) = named();
    resolver.say(0, Ok(&["10.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.1"]));
    assert_eq!(order(&addresses).await, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(order(&addresses).await, ["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
    assert_eq!(order(&addresses).await, ["10.0.0.3", "10.0.0.1", "10.0.0.2"]);
    // The next answer shuffles them, and the turn goes on.
    advance(FRESH).await;
    resolver.say(0, Ok(&["10.0.0.2", "10.0.0.1", "10.0.0.3"]));
    assert_eq!(order(&addresses).await[0], "10.0.0.1");
    assert_eq!(resolver.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_families_alternate_and_the_resolvers_first_is_first() {
    let (resolver, addresses) = named();
    resolver.say(0, Ok(&["fd00::2", "fd00::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    assert_eq!(order(&addresses).await, ["fd00::1", "10.0.0.1", "fd00::2", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(order(&addresses).await, ["fd00::2", "10.0.0.2", "fd00::1", "10.0.0.3", "10.0.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_failed_comes_last_until_one_connection_has_tried_it_again() {
    let (resolver, addresses) = named();
    for _ in 0..30 {
        resolver.say(0, Ok(&["10.0.0.1", "10.0.0.2"]));
    }
    order(&addresses).await;
    addresses.avoid(at("10.0.0.1"));
    for _ in 0..4 {
        assert_eq!(order(&addresses).await, ["10.0.0.2", "10.0.0.1"]);
    }
    advance(AVOIDED).await;
    let mut firsts = Vec::new();
    for _ in 0..6 {
        firsts.push(order(&addresses).await.remove(0));
    }
    assert_eq!(firsts.iter().filter(|f| *f == "10.0.0.1").count(), 1, "one tries for all: {firsts:?}");
    addresses.serves(at("10.0.0.1"));
    let firsts = [order(&addresses).await.remove(0), order(&addresses).await.remove(0)];
    assert_ne!(firsts[0], firsts[1], "both are used again");
    // Where all have failed, all are tried.
    addresses.avoid(at("10.0.0.1"));
    addresses.avoid(at("10.0.0.2"));
    assert_eq!(order(&addresses).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_used_for_a_second_and_a_change_is_seen_then() {
    let (resolver, addresses) = named();
    resolver.say(0, Ok(&["10.0.0.1"]));
    resolver.say(0, Ok(&["10.0.0.9"]));
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    advance(FRESH.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!((order(&addresses).await, resolver.asked()), (vec!["10.0.0.1".to_owned()], 1));
    advance(Duration::from_millis(1)).await;
    assert_eq!((order(&addresses).await, resolver.asked()), (vec!["10.0.0.9".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_look_up_and_its_failure() {
    let (resolver, addresses) = named();
    resolver.say(3000, Err(()));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let addresses = Arc::clone(&addresses);
            tokio::spawn(async move { addresses.in_order().await.map_err(|e| e.error.to_string()) })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), Err("nobody knows".to_owned()));
    }
    assert_eq!(resolver.asked(), 1);
    // One who comes right behind gets the same; soon it is tried anew.
    assert!(addresses.in_order().await.is_err());
    assert_eq!(resolver.asked(), 1);
    advance(FRESH_FAILURE).await;
    resolver.say(0, Ok(&["10.0.0.1"]));
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
}

/// A client that leaves takes no look-up with it.
#[tokio::test(start_paused = true)]
async fn a_look_up_outlives_who_asked_first() {
    let (resolver, addresses) = named();
    resolver.say(1000, Ok(&["10.0.0.1"]));
    let first = timeout(Duration::from_millis(10), addresses.in_order()).await;
    assert!(first.is_err() && addresses.is_unknown());
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    assert_eq!((resolver.asked(), addresses.is_unknown()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn while_the_resolver_hangs_or_fails_the_last_addresses_serve_on_for_a_time() {
    let (resolver, addresses) = named();
    resolver.say(0, Ok(&["10.0.0.1"]));
    order(&addresses).await;
    advance(FRESH).await;
    let began = Instant::now();
    resolver.say(5000, Err(()));
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    assert_eq!(began.elapsed(), PATIENCE);
    // Who comes while it still hangs waits for nothing.
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    assert_eq!((began.elapsed(), resolver.asked()), (PATIENCE, 2));
    // It has failed now, and so do the next.
    sleep(Duration::from_secs(5)).await;
    resolver.say(0, Err(()));
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    // None of the look-ups ends from now on; each is given up, and the next is begun.
    sleep(LAST_KNOWN.saturating_sub(Duration::from_secs(8))).await;
    assert_eq!(order(&addresses).await, ["10.0.0.1"]);
    sleep(Duration::from_secs(10)).await;
    assert!(addresses.is_unknown());
    assert!(addresses.in_order().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_a_failure_and_a_literal_needs_none() {
    let (resolver, addresses) = named();
    resolver.say(0, Ok(&[]));
    assert!(addresses.in_order().await.is_err());
    for (host, want) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
        let literal = Addresses::new(host, 80, Arc::<Scripted>::clone(&resolver));
        assert_eq!(literal.in_order().await.unwrap(), [want.parse().unwrap()]);
        assert!(!literal.is_unknown());
    }
    assert_eq!(resolver.asked(), 1);
}
