//! How far limpid's times are from the truth, on streams whose every send is stamped with the same clock.
//!
//! ```text
//! cargo bench -p limpid-proxy --bench accuracy        # STREAMS=1000 AT_ONCE=20 change the plan
//! ```
//!
//! The simulated backend and the proxy run in this process. The truth of a mark is the moment at which the backend handed
//! the event to its connection; limpid's mark is that of the read which completed it. What is between is the kernel, the
//! scheduler and limpid, so this is an upper bound of limpid's error. A busy machine shows in p99 and not in p50.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::time::Duration;

use limpid_core::{Clock, ExchangeRecord, UpstreamInfo};
use limpid_observe::Limits;
use limpid_proxy::{Http2, ObserveConfig, Proxy, ProxyConfig, ServerConfig, Timeouts, UpstreamConfig};
use limpid_route::{KeyNames, Match, Target};
use limpid_settle::Settler;
use limpid_testkit::sim::{SimConfig, SimServer, Trace};
use limpid_testkit::{CollectingSink, exchange, request};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const LONG: Duration = Duration::from_secs(60);
const TOKENS: usize = 40;

fn main() -> Result<(), Failure> {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(default);
    let (streams, at_once) = (number("STREAMS", 1000), number("AT_ONCE", 20));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(streams, at_once))
}

async fn run(streams: usize, at_once: usize) -> Result<(), Failure> {
    let clock = Clock::system();
    let config = SimConfig { clock: clock.clone(), trace_capacity: streams, ..SimConfig::default() };
    let sim = SimServer::start(config).await?;
    let sink = Arc::new(CollectingSink::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let proxy = Proxy::new(proxy_config(&sim, Arc::clone(&sink), clock)?)?;
    let serving = tokio::spawn(proxy.serve(listener, std::future::pending()));
    for batch in (0..streams).collect::<Vec<_>>().chunks(at_once) {
        let clients: Vec<_> = batch.iter().map(|n| tokio::spawn(one(addr, *n))).collect();
        for client in clients {
            client.await??;
        }
    }
    let records = sink.wait_for(streams, LONG).await?;
    let mut errors = Errors::default();
    for record in &records {
        let id = record.caller.request_id.as_deref().ok_or("a record without its id")?;
        let trace = sim.stats().trace(id).ok_or("a stream without its trace")?;
        errors.compare(record, &trace).ok_or("a record without its numbers")?;
    }
    serving.abort();
    sim.stop().await;
    errors.report(streams, at_once);
    Ok(())
}

async fn one(addr: std::net::SocketAddr, n: usize) -> Result<(), Failure> {
    // A prime stride spreads the streams, so that they do not tick together.
    let (ttft, gap) = (20 + n * 7 % 30, 3 + n % 5);
    let body = format!(
        r#"{{"model":"m","stream":true,"stream_options":{{"include_usage":true}},"messages":[],
        "sim":{{"ttft_ms":{ttft},"gap_ms":{gap},"tokens":{TOKENS},"stall_after":10,"stall_ms":25}}}}"#
    );
    let id = format!("r{n}");
    exchange(addr, &request("POST", "/v1/chat/completions", &[("x-request-id", &id)], body.as_bytes()), LONG).await?;
    Ok(())
}

fn proxy_config(sim: &SimServer, sink: Arc<CollectingSink>, clock: Clock) -> Result<ProxyConfig, Failure> {
    let target = Target::parse(&sim.url())?;
    let info = UpstreamInfo {
        name: "sim".into(),
        provider: "simulated".into(),
        region: None,
        address: target.host().into(),
        port: target.port(),
    };
    Ok(ProxyConfig {
        server: ServerConfig { header_timeout: LONG, max_head_bytes: 64 << 10, drain_timeout: LONG },
        upstreams: vec![UpstreamConfig {
            info: Arc::new(info),
            target,
            matches: Match::default(),
            rewrite_prefix: None,
            http2: Http2::default(),
            tls_authorities: None,
            connect_timeout: LONG,
            key: None,
            timeouts: Timeouts::default(),
            pool_idle_timeout: LONG,
            max_idle_connections: 256,
            ask_for_usage: false,
        }],
        observe: ObserveConfig { enabled: true, limits: Limits::default(), request_bytes: 1 << 20 },
        keys: KeyNames::of_this_start(),
        settler: Settler::embedded(),
        sink,
        clock,
    })
}

#[derive(Default)]
struct Errors {
    ttft: Vec<Duration>,
    stall: Vec<Duration>,
    tpot_percent: Vec<f64>,
    inexact: usize,
}

impl Errors {
    fn compare(&mut self, record: &ExchangeRecord, trace: &Trace) -> Option<()> {
        let sent = trace.tokens();
        let (first, last) = (sent.first()?, sent.last()?);
        self.ttft.push(record.timeline.marks.first_token?.since(*first));
        let stall = sent.windows(2).map(|pair| pair[1].since(pair[0])).max()?;
        self.stall.push(record.timeline.stall?.abs_diff(stall));
        let tpot = last.since(*first).as_secs_f64() / (sent.len() - 1) as f64;
        self.tpot_percent.push((record.tpot()?.as_secs_f64() / tpot - 1.0).abs() * 100.0);
        let tokens = record.usage.as_ref()?.output_tokens? == TOKENS as u64;
        let events = record.token_events? == TOKENS as u64;
        self.inexact += usize::from(!(tokens && events));
        Some(())
    }

    fn report(mut self, streams: usize, at_once: usize) {
        println!("{streams} streams of {TOKENS} tokens, {at_once} at once; error against the backend's own stamps\n");
        println!("{:<8}{:>12}{:>12}{:>12}", "", "p50", "p99", "max");
        for (name, errors) in [("TTFT", &mut self.ttft), ("stall", &mut self.stall)] {
            errors.sort_unstable();
            let at = |share: usize| errors[(errors.len() * share / 100).min(errors.len() - 1)];
            println!("{name:<8}{:>12.1?}{:>12.1?}{:>12.1?}", at(50), at(99), at(100));
        }
        self.tpot_percent.sort_by(f64::total_cmp);
        let at = |share: usize| self.tpot_percent[(self.tpot_percent.len() * share / 100).min(streams - 1)];
        println!("{:<8}{:>11.3}%{:>11.3}%{:>11.3}%", "TPOT", at(50), at(99), at(100));
        println!("\nstreams whose tokens or token events were not exact: {}", self.inexact);
    }
}
