//! Routes by model: wherever an API puts its name, and where nobody can tell it. What is read ahead goes up byte for byte.

use std::io::Write as _;

use limpid_core::{Category, ExchangeRecord, RouteFallback};
use limpid_proxy::{ProxyConfig, RoutingConfig, UpstreamConfig};
use limpid_testkit::{RawServer, Reply, Step, request};

use crate::common::{
    CHAT, LAST_CHUNK, Rig, SOON, Sponge, always, chat, chunk, for_models, outcome, split, text, upstream,
};

/// A server that says who it is.
async fn named(name: &str) -> RawServer {
    RawServer::start(always(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))).await.unwrap()
}

fn rejects(config: &mut ProxyConfig) {
    config.routing.reject_unknown_model = true;
}

fn model(record: &ExchangeRecord) -> Option<&str> {
    record.model.requested.as_deref()
}

fn reason(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("x-limpid-error"))
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(body).unwrap();
            to.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(body).unwrap();
            out
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}

const FORM: &str = "multipart/form-data; boundary=\"b-1\"";

/// A form whose model stands behind a file.
fn form(file: &[u8]) -> Vec<u8> {
    let begin = "--b-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let end = "\r\n--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o\r\n--b-1--\r\n";
    [begin.as_bytes(), file, end.as_bytes()].concat()
}

/// Method, path, fields, body.
type Asked<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, Vec<u8>);

#[tokio::test]
async fn the_model_is_seen_wherever_an_api_puts_it() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["gpt-*"])];
    let rig = Rig::with(upstreams, |_| {}).await;
    let json = br#"{"stream":false,"messages":[{"model":"no"}],"model":"gpt-4o"}"#;
    let (typed, plain) = (("Content-Type", "application/json"), json.to_vec());
    let ten = b"{\"messages\":[],\"x\":".to_vec();
    let cases: Vec<Asked<'_>> = vec![
        ("POST", CHAT, vec![typed], plain.clone()),
        ("POST", CHAT, vec![], [b"\xEF\xBB\xBF \n", &*plain].concat()),
        ("POST", CHAT, vec![typed, ("Content-Encoding", "gzip")], coded("gzip", json)),
        ("POST", "/v1/responses", vec![typed, ("Content-Encoding", "zstd")], coded("zstd", json)),
        ("POST", CHAT, vec![typed, ("Content-Encoding", "br")], coded("br", json)),
        ("POST", CHAT, vec![("Content-Type", "application/x-www-form-urlencoded")], plain.clone()),
        ("POST", "/v1/x", vec![("Content-Type", "application/x-www-form-urlencoded")], b"a=1&model=gpt-4o".to_vec()),
        ("POST", "/v1/x", vec![("Content-Type", "Application/X-WWW-Form-URLEncoded")], b"model=gpt%2D4o".to_vec()),
        ("POST", "/v1/audio/transcriptions", vec![("Content-Type", FORM)], form(&vec![0xff; 200_000])),
        ("POST", "/v1/images/edits", vec![("Content-Type", FORM)], form(b"\r\n--b\r\n--b-12\r\n")),
        (
            "POST",
            "/openai/deployments/gpt-4o/chat/completions?api-version=1",
            vec![typed],
            br#"{"model":"other"}"#.to_vec(),
        ),
        ("POST", "/v1beta/models/gpt-4o:generateContent", vec![typed], ten.clone()),
        ("POST", "/model/gpt-4o/converse-stream", vec![typed], ten.clone()),
        ("POST", "/model/gpt-4o/invoke", vec![typed], Vec::new()),
        ("GET", "/v1/models/gpt-4o", vec![], Vec::new()),
        ("GET", "/v1/models/gpt%2D4o", vec![], Vec::new()),
        ("GET", "/v1/realtime?model=gpt-4o", vec![], Vec::new()),
    ];
    let mut asked = 0;
    for (method, path, fields, body) in cases {
        let sent = request(method, path, &fields, &body);
        assert_eq!(rig.ask(&sent).await.text(), "wanted", "{path} {fields:?}");
        let (_, got) = split(wanted.requests().last().unwrap());
        assert!(got == body, "{path}: the same bytes go up");
        asked += 1;
        let records = rig.records(asked).await;
        let record = records.last().unwrap();
        assert_eq!(model(record), Some("gpt-4o"), "{path}");
        assert_eq!((record.request.route_fallback, record.bytes.request), (None, body.len() as u64), "{path}");
        if body.is_empty() {
            continue;
        }
        // The same in chunks that cut it anywhere.
        let framed: Vec<u8> = body.chunks(97).flat_map(chunk).chain(*b"0\r\n\r\n").collect();
        let fields: Vec<_> = fields.into_iter().chain([("Transfer-Encoding", "chunked")]).collect();
        if body.len() < 1000 {
            assert_eq!(rig.ask(&request(method, path, &fields, &framed)).await.text(), "wanted", "{path} in chunks");
            let (_, got) = split(wanted.requests().last().unwrap());
            assert!(text(&got).eq_ignore_ascii_case(&text(&framed)), "{path}: the same chunks go up");
            asked += 1;
        }
    }
}

/// Path, fields, body, the setting that tells, the status.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [u8], RouteFallback, u16);

#[tokio::test]
async fn what_cannot_be_told_goes_by_the_setting_and_is_told() {
    let image = format!(r#"{{"image":"{}","model":"gpt-4o"}}"#, "A".repeat(70_000));
    let typed = ("Content-Type", "application/json");
    let zstd = coded("zstd", br#"{"model":"gpt-4o"}"#);
    let cases: Vec<Case<'_>> = vec![
        (CHAT, vec![], b"{}", RouteFallback::NotTold, 400),
        (CHAT, vec![], b"", RouteFallback::NotTold, 400),
        (CHAT, vec![], br#"{"model":7}"#, RouteFallback::NotTold, 400),
        (CHAT, vec![], br#"[{"model":"gpt-4o"}]"#, RouteFallback::NotTold, 400),
        (CHAT, vec![], br#"{"Model":"gpt-4o"}"#, RouteFallback::NotTold, 400),
        (CHAT, vec![("Content-Encoding", "gzip, zstd")], &zstd, RouteFallback::NotTold, 400),
        (CHAT, vec![typed, ("Content-Encoding", "gzip")], &zstd, RouteFallback::NotTold, 400),
        (CHAT, vec![], image.as_bytes(), RouteFallback::TooFar, 400),
        (CHAT, vec![], br#"{"model":"other"}"#, RouteFallback::NotListed, 404),
        (CHAT, vec![], br#"{"model":"GPT-4o"}"#, RouteFallback::NotListed, 404),
        (CHAT, vec![], br#"{"model":" gpt-4o"}"#, RouteFallback::NotListed, 404),
        ("/v1beta/models/other:generateContent", vec![], br#"{"model":"gpt-4o"}"#, RouteFallback::NotListed, 404),
    ];
    for reject in [false, true] {
        let (default, wanted) = (named("default").await, named("wanted").await);
        let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["gpt-*"])];
        let rig = Rig::with(upstreams, |config| {
            config.routing.reject_unknown_model = reject;
            config.routing.lookahead_bytes = 65_000;
        })
        .await;
        for (number, (path, fields, body, why, status)) in cases.iter().enumerate() {
            let reply = rig.ask(&request("POST", path, fields, body)).await;
            let record = rig.records(number + 1).await.pop().unwrap();
            assert_eq!(record.request.route_fallback, Some(*why), "{path} {}", text(&body[..body.len().min(99)]));
            if reject {
                let name = if *status == 400 { "unknown_model" } else { "no_route" };
                assert_eq!(reason(&reply), (*status, Some(name)));
                assert_eq!((outcome(&record).0, outcome(&record).1), (Category::Rejected, name));
                // In the API's own shape; Gemini's has no room for the reason.
                let shaped = if path.starts_with(CHAT) { name } else { "NOT_FOUND" };
                assert!(reply.text().contains(&format!("\"{shaped}\"")), "{}", reply.text());
            } else {
                assert_eq!(reply.text(), "default");
                assert!(split(default.requests().last().unwrap()).1 == *body, "the same bytes go up");
            }
        }
        assert!(wanted.requests().is_empty());
        assert_eq!(default.requests().is_empty(), reject);
        // The connection goes on behind a refusal whose body is read.
        let mut client = rig.client().await;
        client.send(&chat(r#"{"model":"other"}"#)).await.unwrap();
        client.read_reply(SOON).await;
        client.send(&chat(r#"{"model":"gpt-4o"}"#)).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.text(), "wanted");
    }
}

/// The last of them would be answered for, by an upstream that was chosen for the first.
#[tokio::test]
async fn two_models_that_differ_never_go_up_whole() {
    let wanted = named("wanted").await;
    let upstreams = || vec![upstream("d", &wanted.url()), for_models("w", &wanted.url(), &["cheap"])];
    let (first, second) = (r#"{"model":"cheap","messages":[],"#, r#""model":"dear"}"#);
    let rig = Rig::with(upstreams(), |_| {}).await;
    let reply = rig.ask(&chat(&format!("{first}{second}"))).await;
    assert_eq!(reason(&reply), (400, Some("unknown_model")));
    assert_eq!(rig.record().await.request.route_fallback, Some(RouteFallback::Unclear));
    assert!(wanted.requests().is_empty());
    // Twice the same is no harm.
    assert_eq!(rig.ask(&chat(r#"{"model":"cheap","model":"cheap"}"#)).await.text(), "wanted");

    // The second comes when the first is upstream.
    let mut sponge = Sponge::start(usize::MAX).await;
    let rig = Rig::with(vec![for_models("w", &format!("http://{}", sponge.addr), &["cheap"])], |_| {}).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("Transfer-Encoding", "chunked")], &chunk(first.as_bytes()))).await.unwrap();
    sponge.until(|got| got.ends_with(&chunk(first.as_bytes()))).await;
    client.send(&[chunk(second.as_bytes()), LAST_CHUNK.to_vec()].concat()).await.unwrap();
    let record = rig.record().await;
    assert_eq!((outcome(&record).0, outcome(&record).1), (Category::ClientRequest, "request_body"));
    assert_eq!(model(&record), Some("cheap"), "by which it was routed");
    assert!(!text(&sponge.until(|_| true).await).contains("dear"));
}

#[tokio::test]
async fn requests_that_name_no_model_by_their_kind() {
    let (default, a, b) = (named("default").await, named("a").await, named("b").await);
    let models = || vec![for_models("a", &a.url(), &["m-a"]), for_models("b", &b.url(), &["m-b"])];
    let with_default = || {
        let mut all = models();
        all.push(upstream("d", &default.url()));
        all
    };
    let big = vec![b'x'; 300_000];
    let form = ("Content-Type", "multipart/form-data; boundary=b-1");
    let all = [
        ("GET", "/v1/models", vec![], &b""[..]),
        ("OPTIONS", CHAT, vec![("Access-Control-Request-Method", "POST")], b""),
        ("GET", "/health", vec![], b""),
        ("POST", "/v1/responses/r/cancel", vec![], b""),
        ("POST", "/v1/files", vec![form], &big),
        ("DELETE", "/v1/files/f", vec![], b""),
    ];
    // Also where what is unknown is refused: they are not.
    let rig = Rig::with(with_default(), rejects).await;
    for (method, path, fields, body) in &all {
        assert_eq!(rig.ask(&request(method, path, fields, body)).await.text(), "default", "{method} {path}");
    }
    assert!(rig.records(all.len()).await.iter().all(|r| r.request.route_fallback.is_none()));
    // Without an upstream for all models: the one that is named, and a preflight goes to the first.
    let rig = Rig::with(models(), |config| config.routing.without_model = Some(1)).await;
    for (method, path, fields, body) in &all {
        assert_eq!(rig.ask(&request(method, path, fields, body)).await.text(), "b", "{method} {path}");
    }
    let rig = Rig::with(models(), |_| {}).await;
    for (method, path, fields, body) in &all {
        let reply = rig.ask(&request(method, path, fields, body)).await;
        if *method == "OPTIONS" {
            assert_eq!(reply.text(), "a");
        } else {
            assert_eq!(reason(&reply), (404, Some("no_route")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_held_ahead_has_a_budget() {
    let (default, wanted) = (named("default").await, named("wanted").await);
    let upstreams = vec![upstream("d", &default.url()), for_models("w", &wanted.url(), &["m"])];
    let rig = Rig::with(upstreams, |config| {
        config.routing = RoutingConfig { lookahead_budget_bytes: 512 << 10, ..RoutingConfig::default() };
    })
    .await;
    let body = |pad: usize| format!(r#"{{"x":"{}","model":"m"}}"#, "A".repeat(pad));
    assert_eq!(rig.ask(&chat(&body(400 << 10))).await.text(), "wanted");
    assert_eq!(rig.ask(&chat(&body(900 << 10))).await.text(), "default");
    assert_eq!(rig.records(2).await[1].request.route_fallback, Some(RouteFallback::NoRoom));
    // It is given back, and a second request has to do with what the first leaves; the first bytes are free.
    let mut client = rig.client().await;
    let begin = &chat(&body(450 << 10))[..430 << 10];
    client.send(begin).await.unwrap();
    assert_eq!(rig.ask(&chat(&body(30 << 10))).await.text(), "wanted");
    drop(client);
    rig.records(4).await;
    assert_eq!(rig.ask(&chat(&body(400 << 10))).await.text(), "wanted");
}

/// A record knows what was asked for, also where nothing went up.
#[tokio::test]
async fn a_request_that_failed_to_connect_knows_its_model() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = Rig::to(gone).await;
    rig.ask(&chat(r#"{"messages":[],"model":"m","stream":true}"#)).await;
    let record = rig.record().await;
    assert_eq!((outcome(&record).1, model(&record), record.stream), ("connect_refused", Some("m"), true));
    let rig = Rig::to(gone).await;
    let fields = [("Content-Type", "application/json"), ("Content-Encoding", "zstd")];
    rig.ask(&request("POST", CHAT, &fields, &coded("zstd", br#"{"model":"m"}"#))).await;
    assert_eq!(model(&rig.record().await), Some("m"));
    let nowhere: Vec<UpstreamConfig> = vec![for_models("w", &format!("http://{gone}"), &["x"])];
    let rig = Rig::with(nowhere, |_| {}).await;
    rig.ask(&chat(r#"{"model":"m"}"#)).await;
    assert_eq!((outcome(&rig.record().await).1, model(&rig.record().await)), ("no_route", Some("m")));
}

/// Who waits for a 100 before sending gets it, for the route needs the body.
#[tokio::test]
async fn a_client_that_waits_to_be_asked_is_asked() {
    let server = RawServer::start(vec![
        Step::ReadRequest,
        Step::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Step::Repeat,
    ]);
    let server = server.await.unwrap();
    let rig = Rig::with(vec![for_models("w", &server.url(), &["m"])], |_| {}).await;
    let mut client = rig.client().await;
    let body = r#"{"model":"m"}"#;
    let length = body.len().to_string();
    let head = request("POST", CHAT, &[("Expect", "100-continue"), ("Content-Length", &length)], b"");
    client.send(&head).await.unwrap();
    client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n", SOON).await.unwrap();
    client.send(body.as_bytes()).await.unwrap();
    assert_eq!(client.read_reply(SOON).await.text(), "ok");
}
