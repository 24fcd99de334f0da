//! Prompts and replies that are captured: whose, what becomes of them, and that nobody else's text is kept.

use std::sync::Arc;

use limpid_core::{Content, ExchangeRecord};
use limpid_proxy::{CaptureConfig, EstimateConfig, ProxyConfig, UpstreamConfig};
use limpid_settle::content::{Builtin, ContentRules, Redactor};
use limpid_testkit::{RawServer, Step, request};

use crate::common::{CHAT, DONE, LAST_CHUNK, Rig, SSE_HEAD, always, chat, chunk, for_models, upstream};

const KEY: &str = "sk-canary0123456789abcdef";

fn capturing(upstreams: &[(&str, f64)]) -> CaptureConfig {
    let redactor = Redactor::new(&Builtin::ALL, &[]).unwrap();
    CaptureConfig {
        upstreams: upstreams.iter().map(|(name, share)| (Arc::from(*name), *share)).collect(),
        rules: ContentRules { input: Some(4096), output: Some(4096), redactor },
        text_bytes: 10_000,
        budget_bytes: 1 << 20,
    }
}

async fn rig(upstreams: Vec<UpstreamConfig>, change: impl FnOnce(&mut ProxyConfig)) -> Rig {
    Rig::with(upstreams, |config| {
        config.capture = Some(capturing(&[("only", 1.0)]));
        change(config);
    })
    .await
}

fn content(record: &ExchangeRecord) -> Option<Content> {
    record.content.take().map(|content| *content)
}

/// A stream that says the key in pieces.
fn stream() -> Vec<u8> {
    let delta = |text: &str| {
        chunk(format!("data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n").as_bytes())
    };
    let (first, second) = KEY.split_at(9);
    [SSE_HEAD, &delta("It is "), &delta(first), &delta(second), &delta("."), &chunk(DONE), LAST_CHUNK].concat()
}

fn prompt(model: &str) -> Vec<u8> {
    chat(&format!(
        r#"{{"model":"{model}","stop":"END","stream":true,"messages":[{{"role":"user","content":"My key: {KEY}"}}]}}"#
    ))
}

const INPUT: &str = r#"[{"parts":[{"content":"My key: [secret]","type":"text"}],"role":"user"}]"#;
const OUTPUT: &str =
    r#"[{"finish_reason":"stop","parts":[{"content":"It is [secret].","type":"text"}],"role":"assistant"}]"#;

#[tokio::test]
async fn an_exchange_is_captured_redacted_with_and_without_estimates() {
    let server = RawServer::start(always(stream())).await.unwrap();
    let estimates = EstimateConfig { text_bytes: 10_000, budget_bytes: 1 << 20, queue: 10 };
    for estimates in [None, Some(estimates)] {
        let rig = rig(vec![upstream("only", &server.url())], |config| config.estimates = estimates).await;
        assert_eq!(rig.ask(&prompt("m")).await.status, 200);
        let record = rig.record().await;
        assert_eq!(record.usage.as_ref().and_then(|u| u.output_tokens), Some(2), "reported, not estimated");
        for shown in [format!("{record:?}"), serde_json::to_string(&record).unwrap()] {
            assert!(!shown.contains("canary") && !shown.contains("My key"), "{shown}");
        }
        let content = content(&record).unwrap();
        assert_eq!((content.input.as_deref(), content.output.as_deref()), (Some(INPUT), Some(OUTPUT)));
        assert_eq!((content.redactions, content.stop_sequences), (2, vec!["END".to_owned()]));
        assert_eq!((content.input_missing, content.output_missing), (None, None));
    }
}

#[tokio::test]
async fn only_upstreams_that_opt_in_are_captured() {
    let server = RawServer::start(always(stream())).await.unwrap();
    let upstreams = ["a", "b", "c"].map(|name| for_models(name, &server.url(), &[name]));
    let rig = rig(upstreams.into(), |config| config.capture = Some(capturing(&[("a", 1.0), ("c", 0.0)]))).await;
    for model in ["a", "b", "c", "nobody's"] {
        rig.ask(&prompt(model)).await;
    }
    let mut captured: Vec<_> =
        rig.records(4).await.iter().filter(|r| content(r).is_some()).map(|r| r.model.requested.clone()).collect();
    captured.dedup();
    assert_eq!(captured, [Some("a".into())]);
}

#[tokio::test]
async fn without_a_span_nothing_is_captured() {
    let server = RawServer::start(always(stream())).await.unwrap();
    let one = || vec![upstream("only", &server.url())];
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{KEY}"}}]}}"#);
    for (flag, wanted) in [("00", false), ("01", true)] {
        let rig = rig(one(), |config| config.trace.sample_ratio = 0.0).await;
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flag}");
        rig.ask(&request("POST", CHAT, &[("traceparent", &parent)], body.as_bytes())).await;
        assert_eq!(content(&rig.record().await).is_some(), wanted, "{flag}");
    }
    let unsampled = rig(one(), |config| config.trace.sample_ratio = 0.0).await;
    unsampled.ask(&prompt("m")).await;
    assert_eq!(content(&unsampled.record().await), None);
    let unobserved = rig(one(), |config| config.observe.enabled = false).await;
    unobserved.ask(&prompt("m")).await;
    assert_eq!(content(&unobserved.record().await), None);
}

#[tokio::test]
async fn what_cannot_be_read_is_missing_and_the_rest_is_there() {
    let gzip = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: compress\r\nContent-Length: 2\r\n\r\n{}";
    let error = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"error\":{\"message\":\"canary\"}}";
    let long = chat(&format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(10_000)));
    for (reply, asked, input, missing) in [
        (gzip, prompt("m"), Some(INPUT), (None, Some("unreadable"))),
        (error, prompt("m"), Some(INPUT), (None, None)),
        (gzip, chat("\u{1f}\u{8b}compressed"), None, (Some("unreadable"), Some("unreadable"))),
        (error, long, None, (Some("too_large"), None)),
    ] {
        let server = RawServer::start(vec![Step::ReadRequest, Step::send(reply), Step::Close]).await.unwrap();
        let rig = rig(vec![upstream("only", &server.url())], |_| {}).await;
        rig.ask(&asked).await;
        let content = content(&rig.record().await).unwrap();
        assert_eq!(content.input.as_deref(), input);
        assert_eq!((content.input_missing, content.output_missing), missing);
        assert_eq!(content.output, None);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_no_half_secret() {
    let whole = stream();
    let at = whole.windows(6).position(|w| w == b"canary").unwrap();
    let end = whole[at..].windows(2).position(|w| w == b"\r\n").unwrap() + at + 2;
    let server = RawServer::start(vec![Step::ReadRequest, Step::send(&whole[..end]), Step::Close]).await.unwrap();
    let rig = rig(vec![upstream("only", &server.url())], |_| {}).await;
    rig.ask(&prompt("m")).await;
    let content = content(&rig.record().await).unwrap();
    let want = r#"[{"finish_reason":"error","parts":[{"content":"It is","type":"text"}],"role":"assistant"}]"#;
    assert_eq!((content.output.as_deref(), content.output_truncated), (Some(want), 7 + 3));
}
