//! Every path of the admin listener, as a client sees it.

#![expect(clippy::unwrap_used, reason = "the helpers beside the tests are tests too: a failed unwrap is a failed test")]

#[path = "../examples/showcase/synthetic.rs"]
mod synthetic;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use limpid_admin::{About, AdminState, Hosts, MetricsText, router};
use limpid_core::{Category, Clock, ExchangeSink, Handover, RecordConsumer};
use limpid_insight::{Insight, InsightConfig, InsightConsumer, Latency};
use serde_json::Value;
use tower::ServiceExt;

use synthetic::Traffic;

struct Fixed;

impl MetricsText for Fixed {
    fn render(&self, openmetrics: bool) -> String {
        (if openmetrics { "open # EOF\n" } else { "classic\n" }).to_owned()
    }
}

struct Rig {
    app: Router,
    clock: Clock,
    ready: Arc<AtomicBool>,
    handover: Handover,
    consumer: InsightConsumer,
    traffic: Traffic,
}

impl Rig {
    /// 2026-11-22T08:00:00Z, and a minute of limpid's life.
    fn new(config: InsightConfig) -> Rig {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400));
        let (insight, consumer) = Insight::new(config, clock.clone());
        clock.advance(Duration::from_secs(60));
        let traffic = Traffic::new(clock.clone());
        let ready = Arc::new(AtomicBool::new(true));
        let (handover, _drain) = Handover::new(1, Vec::new(), Arc::default());
        let app = router(AdminState {
            insight,
            metrics: Arc::new(Fixed),
            counts: handover.counts(),
            ready: Arc::clone(&ready),
            let_go: Arc::default(),
            hosts: Hosts::new(["limpid.internal"]),
            about: About { version: "9.9.9", upstreams: traffic.upstreams.clone() },
        });
        Rig { app, clock, ready, handover, consumer, traffic }
    }

    fn exchanges(&mut self, count: usize) {
        for _ in 0..count {
            self.consumer.consume(&self.traffic.next(false));
        }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, uri: &str) -> (StatusCode, String) {
        let response = self.send(Request::get(uri).body(Body::empty()).unwrap()).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(&self, uri: &str) -> Value {
        let (status, body) = self.get(uri).await;
        assert_eq!(status, StatusCode::OK, "{uri}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn probes_follow_the_ready_flag() {
    let rig = Rig::new(InsightConfig::default());
    assert_eq!(rig.get("/healthz").await, (StatusCode::OK, "ok\n".into()));
    assert_eq!(rig.get("/readyz").await, (StatusCode::OK, "ready\n".into()));
    rig.ready.store(false, Ordering::Release);
    assert_eq!(rig.get("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "draining\n".into()));
    assert_eq!(rig.get("/healthz").await.0, StatusCode::OK, "a draining process is alive");
    assert_eq!(rig.json("/api/v1/about").await["ready"], false);
}

#[tokio::test]
async fn metrics_come_in_the_format_asked_for() {
    let rig = Rig::new(InsightConfig::default());
    let ask = async |accept: &str| {
        rig.send(Request::get("/metrics").header("accept", accept).body(Body::empty()).unwrap()).await
    };
    let open = ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(header(&open, "content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(open.into_body().collect().await.unwrap().to_bytes(), "open # EOF\n");
    let classic = ask("*/*").await;
    assert_eq!(header(&classic, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(classic.into_body().collect().await.unwrap().to_bytes(), "classic\n");
}

#[tokio::test]
async fn a_summary_counts_groups_and_filters() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.exchanges(200);
    let all = rig.json("/api/v1/summary").await;
    assert_eq!(all["total"]["count"], 200);
    assert_eq!(all["window"]["asked_s"], 300.0);
    assert_eq!(all["window"]["from"], "2026-11-22T08:00:00.000Z");
    assert_eq!(all["window"]["to"], "2026-11-22T08:01:00.000Z");
    assert_eq!(all["groups"], serde_json::json!([]));
    assert!(all["total"]["latency"]["ttft_ms"]["p99"].as_f64() >= all["total"]["latency"]["ttft_ms"]["p50"].as_f64());

    let grouped = rig.json("/api/v1/summary?window=1m&group_by=model,endpoint").await;
    let groups = grouped["groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|g| g["count"].as_u64().unwrap()).sum::<u64>(), 200);
    let mini = groups.iter().find(|g| g["by"]["model"] == "gpt-4o-mini").unwrap();
    assert_eq!(mini["by"]["endpoint"], "chat");

    let one = rig.json("/api/v1/summary?model=gpt-4o-mini").await;
    assert_eq!(one["total"]["count"], mini["count"]);
    assert_eq!(one["filters"]["model"], serde_json::json!(["gpt-4o-mini"]));
    let none = rig.json("/api/v1/summary?model=gpt-4o-mini&endpoint=embeddings").await;
    assert_eq!(none["total"]["count"], 0);
    assert_eq!(none["total"]["price"], serde_json::json!({"priced": 0, "unpriced": 0}), "no price is no zero");
    let two = rig.json("/api/v1/summary?endpoint=chat&endpoint=messages&band=%3C%3D128&project=").await;
    assert!(two["total"]["count"].as_u64().unwrap() < 200);
}

#[tokio::test]
async fn a_series_has_steps_and_a_unit() {
    let mut rig = Rig::new(InsightConfig::default());
    rig.exchanges(50);
    rig.clock.advance(Duration::from_secs(20));
    rig.exchanges(7);
    let requests = rig.json("/api/v1/series?metric=requests&window=30s&step=10s").await;
    assert_eq!((&requests["unit"], requests["step_s"].as_f64()), (&"exchanges".into(), Some(10.0)));
    let counts: Vec<_> = requests["points"].as_array().unwrap().iter().map(|p| p["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 50, 0, 7]);
    let ttft = rig.json("/api/v1/series?metric=ttft&window=1h").await;
    assert_eq!((&ttft["unit"], ttft["step_s"].as_f64()), (&"ms".into(), Some(60.0)), "an hour in 60 steps");
    for metric in ["tokens", "price", "refusals", "output_tokens_per_s", "overhead"] {
        assert_eq!(rig.json(&format!("/api/v1/series?metric={metric}")).await["metric"], metric);
    }
}

#[tokio::test]
async fn exchanges_come_as_in_the_log_newest_first() {
    let mut rig = Rig::new(InsightConfig::default());
    for _ in 0..120 {
        rig.clock.advance(Duration::from_millis(10));
        rig.exchanges(1);
    }
    let all = rig.json("/api/v1/exchanges").await;
    let all = all["exchanges"].as_array().unwrap();
    assert_eq!(all.len(), 100);
    let ids: Vec<_> = all.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "ids sort by time");
    assert!(all.iter().all(|r| r.get("user").is_none()), "what is not known is not there");
    let few = rig.json("/api/v1/exchanges?limit=3&outcome=ok&window=5m").await;
    assert_eq!(few["exchanges"].as_array().unwrap().len(), 3);
    assert!(few["exchanges"].as_array().unwrap().iter().all(|r| r["outcome"]["category"] == "ok"));
}

#[tokio::test]
async fn about_tells_of_the_process() {
    let rig = Rig::new(InsightConfig::default());
    rig.handover.started(limpid_core::Endpoint::Chat);
    rig.handover.started(limpid_core::Endpoint::Messages);
    let about = rig.json("/api/v1/about").await;
    assert_eq!(about["version"], "9.9.9");
    assert_eq!(about["uptime_s"], 60.0);
    assert_eq!(about["in_flight"], serde_json::json!({"total": 2, "by_endpoint": {"chat": 1, "messages": 1}}));
    assert_eq!(about["upstreams"][0]["name"], "vllm-a");
    assert!(about["upstreams"][1].get("region").is_none());
}

#[tokio::test]
async fn a_wrong_parameter_is_told_what_to_write_instead() {
    let rig = Rig::new(InsightConfig::default());
    for (uri, parts) in [
        ("/api/v1/summary?windows=5m", &["`windows`", "window, group_by, model, endpoint"][..]),
        ("/api/v1/summary?window=5", &["`window=5`", "30s, 5m or 1h"]),
        ("/api/v1/summary?window=0s", &["`window=0s`", "1s to 1h"]),
        ("/api/v1/summary?window=2h", &["out of range", "1s to 1h"]),
        ("/api/v1/summary?window=5m&window=1m", &["`window`", "more than once"]),
        ("/api/v1/summary?group_by=modle", &["`group_by=modle`", "model, endpoint, key, project"]),
        ("/api/v1/summary?outcome=bad", &["`outcome=bad`", "rate_limit"]),
        ("/api/v1/summary?endpoint=chats", &["`endpoint=chats`", "chat, completions"]),
        ("/api/v1/summary?band=128", &["`band=128`", "<=128"]),
        ("/api/v1/series", &["`metric` is missing", "requests, tokens", "ttft"]),
        ("/api/v1/series?metric=itl", &["`metric=itl`", "tpot"]),
        ("/api/v1/series?metric=ttft&step=1d", &["`step=1d`", "duration"]),
        ("/api/v1/series?metric=ttft&group_by=model", &["`group_by`", "metric, window, step"]),
        ("/api/v1/exchanges?limit=0", &["`limit=0`", "1 to 1000"]),
        ("/api/v1/exchanges?limit=1001", &["1 to 1000"]),
        ("/api/v1/exchanges?limit=-1", &["`limit=-1`"]),
        ("/api/v1/events?limit=1", &["`limit`", "model, endpoint"]),
    ] {
        let (status, body) = rig.get(uri).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
        let json: Value = serde_json::from_str(&body).unwrap();
        let message = json["error"]["message"].as_str().unwrap();
        for part in parts {
            assert!(message.contains(part), "{uri}: {message}");
        }
    }
    let (_, long) = rig.get(&format!("/api/v1/summary?window={}", "x".repeat(5000))).await;
    assert!(long.len() < 400, "a value from outside is cut");
}

#[tokio::test]
async fn it_only_reads() {
    let rig = Rig::new(InsightConfig::default());
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request = Request::builder().method(method).uri("/api/v1/summary").body(Body::empty()).unwrap();
        let response = rig.send(request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&response, "allow"), "GET,HEAD");
        assert!(response.headers().get("access-control-allow-origin").is_none());
    }
    let head = rig.send(Request::head("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(head.status(), StatusCode::OK);
    let (status, body) = rig.get("/api/v2/summary").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("/api/v1/summary"), "{body}");
}

#[tokio::test]
async fn every_response_is_guarded() {
    let rig = Rig::new(InsightConfig::default());
    for uri in ["/", "/assets/app.js", "/healthz", "/metrics", "/api/v1/summary", "/api/v1/events", "/nothing"] {
        let response = rig.send(Request::get(uri).body(Body::empty()).unwrap()).await;
        assert_eq!(header(&response, "cache-control"), "no-store", "{uri}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{uri}");
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_but_its_own_files() {
    let rig = Rig::new(InsightConfig::default());
    let mut seen = HashSet::new();
    let mut open = vec!["/".to_owned()];
    while let Some(uri) = open.pop() {
        if !seen.insert(uri.clone()) {
            continue;
        }
        let (status, text) = rig.get(&uri).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        let own = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!own.contains("http://") && !own.contains("https://"), "{uri} names another host");
        assert!(!text.contains(" style=") && !text.contains("innerHTML"), "{uri}");
        open.extend(text.split('"').filter(|word| word.starts_with("/assets/")).map(str::to_owned));
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    let page = rig.get("/").await.1;
    assert_eq!(
        page.matches("<script").count(),
        page.matches("<script type=\"module\" src=").count(),
        "no inline script"
    );
}

#[tokio::test]
async fn the_page_knows_every_latency_and_every_outcome() {
    let rig = Rig::new(InsightConfig::default());
    let script = rig.get("/assets/app.js").await.1;
    for latency in Latency::ALL {
        assert!(script.contains(&format!("[\"{}\", ", latency.member())), "{}", latency.name());
    }
    let charts = rig.get("/assets/charts.js").await.1;
    for category in Category::ALL {
        assert!(charts.contains(&format!("\"{category}\"")), "{category}");
    }
}

/// The next event of a stream: its name and its data.
async fn event(body: &mut Body) -> (String, Value) {
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(frame.to_vec()).unwrap();
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_owned();
    (field("event: "), serde_json::from_str(&field("data: ")).unwrap())
}

#[tokio::test(start_paused = true)]
async fn events_tell_ticks_records_and_what_was_lost() {
    let mut rig = Rig::new(InsightConfig { live: 4, ..InsightConfig::default() });
    let response = rig.send(Request::get("/api/v1/events").body(Body::empty()).unwrap()).await;
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let mut body = response.into_body();
    let (name, tick) = event(&mut body).await;
    assert_eq!((name.as_str(), &tick["in_flight"], &tick["ready"]), ("tick", &0.into(), &true.into()));
    rig.exchanges(1);
    let (name, record) = event(&mut body).await;
    assert_eq!(name, "record");
    assert!(record["timing"]["total_ms"].is_number());
    let before = tokio::time::Instant::now();
    assert_eq!(event(&mut body).await.0, "tick");
    assert_eq!(before.elapsed(), Duration::from_secs(1));
    rig.exchanges(10);
    let (name, lost) = event(&mut body).await;
    assert_eq!((name.as_str(), &lost["count"]), ("lost", &6.into()));
    for _ in 0..4 {
        assert_eq!(event(&mut body).await.0, "record");
    }
}

#[tokio::test(start_paused = true)]
async fn events_can_be_filtered() {
    let mut rig = Rig::new(InsightConfig::default());
    let request = Request::get("/api/v1/events?endpoint=messages").body(Body::empty()).unwrap();
    let mut body = rig.send(request).await.into_body();
    rig.exchanges(60);
    let mut records = 0;
    loop {
        let (name, data) = event(&mut body).await;
        if name == "record" {
            assert_eq!(data["endpoint"], "messages");
            records += 1;
        } else if records > 0 {
            break;
        }
    }
}

#[tokio::test]
async fn watchers_are_counted_and_leave_their_place() {
    let rig = Rig::new(InsightConfig::default());
    let mut watchers = Vec::new();
    for _ in 0..32 {
        let response = rig.send(Request::get("/api/v1/events").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        watchers.push(response);
    }
    let (status, body) = rig.get("/api/v1/events").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("32 watchers"), "{body}");
    watchers.pop();
    let again = rig.send(Request::get("/api/v1/events").body(Body::empty()).unwrap()).await;
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_page_of_elsewhere_reads_nothing_through_a_browser() {
    let rig = Rig::new(InsightConfig::default());
    let ask = async |path: &str, host: &str| {
        rig.send(Request::get(path).header("host", host).body(Body::empty()).unwrap()).await
    };
    let paths = ["/", "/assets/app.js", "/api/v1/about", "/api/v1/summary", "/api/v1/exchanges", "/api/v1/events"];
    for path in paths {
        let refused = ask(path, "rebound.example:4801").await;
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        let told = refused.into_body().collect().await.unwrap().to_bytes();
        assert!(std::str::from_utf8(&told).unwrap().contains("admin.hosts"), "{path}");
        for host in ["127.0.0.1:4801", "[::1]:4801", "localhost:4801", "limpid.internal"] {
            assert_eq!(ask(path, host).await.status(), StatusCode::OK, "{path} {host}");
        }
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(ask(path, "limpid.monitoring.svc:4801").await.status(), StatusCode::OK, "{path}");
    }
    let two = Request::get("/api/v1/about").header("host", "localhost").header("host", "rebound.example");
    assert_eq!(rig.send(two.body(Body::empty()).unwrap()).await.status(), StatusCode::MISDIRECTED_REQUEST);
    let absolute = Request::get("http://rebound.example/api/v1/about").header("host", "localhost");
    assert_eq!(rig.send(absolute.body(Body::empty()).unwrap()).await.status(), StatusCode::MISDIRECTED_REQUEST);
}
