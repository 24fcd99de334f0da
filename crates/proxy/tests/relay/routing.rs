//! Which upstream gets a request, and that looking for the model changes nothing of it.

use limpid_core::{Category, Ending};
use limpid_proxy::UpstreamConfig;
use limpid_route::Match;
use limpid_testkit::{RawServer, request};

use crate::common::{
    CHAT, LAST_CHUNK, Rig, SOON, Sponge, always, chat, chunk, for_models, outcome, split, text, upstream,
};

/// A server that says who it is.
async fn named(name: &str) -> RawServer {
    RawServer::start(always(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))).await.unwrap()
}

fn first_line(server: &RawServer) -> String {
    text(server.requests().last().unwrap()).split("\\r\\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn by_path_prefix_host_and_rewrite() {
    let (default, rewritten, kept, host) = (named("d").await, named("r").await, named("k").await, named("h").await);
    let prefix = |prefix: &str| Match { path_prefix: Some(prefix.into()), ..Match::default() };
    let upstreams = vec![
        upstream("d", &default.url()),
        UpstreamConfig {
            matches: prefix("/openai"),
            rewrite_prefix: Some(String::new()),
            ..upstream("r", &format!("{}/base/", rewritten.url()))
        },
        UpstreamConfig { matches: prefix("/kept/"), ..upstream("k", &kept.url()) },
        UpstreamConfig {
            matches: Match { host: Some("llm.example".into()), ..Match::default() },
            ..upstream("h", &host.url())
        },
    ];
    let rig = Rig::with(upstreams, |_| {}).await;
    let cases = [
        ("/v1/x?a=%2F", "limpid.test", "d", "/v1/x?a=%2F"),
        ("/openai/v1/a%2Fb//c?q=%20", "limpid.test", "r", "/base/v1/a%2Fb//c?q=%20"),
        ("/openai", "limpid.test", "r", "/base"),
        ("/openai2/v1", "limpid.test", "d", "/openai2/v1"),
        ("/kept/v1", "limpid.test", "k", "/kept/v1"),
        ("/openai/v1", "LLM.Example:4800", "h", "/openai/v1"),
    ];
    for (path, host_field, name, upstream_path) in cases {
        let reply = rig.ask(&request("GET", path, &[("Host", host_field)], b"")).await;
        assert_eq!(reply.text(), name, "{path} {host_field}");
        let server = [&default, &rewritten, &kept, &host].into_iter().zip(["d", "r", "k", "h"]).find(|s| s.1 == name);
        assert_eq!(first_line(server.unwrap().0), format!("GET {upstream_path} HTTP/1.1"));
    }
    let names: Vec<_> = rig.records(6).await.iter().map(|r| r.upstream.as_ref().unwrap().name.to_string()).collect();
    assert_eq!(names, cases.map(|c| c.2));
    // An absolute target's authority counts, not the field (RFC 9112 §3.2.2).
    let reply = rig.ask(b"GET http://llm.example/abs HTTP/1.1\r\nHost: other\r\n\r\n").await;
    assert_eq!((reply.text().as_str(), first_line(&host).as_str()), ("h", "GET /abs HTTP/1.1"));
}

/// Clients write `/v1`, and so does the URL that was copied from a provider's page.
#[tokio::test]
async fn a_base_path_that_clients_repeat_stands_once() {
    let cases = [
        ("/v1", "/v1/chat/completions?a=1", "/v1/chat/completions?a=1"),
        ("/v1/", "/v1/models/a%2Fb", "/v1/models/a%2Fb"),
        ("/v1", "/chat/completions", "/v1/chat/completions"),
        ("/api/v1", "/v1/models", "/api/v1/models"),
        ("/api/v1", "/api/v1/models", "/api/v1/models"),
        ("/v1beta/openai", "/v1/chat/completions", "/v1beta/openai/chat/completions"),
        ("/openai", "/v1/chat/completions", "/openai/v1/chat/completions"),
    ];
    for (base, asked, sent) in cases {
        let server = named("s").await;
        let rig = Rig::with(vec![upstream("s", &format!("{}{base}", server.url()))], |_| {}).await;
        assert_eq!(rig.ask(&request("GET", asked, &[], b"")).await.text(), "s");
        assert_eq!(first_line(&server), format!("GET {sent} HTTP/1.1"), "{base}");
        assert_eq!(&*rig.record().await.path, asked.split('?').next().unwrap(), "the record has the client's path");
    }
}

#[tokio::test]
async fn by_model_wherever_it_stands() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["gpt-*"])];
    let rig = Rig::with(upstreams, |_| {}).await;
    let long = "x".repeat(300 << 10);
    let behind = format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}],"model":"gpt-4o"}}"#);
    let inside = r#"{"messages":[{"model":"gpt-4o"}],"model":"other"}"#;
    let cases = [
        (r#"{"model":"gpt-5","messages":[]}"#, "wanted"),
        (&behind, "wanted"),
        (inside, "default"),
        (r#"{"messages":[]}"#, "default"),
        ("not json at all", "default"),
        ("{\"messages\":[", "default"),
        ("", "default"),
    ];
    for (body, name) in cases {
        let sent = chat(body);
        assert_eq!(rig.ask(&sent).await.text(), name);
        let server = if name == "wanted" { &wanted } else { &default };
        let expected = text(&sent).replacen("localhost", &server.addr().to_string(), 1);
        assert!(text(server.requests().last().unwrap()) == expected, "the body passes unchanged: {body:.80}");

        // The same in chunks: the framing stays, and so do the chunks' bounds.
        let framed: Vec<u8> = body.as_bytes().chunks(100_000).flat_map(chunk).chain(*b"0\r\n\r\n").collect();
        let sent = request("POST", CHAT, &[("Transfer-Encoding", "chunked")], &framed);
        assert_eq!(rig.ask(&sent).await.text(), name);
        let (head, got) = split(server.requests().last().unwrap());
        assert!(head.ends_with("Transfer-Encoding: chunked") && !head.to_lowercase().contains("content-length"));
        assert_eq!(unchunk(&got), body.as_bytes());
    }
}

fn unchunk(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let at = framed.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&framed[..at]).unwrap(), 16).unwrap();
        let data = &framed[at + 2..];
        body.extend_from_slice(&data[..size]);
        framed = &data[size + 2..];
        if size == 0 {
            assert!(framed.is_empty());
            return body;
        }
    }
}

#[tokio::test]
async fn a_request_without_a_body_does_not_wait_for_one() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["m"])];
    let rig = Rig::with(upstreams, |_| {}).await;
    assert_eq!(rig.ask(&request("GET", "/v1/models", &[], b"")).await.text(), "default");
    assert_eq!(first_line(&default), "GET /v1/models HTTP/1.1");
    assert!(!text(&default.requests()[0]).to_lowercase().contains("transfer-encoding"));
}

/// Trailers and the end of a body that was read ahead to its end are not lost.
#[tokio::test]
async fn a_trailer_behind_what_was_read_ahead_is_passed_on() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["m"])];
    let rig = Rig::with(upstreams, |_| {}).await;
    let body = [chunk(b"{\"messages\":["), b"0\r\nX-Sum: 7\r\n\r\n".to_vec()].concat();
    let fields = [("Trailer", "X-Sum"), ("Transfer-Encoding", "chunked")];
    assert_eq!(rig.ask(&request("POST", CHAT, &fields, &body)).await.text(), "default");
    let seen = text(&default.requests()[0]).to_lowercase();
    assert!(seen.ends_with("[\\r\\n0\\r\\nx-sum: 7\\r\\n\\r\\n"), "{seen}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_after_the_peek_is_not_passed_as_whole() {
    let mut sponge = Sponge::start(usize::MAX).await;
    let rig = Rig::with(vec![for_models("w", &format!("http://{}", sponge.addr), &["m"])], |_| {}).await;
    let mut client = rig.client().await;
    client
        .send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], &chunk(b"{\"model\":\"m\",")))
        .await
        .unwrap();
    let got = sponge.until(|got| got.ends_with(&chunk(b"{\"model\":\"m\","))).await;
    assert!(!got.ends_with(LAST_CHUNK));
    client.reset().unwrap();
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert_eq!(record.upstream.as_ref().unwrap().name.as_ref(), "w");
    assert!(!sponge.until(|_| true).await.ends_with(LAST_CHUNK));
}

#[tokio::test]
async fn the_model_routes_also_where_nothing_is_observed() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["m"])];
    let rig = Rig::with(upstreams, |config| config.observe.enabled = false).await;
    assert_eq!(rig.ask(&chat(r#"{"model":"m"}"#)).await.text(), "wanted");
    let record = rig.record().await;
    assert_eq!((record.usage.as_ref(), record.bytes.response), (None, 6));
}

#[tokio::test]
async fn no_route_is_a_404_of_limpids_own() {
    let server = named("a").await;
    let only = Match { path_prefix: Some("/a".into()), ..Match::default() };
    let rig = Rig::with(vec![UpstreamConfig { matches: only, ..upstream("a", &server.url()) }], |_| {}).await;
    let mut client = rig.client().await;
    client.send(&chat(r#"{"model":"m"}"#)).await.unwrap();
    let reply = client.read_reply(SOON).await;
    assert_eq!((reply.status, reply.header("x-limpid-error")), (404, Some("no_route")));
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&"limpid_rejected".into(), &"no_route".into()));
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Rejected, "no_route", Ending::End));
    assert_eq!((record.upstream.is_none(), record.attempts, record.answered_by_limpid), (true, 0, true));
    // The connection is still good.
    client.send(&request("GET", "/a", &[], b"")).await.unwrap();
    assert_eq!(client.read_reply(SOON).await.text(), "a");
}
