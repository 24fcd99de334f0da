//! One client never gets another's reply: no upstream connection is used again that could have something of the last
//! exchange left on it, and nothing goes up that could be read as another request, or another path.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use limpid_core::{Category, Clock, Ending};
use limpid_proxy::{UpstreamConfig, UpstreamKey};
use limpid_route::Match;
use limpid_testkit::{RawClient, RawServer, Step, request};
use tokio::time::timeout;

use crate::common::{Rig, SOON, always, chat, outcome, split, text, upstream};
use crate::framing::{OK, frame, http2_answer, literals};
use crate::http2::connect;

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";

fn length(n: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{}", "x".repeat(n))
}

/// A request with this head, and another client's a long time later: the connection has rested, and nothing has come by it
/// yet. Whether it was used again.
async fn is_used_again(ask: &str, reply: &str) -> bool {
    let first = vec![Step::ReadRequest, Step::send(reply), Step::ReadRequest, Step::send(EVIL), Step::ReadToEnd];
    let server = RawServer::start_each(vec![first, always(OK)]).await.unwrap();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let own = clock.clone();
    let rig = Rig::with(vec![upstream("only", &server.url())], |config| config.clock = own).await;
    let mut client = rig.client().await;
    client.send(ask.as_bytes()).await.unwrap();
    let got = if ask.starts_with("HEAD") { client.read_head_reply(SOON).await } else { client.read_reply(SOON).await };
    assert!((200..500).contains(&got.status), "{ask} {reply}: {}", text(&got.raw));
    rig.records(1).await;
    clock.advance(Duration::from_secs(1));
    let second = rig.ask(&chat("{}")).await.text();
    assert_eq!(second == "EVIL", server.seen().len() == 1, "{ask} {reply}");
    second == "EVIL"
}

/// The rows of the tables in `limpid_http1::reuse`, with the real pool.
#[tokio::test]
async fn a_connection_is_used_again_only_if_it_is_known_to_be_clear() {
    let ask = |method: &str, rest: &str| format!("{method} /v1/x HTTP/1.1\r\nHost: x\r\n{rest}");
    let body = "Content-Length: 3\r\n\r\nabc";
    let chunks = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nno");
    let cases = [
        (ask("GET", "\r\n"), length(2), true),
        (ask("GET", "Content-Length: 0\r\n\r\n"), length(2), true),
        (ask("POST", body), length(2), true),
        (ask("PUT", chunks), length(2), true),
        (ask("GET", "\r\n"), length(0), true),
        (ask("GET", "\r\n"), status("404 Not Found"), true),
        (ask("GET", body), length(2), false),
        (ask("GET", chunks), length(2), false),
        (ask("GET", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), length(2), false),
        (ask("HEAD", body), length(0), false),
        (ask("OPTIONS", body), length(2), false),
        (ask("DELETE", body), length(2), false),
        (ask("TRACE", body), length(2), false),
        (ask("PROPFIND", "\r\n"), length(2), false),
        (ask("HEAD", "\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".into(), false),
        (ask("GET", "\r\n"), "HTTP/1.1 204 No Content\r\n\r\n".into(), false),
        (ask("OPTIONS", "\r\n"), "HTTP/1.1 204 No Content\r\n\r\n".into(), false),
        (ask("GET", "\r\n"), "HTTP/1.1 304 Not Modified\r\n\r\n".into(), false),
        (ask("GET", "\r\n"), "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".into(), false),
        (ask("POST", body), status("401 Unauthorized"), false),
        (ask("POST", body), status("404 Not Found"), false),
        (ask("POST", body), status("307 Temporary Redirect"), false),
        (
            ask("GET", "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"),
            status("426 Upgrade Required"),
            false,
        ),
    ];
    for (asked, reply, want) in cases {
        assert_eq!(is_used_again(&asked, &reply).await, want, "{asked} {reply}");
    }
}

/// What a server sends behind a reply that has no body, at once or after a while, is nobody's.
#[tokio::test]
async fn what_comes_late_is_nobodys() {
    let bodiless = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
    ];
    for (method, reply) in bodiless {
        for late in [0, 30, 300] {
            let wait = Step::Sleep(Duration::from_millis(late));
            let first = vec![Step::ReadRequest, Step::send(reply), wait, Step::send(EVIL), Step::ReadToEnd];
            let server = RawServer::start_each(vec![first, always(OK)]).await.unwrap();
            let rig = Rig::to(server.addr()).await;
            let mut client = rig.client().await;
            client.send(&request(method, "/v1/x", &[], b"")).await.unwrap();
            client.read_head_reply(SOON).await;
            // Closed at once, so that nothing late is waited for.
            server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
            for _ in 0..3 {
                assert_eq!(rig.ask(&chat("{}")).await.text(), "ok", "{method} {late}");
            }
        }
    }
}

/// CONNECT, in each form: one clear answer, a record, and nothing behind it on the connection.
#[tokio::test]
async fn connect_is_refused() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let forms = [
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
        "CONNECT /v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT http://x/v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\n",
        "connect /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "CONNECT x:80 HTTP/1.0\r\n\r\n",
    ];
    for form in forms {
        let mut client = rig.client().await;
        let behind = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        client.send(format!("{form}{behind}").as_bytes()).await.unwrap();
        let got = text(&client.read_to_end(SOON).await.unwrap());
        assert!(got.contains(" 405 ") && got.contains("x-limpid-error: method_refused"), "{form}: {got}");
        assert!(got.contains("allow: GET, HEAD, POST") && got.contains("CONNECT is refused"), "{form}: {got}");
        assert_eq!(got.matches("HTTP/1.").count(), 1, "{form}: {got}");
    }
    for record in rig.records(forms.len()).await {
        assert_eq!(outcome(&record), (Category::Rejected, "method_refused", Ending::End));
        assert_eq!((record.status, record.answered_by_limpid, record.attempts), (Some(405), true, 0));
    }
    // Over HTTP/2: plain CONNECT is answered and recorded; `:protocol` was not offered, so hyper resets the stream.
    let connect = [(":method", "CONNECT"), (":authority", "x:80")];
    assert_eq!(http2_answer(&rig, &frame(1, 5, 1, &literals(&connect))).await, "another answer");
    assert_eq!(rig.records(forms.len() + 1).await.pop().unwrap().status, Some(405));
    let extended = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/v1/realtime"),
        (":authority", "x"),
    ];
    assert!(["reset", "closed"].contains(&http2_answer(&rig, &frame(1, 4, 1, &literals(&extended))).await));
    assert!(server.seen().is_empty(), "{:?}", server.requests());
}

/// The target of what went up for this head.
async fn goes_up_as(rig: &Rig, server: &RawServer, line: &str) -> Result<String, u16> {
    let got = rig.ask(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    if got.status != 200 {
        return Err(got.status);
    }
    let seen = server.requests().pop().unwrap();
    Ok(split(&seen).0.split(' ').nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn targets_go_up_in_origin_form() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    for (line, want) in [
        ("GET http://evil?q=1", Ok("/?q=1")),
        ("GET http://evil", Ok("/")),
        ("GET http://evil/a?b#c", Ok("/a?b")),
        ("GET /?q", Ok("/?q")),
        ("OPTIONS *", Ok("*")),
        ("GET *", Err(400)),
        ("GET http://u:p@h/x", Err(400)),
        ("GET http://u@h?x", Err(400)),
        ("GET evil:80", Err(400)),
    ] {
        assert_eq!(goes_up_as(&rig, &server, line).await, want.map(str::to_owned), "{line}");
    }
    let up = server.requests().len();
    for path in ["?x", "*", "x", "?", ""] {
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "x")];
        let got = http2_answer(&rig, &frame(1, 5, 1, &literals(&fields))).await;
        assert!(["400", "reset", "closed"].contains(&got), "{path}: {got}");
    }
    assert_eq!(server.requests().len(), up, "{:?}", server.requests());
}

/// Where a path is confined, by a base path, a prefix or an own key, it cannot lead out. Where it is not, it passes as it came.
#[tokio::test]
async fn a_path_never_leaves_its_base() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let base = upstream("base", &format!("{}/base", server.url()));
    let prefixed = Match { path_prefix: Some("/only".into()), ..Match::default() };
    let cases = [
        (base, ""),
        (UpstreamConfig { matches: prefixed, ..upstream("prefix", &server.url()) }, "/only"),
        (UpstreamConfig { key: UpstreamKey::new("openai", "k").ok(), ..upstream("key", &server.url()) }, ""),
    ];
    for (config, under) in cases {
        let name = config.info.name.clone();
        let rig = Rig::with(vec![config], |_| {}).await;
        let mut refused = 0;
        for path in
            ["/a/../../admin", "/%2e%2e/admin", "/..;/admin", "/a/..%2f..%2fadmin", "/a\\..\\admin", "/%252e%252e/x"]
        {
            let got = rig.ask(&request("GET", &format!("{under}{path}"), &[], b"")).await;
            assert_eq!((got.status, got.header("x-limpid-error")), (400, Some("path_refused")), "{name} {path}");
            refused += 1;
        }
        let record = rig.records(refused).await.pop().unwrap();
        assert_eq!(outcome(&record), (Category::Rejected, "path_refused", Ending::End));
        let good = goes_up_as(&rig, &server, &format!("GET {under}/v1/models/a%2Fb.c?q=/../x")).await.unwrap();
        assert!(good.ends_with("/v1/models/a%2Fb.c?q=/../x"), "{good}");
        if under.is_empty() {
            assert_eq!(goes_up_as(&rig, &server, "OPTIONS *").await, Err(400), "{name}");
        }
    }
    assert_eq!(server.requests().len(), 3);
    let free = Rig::to(server.addr()).await;
    assert_eq!(goes_up_as(&free, &server, "GET /a/../%2e%2e/b").await.as_deref(), Ok("/a/../%2e%2e/b"));
}

const TRAILERS: [&str; 12] = [
    "x-api-key",
    "cookie",
    "proxy-authorization",
    "connection",
    "upgrade",
    "expect",
    "authorization",
    "content-length",
    "host",
    "x-limpid-user",
    "keep-alive",
    "x-sum",
];

/// A chunked body with these trailers, all of them announced.
fn with_trailers() -> (String, String) {
    let lines = TRAILERS.iter().map(|n| format!("{n}: 1\r\n")).collect::<Vec<_>>().concat();
    (TRAILERS.join(", "), format!("2\r\nhi\r\n0\r\n{lines}\r\n"))
}

#[tokio::test]
async fn trailers_that_frame_route_or_authenticate_go_neither_way() {
    let (names, body) = with_trailers();
    let reply = format!("HTTP/1.1 200 OK\r\nTrailer: {names}\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let fields = [("TE", "trailers"), ("Trailer", names.as_str()), ("Transfer-Encoding", "chunked")];
    let got = rig.ask(&request("POST", "/", &fields, body.as_bytes())).await;
    let down = text(&got.raw);
    // limpid's own fields are of requests.
    assert!(down.ends_with("\\r\\n0\\r\\nx-limpid-user: 1\\r\\nx-sum: 1\\r\\n\\r\\n"), "{down}");
    let up = text(&server.requests()[0]);
    assert!(up.ends_with("\\r\\n0\\r\\nx-sum: 1\\r\\n\\r\\n"), "{up}");

    // From HTTP/2, and to it. There hyper's client does not send those of the connection.
    let mut sender = connect(&rig).await;
    let fields: HeaderMap = TRAILERS
        .iter()
        .filter(|n| !["connection", "upgrade", "keep-alive"].contains(*n))
        .map(|n| (n.parse().unwrap(), "1".parse().unwrap()))
        .collect();
    let body = Untold(vec!["hi"]).with_trailers(std::future::ready(Some(Ok(fields))));
    let asked = Request::post("http://x/").header("trailer", names).header("te", "trailers").body(body).unwrap();
    let response = timeout(SOON, sender.send_request(asked)).await.unwrap().unwrap();
    let all = response.into_body().collect().await.unwrap();
    let names = all.trailers().map(|t| t.keys().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(names, Some(vec!["x-limpid-user".to_owned(), "x-sum".to_owned()]));
    let up = text(&server.requests()[1]);
    assert!(up.ends_with("\\r\\n0\\r\\nx-sum: 1\\r\\n\\r\\n"), "{up}");
}

/// Data whose length is not told.
struct Untold(Vec<&'static str>);

impl Body for Untold {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes())))))
    }
}

/// Over HTTP/2 a body needs no length, whatever the method.
#[tokio::test]
async fn a_body_over_http_2_is_never_lost() {
    let server = RawServer::start(always(length(0))).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "QUERY", "POST"] {
        let asked = Request::builder().method(method).uri("http://x/v1/x").body(Untold(vec!["lo", "hel"])).unwrap();
        timeout(SOON, sender.send_request(asked)).await.unwrap().unwrap();
        let up = text(server.requests().last().unwrap());
        let head = up.to_lowercase();
        assert!(head.starts_with(&format!("{} /v1/x", method.to_lowercase())), "{up}");
        assert!(head.contains("transfer-encoding: chunked\\r\\n"), "{up}");
        let data: String = up.split("\\r\\n\\r\\n").nth(1).unwrap().split("\\r\\n").skip(1).step_by(2).collect();
        assert_eq!(data, "hello", "{up}");
    }
    // One that turns out to be none goes up as none.
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        for parts in [vec![], vec!["", ""]] {
            let asked = Request::builder().method(method).uri("http://x/v1/x").body(Untold(parts)).unwrap();
            timeout(SOON, sender.send_request(asked)).await.unwrap().unwrap();
            let up = text(server.requests().last().unwrap()).to_lowercase();
            assert!(!up.contains("transfer-encoding") && up.ends_with("\\r\\n\\r\\n"), "{up}");
        }
    }
}

/// All that a client may send as its key, at once: none of it goes up beside the operator's. Without one, all does.
#[tokio::test]
async fn the_clients_credentials_stay_behind_where_the_upstream_has_a_key() {
    let server = RawServer::start(always(OK)).await.unwrap();
    let names = [
        "Authorization",
        "Proxy-Authorization",
        "X-Api-Key",
        "api-key",
        "x-goog-api-key",
        "x-litellm-api-key",
        "Ocp-Apim-Subscription-Key",
        "Cookie",
        "X-Portkey-Api-Key",
        "Helicone-Auth",
        "openai-api-key",
        "X-Auth-Token",
        "x-access-token",
        "x-functions-key",
        "x-amz-security-token",
    ];
    let kept = [("Idempotency-Key", "kept"), ("OpenAI-Organization", "kept"), ("X-Request-Id", "kept")];
    let fields: Vec<_> = names.iter().map(|n| (*n, "canary")).chain(kept).collect();
    let path = "/v1beta/models/g:generateContent?alt=sse&key=canary&API%5Fkey=canary&access_token=canary&subscription-key=canary";
    let asked = request("POST", path, &fields, b"{}");
    for (provider, want) in [("gcp.gemini", "x-goog-api-key: ours"), ("openai", "authorization: bearer ours")] {
        let mut own = upstream("own", &server.url());
        own.key = UpstreamKey::new(provider, "ours").ok();
        let rig = Rig::with(vec![own], |_| {}).await;
        assert_eq!(rig.ask(&asked).await.status, 200);
        let head = split(&server.requests().pop().unwrap()).0.to_lowercase();
        assert!(!head.contains("canary"), "{head}");
        assert!(head.starts_with("post /v1beta/models/g:generatecontent?alt=sse http/1.1\r\n"), "{head}");
        assert_eq!((head.matches(want).count(), head.matches("ours").count(), head.matches("kept").count()), (1, 1, 3));
        // TRACE would send the key back.
        let got = rig.ask(&request("TRACE", "/v1/x", &[], b"")).await;
        assert_eq!((got.status, got.header("x-limpid-error")), (405, Some("method_refused")));
        assert!(got.text().contains("key of its own"), "{}", got.text());
    }
    let rig = Rig::to(server.addr()).await;
    assert_eq!(rig.ask(&asked).await.status, 200);
    let head = split(&server.requests().pop().unwrap()).0;
    assert_eq!(head.matches("canary").count(), names.len() + 4, "untouched: {head}");
}

/// A key in a WebSocket's subprotocols, as browsers send it.
#[tokio::test]
async fn a_subprotocol_with_a_key_stays_behind() {
    let server = RawServer::start(always(length(2))).await.unwrap();
    let mut own = upstream("own", &server.url());
    own.key = UpstreamKey::new("openai", "ours").ok();
    let rig = Rig::with(vec![own], |_| {}).await;
    let mut client: RawClient = rig.client().await;
    let head = "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.canary, openai-beta.realtime-v1\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    client.read_reply(SOON).await;
    let up = split(&server.requests()[0]).0;
    assert!(up.contains("Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1\r\n"), "{up}");
    assert!(up.contains("Sec-WebSocket-Key: dGhl") && !up.contains("canary"), "{up}");
    assert!(up.to_lowercase().contains("authorization: bearer ours"), "{up}");
}
