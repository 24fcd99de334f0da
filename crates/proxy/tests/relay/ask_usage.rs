//! Asking for usage: the upstream is asked, the record has the tokens, and the client sees what it would have seen.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use limpid_core::{Category, Ending, UsageAsked};
use limpid_proxy::{Http2, UpstreamConfig};
use limpid_testkit::sim::{SimConfig, SimServer};
use limpid_testkit::{RawServer, ReplyEnd, Step, request};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::common::{
    CHAT, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, always, chunk, outcome, split, streaming, text, upstream, whole,
    with_host,
};

const ASKED: &str = r#"{"model":"m","stream":true,"messages":[],"stream_options":{"include_usage":true}}"#;
const NULLS: &[u8] =
    b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
const FINISH: &[u8] =
    b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &[u8] =
    b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const END: &[u8] = b"data: [DONE]\n\n";

fn asking(addr: SocketAddr) -> UpstreamConfig {
    UpstreamConfig { ask_for_usage: true, ..upstream("only", &format!("http://{addr}")) }
}

async fn rig_to(addr: SocketAddr) -> Rig {
    Rig::with(vec![asking(addr)], |_| {}).await
}

/// An asked stream, and the unasked one.
fn streams() -> (Vec<u8>, Vec<u8>) {
    ([NULLS, NULLS, FINISH, USAGE, END].concat(), [EVENT, EVENT, FINISH, END].concat())
}

fn chunked(parts: &[&[u8]]) -> Vec<u8> {
    let chunks = parts.iter().map(|part| chunk(part)).collect::<Vec<_>>().concat();
    [SSE_HEAD, &chunks, LAST_CHUNK].concat()
}

#[tokio::test]
async fn the_upstream_is_asked_and_the_client_sees_nothing_of_it() {
    let (asked, unasked) = streams();
    let server = RawServer::start(always(chunked(&[NULLS, NULLS, FINISH, USAGE, END]))).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let reply = rig.ask(&streaming()).await;
    assert!(whole(&reply));
    assert_eq!(text(&reply.body), text(&unasked));
    assert_eq!(
        reply.chunks,
        [EVENT.len(), EVENT.len(), FINISH.len(), END.len()],
        "an event is passed on when it is whole"
    );
    let (head, body) = split(&server.requests()[0]);
    assert_eq!(text(&body), text(ASKED.as_bytes()));
    assert!(head.contains(&format!("content-length: {}", ASKED.len())), "{head}");
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End));
    assert_eq!(record.request.usage_asked, Some(UsageAsked::Asked));
    assert_eq!(record.request.include_usage, None, "what the client asked");
    let usage = record.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(3), Some(2)));
    // What the client sent, and what the upstream sent.
    assert_eq!((record.bytes.request, record.bytes.response), (ASKED.len() as u64 - 40, asked.len() as u64));
    assert_eq!(record.events, Some(5));
}

#[tokio::test]
async fn the_stream_may_be_cut_anywhere() {
    let (asked, unasked) = streams();
    let cuts: Vec<usize> = (1..asked.len()).step_by(5).collect();
    let script = cuts.iter().flat_map(|cut| {
        let (a, b) = asked.split_at(*cut);
        [Step::ReadRequest, Step::send(chunked(&[a, b]))]
    });
    let server = RawServer::start(script.collect()).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    for cut in &cuts {
        client.send(&streaming()).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert!(whole(&reply), "{cut}");
        assert_eq!(text(&reply.body), text(&unasked), "{cut}");
    }
    let records = rig.records(cuts.len()).await;
    assert!(records.iter().all(|r| r.usage.as_ref().unwrap().output_tokens == Some(2)));
}

#[tokio::test]
async fn an_event_is_passed_on_as_soon_as_it_is_whole() {
    let go = Arc::new(Notify::new());
    let (begin, rest) = NULLS.split_at(30);
    let script = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(NULLS), &chunk(b": ping\n"), &chunk(begin)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send([chunk(rest), chunk(FINISH)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send([&chunk(USAGE), LAST_CHUNK].concat()),
    ];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    client.read_until(&[chunk(EVENT), chunk(b": ping\n")].concat(), SOON).await.unwrap();
    go.notify_one();
    client.read_until(&[chunk(EVENT), chunk(FINISH)].concat(), SOON).await.unwrap();
    go.notify_one();
    assert_eq!(client.read_until(LAST_CHUNK, SOON).await.unwrap(), LAST_CHUNK);
}

#[tokio::test]
async fn requests_that_say_it_themselves_or_cannot_be_edited_pass_untouched() {
    let (asked, _) = streams();
    let server = RawServer::start(always(chunked(&[&asked]))).await.unwrap();
    let rig = Rig::with(vec![asking(server.addr())], |config| config.observe.request_bytes = 4096).await;
    let large = format!(r#"{{"stream":true,"messages":["{}"]}}"#, "x".repeat(5000));
    let line = |path: &str, more: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: limpid.test\r\n{more}");
        format!("{head}Content-Length: {}\r\nX-Last: 1\r\n\r\n{body}", body.len()).into_bytes()
    };
    let own = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
    let cases = [
        (line(CHAT, "", own), None),
        (line(CHAT, "", r#"{"stream":true,"stream_options":{"include_usage":false}}"#), None),
        (line(CHAT, "", r#"{"stream":false}"#), None),
        (line(CHAT, "", ""), None),
        (line("/v1/responses", "", r#"{"stream":true}"#), None),
        (line("/v1/messages", "", r#"{"stream":true}"#), None),
        (line(CHAT, "", &large), Some(UsageAsked::TooLarge)),
        (line(CHAT, "", r#"{"stream":true,"stream":true}"#), Some(UsageAsked::Unclear)),
        (line(CHAT, "", "{\"stream\":true"), Some(UsageAsked::NotJson)),
        (line(CHAT, "Content-Encoding: gzip\r\n", "no gzip"), Some(UsageAsked::Encoded)),
    ];
    for (sent, _) in &cases {
        let reply = rig.ask(sent).await;
        assert_eq!(text(&reply.body), text(&asked), "{}", text(sent));
    }
    let seen: Vec<_> = server.requests().iter().map(|r| text(r)).collect();
    let want: Vec<_> = cases.iter().map(|(sent, _)| text(&with_host(sent, server.addr()))).collect();
    assert_eq!(seen, want);
    let records = rig.records(cases.len()).await;
    assert_eq!(records.iter().map(|r| r.request.usage_asked).collect::<Vec<_>>(), cases.map(|(_, want)| want));
}

#[tokio::test]
async fn off_it_changes_nothing() {
    let (asked, _) = streams();
    let server = RawServer::start(always(chunked(&[&asked]))).await.unwrap();
    let only = upstream("only", &server.url());
    for rig in [Rig::to(server.addr()).await, {
        // Where nothing is observed nobody would read it.
        Rig::with(vec![UpstreamConfig { ask_for_usage: true, ..only }], |config| config.observe.enabled = false).await
    }] {
        assert_eq!(text(&rig.ask(&streaming()).await.body), text(&asked));
        assert_eq!(rig.record().await.request.usage_asked, None);
    }
    assert!(server.requests().iter().all(|r| !text(r).contains("include_usage")));
}

#[tokio::test]
async fn a_chunked_request_stays_chunked_and_keeps_its_trailers() {
    let server = RawServer::start(always(chunked(&[USAGE]))).await.unwrap();
    let rig = Rig::with(vec![asking(server.addr())], |config| config.observe.request_bytes = 60).await;
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nHost: limpid.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n");
    let parts = [&b"{\"model\":\"m\",\"str"[..], b"eam\":true,", b"\"messages\":[]}"];
    let body = |parts: &[&[u8]]| {
        [parts.iter().map(|p| chunk(p)).collect::<Vec<_>>().concat(), b"0\r\nX-T: 1\r\n\r\n".to_vec()].concat()
    };
    rig.ask(&[head.as_bytes(), &body(&parts)].concat()).await;
    let (fields, sent) = split(&server.requests()[0]);
    assert!(fields.contains("Transfer-Encoding: chunked") && !fields.contains("ontent-"), "{fields}");
    let member = &br#","stream_options":{"include_usage":true}"#[..];
    let edited = [br#"{"model":"m","stream":true,"messages":[]"#, member, b"}"].map(chunk).concat();
    assert_eq!(text(&sent), text(&[&edited[..], b"0\r\nx-t: 1\r\n\r\n"].concat()));

    // More than may be held: what was read ahead goes on as it came.
    let long = [parts[0], parts[1], &b"\"messages\":[                                      ]}"[..]].concat();
    let reply = rig.ask(&[head.as_bytes(), &body(&[&long[..20], &long[20..]])].concat()).await;
    assert_eq!(text(&reply.body), text(USAGE));
    assert!(text(&server.requests()[1]).contains(&text(&chunk(&long[20..]))));
    assert_eq!(rig.records(2).await[1].request.usage_asked, Some(UsageAsked::TooLarge));
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_reaches_no_upstream() {
    let server = RawServer::start(always(chunked(&[USAGE]))).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    let sent = streaming();
    client.send(&sent[..sent.len() - 5]).await.unwrap();
    client.reset().unwrap();
    assert_eq!(outcome(&rig.record().await).0, Category::Cancelled);
    let malformed = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert_eq!(rig.ask(malformed.as_bytes()).await.status, 400);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_compressed_reply_cannot_be_edited_and_the_record_says_so() {
    let (asked, _) = streams();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&asked).unwrap();
    let gzip = gzip.finish().unwrap();
    let head = |coding: &str, length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let script = vec![
        Step::ReadRequest,
        Step::send([head("gzip", gzip.len()).as_bytes(), &gzip].concat()),
        Step::ReadRequest,
        Step::send([head("identity", asked.len()).as_bytes(), &asked].concat()),
    ];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&streaming()).await.unwrap();
    let reply = client.read_reply(SOON).await;
    assert_eq!((whole(&reply), &reply.body), (true, &gzip));
    // One with a length can; the length would be wrong, and goes.
    client.send(&streaming()).await.unwrap();
    let reply = client.read_reply(SOON).await;
    assert!(whole(&reply));
    assert_eq!(text(&reply.body), text(&streams().1));
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, Some("chunked")));
    let records = rig.records(2).await;
    let became: Vec<_> = records.iter().map(|r| r.request.usage_asked).collect();
    assert_eq!(became, [Some(UsageAsked::LeftIn), Some(UsageAsked::Asked)]);
    assert!(records.iter().all(|r| r.usage.as_ref().unwrap().output_tokens == Some(2)));
}

#[tokio::test]
async fn other_replies_pass_as_they_are() {
    let json = r#"{"choices":[],"usage":{"prompt_tokens":1},"error":{"code":"x"}}"#;
    let replies = [
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        ),
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len()),
        format!(
            "HTTP/1.1 500 No\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{}",
            USAGE.len(),
            str(USAGE)
        ),
        "HTTP/1.1 204 No Content\r\nContent-Type: text/event-stream\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ];
    // Behind the second alone its connection is used again.
    let connections = [&replies[..1], &replies[1..3], &replies[3..4], &replies[4..]];
    let steps = |replies: &&[String]| replies.iter().flat_map(|r| [Step::ReadRequest, Step::send(r)]).collect();
    let server = RawServer::start_each(connections.iter().map(steps).collect()).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    for (n, reply) in replies.iter().enumerate() {
        client.send(&streaming()).await.unwrap();
        let got = client.read_reply(SOON).await;
        assert!(whole(&got), "{reply}");
        if n < 4 {
            assert_eq!(text(&got.raw), text(reply.as_bytes()));
        } else {
            assert!(got.body.is_empty());
        }
    }
    rig.records(replies.len()).await;
}

fn str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_stream_that_breaks_off_gives_what_it_had() {
    let (begin, _) = NULLS.split_at(40);
    let script =
        vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(&[NULLS, begin].concat())].concat()), Step::Close];
    let server = RawServer::start(script).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let reply = rig.ask(&streaming()).await;
    assert!(matches!(reply.end, ReplyEnd::Eof | ReplyEnd::Reset), "{:?}", reply.end);
    assert_eq!(text(&reply.body), text(&[EVENT, begin].concat()));
    assert_eq!(outcome(&rig.record().await), (Category::StreamError, "cut_off", Ending::UpstreamError));
}

#[tokio::test]
async fn what_is_held_comes_before_trailers_and_the_end() {
    let trailed = [SSE_HEAD, &chunk(NULLS.trim_ascii_end()), b"0\r\nX-T: 1\r\n\r\n"].concat();
    let trailed = str(&trailed).replacen("\r\n\r\n", "\r\nTrailer: X-T\r\n\r\n", 1);
    let closed = [
        &b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n"[..],
        NULLS,
        USAGE,
        END.trim_ascii_end(),
    ]
    .concat();
    let server = RawServer::start(always(trailed)).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(&request("POST", CHAT, &[("TE", "trailers")], br#"{"stream":true}"#)).await.unwrap();
    let reply = client.read_reply(SOON).await;
    assert_eq!((whole(&reply), text(&reply.body)), (true, text(EVENT.trim_ascii_end())));
    assert!(reply.raw.ends_with(b"\r\n0\r\nx-t: 1\r\n\r\n"), "{}", text(&reply.raw));

    let server = RawServer::start(vec![Step::ReadRequest, Step::send(closed), Step::Close]).await.unwrap();
    let reply = rig_to(server.addr()).await.ask(&streaming()).await;
    assert_eq!((whole(&reply), text(&reply.body)), (true, text(&[EVENT, END.trim_ascii_end()].concat())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_streams_are_the_unasked_ones() {
    let sim = SimServer::start(SimConfig::default()).await.unwrap();
    for http2 in [Http2::Never, Http2::PriorKnowledge] {
        let rig = Rig::with(vec![UpstreamConfig { http2, ..asking(sim.addr()) }], |_| {}).await;
        for path in [CHAT, "/v1/completions"] {
            for kind in [
                r#""tokens":12"#,
                r#""tokens":9,"tokens_per_chunk":4,"reasoning_tokens":5"#,
                r#""tokens":7,"output":"tool_call""#,
                r#""tokens":"many""#,
            ] {
                let body =
                    format!(r#"{{"model":"m","stream":true,"messages":[],"sim":{{{kind},"ttft_ms":1,"gap_ms":0}}}}"#);
                let sent = request("POST", path, &[], body.as_bytes());
                let straight = limpid_testkit::exchange(sim.addr(), &sent, SOON).await.unwrap();
                let through = rig.ask(&sent).await;
                assert!(whole(&through));
                assert_eq!(through.status, straight.status);
                assert_eq!(anonymous(&through.text()), anonymous(&straight.text()), "{path} {kind}");
            }
        }
        let records = rig.records(8).await;
        assert!(records.iter().all(|r| r.request.usage_asked == Some(UsageAsked::Asked)));
        let tokens: Vec<_> = records[..3].iter().map(|r| r.usage.as_ref().unwrap().output_tokens).collect();
        assert_eq!(tokens, [Some(12), Some(14), Some(7)]);
    }
}

/// Without ids and times.
fn anonymous(stream: &str) -> String {
    let mut out = String::new();
    let mut rest = stream;
    while let Some(at) = ["sim0", "\"created\":"].iter().filter_map(|s| rest.find(s)).min() {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        let end =
            behind.char_indices().skip(10).find(|(_, c)| !c.is_ascii_alphanumeric()).map_or(behind.len(), |(i, _)| i);
        rest = &behind[end..];
    }
    out + rest
}

#[tokio::test]
async fn clients_of_http_2_are_served_alike() {
    let (_, unasked) = streams();
    let server = RawServer::start(always(chunked(&[NULLS, NULLS, FINISH, USAGE, END]))).await.unwrap();
    let rig = rig_to(server.addr()).await;
    let stream = TcpStream::connect(rig.addr).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let body = Full::new(Bytes::from_static(br#"{"model":"m","stream":true,"messages":[]}"#));
    let ask = Request::post(format!("http://limpid.test{CHAT}")).body(body).unwrap();
    let response = sender.send_request(ask).await.unwrap();
    assert_eq!(text(&response.into_body().collect().await.unwrap().to_bytes()), text(&unasked));
    let (head, body) = split(&server.requests()[0]);
    assert_eq!(text(&body), text(ASKED.as_bytes()));
    assert!(head.to_lowercase().contains(&format!("content-length: {}", ASKED.len())), "{head}");
    assert_eq!(rig.record().await.usage.unwrap().output_tokens, Some(2));
}

/// A body that is read ahead in one-byte chunks takes time and room in proportion, and is the same bytes.
#[tokio::test]
async fn a_body_of_tiny_chunks_is_read_ahead_in_proportion() {
    let server = RawServer::start(always(chunked(&[USAGE]))).await.unwrap();
    let rig = Rig::with(vec![asking(server.addr())], |config| config.observe.request_bytes = 1 << 20).await;
    let body = format!("{{\"model\":\"m\",\"messages\":\"{}\",\"stream\":true}}", "x".repeat(200_000));
    let chunks: Vec<u8> = body.bytes().flat_map(|byte| [b'1', b'\r', b'\n', byte, b'\r', b'\n']).collect();
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: limpid.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    // A sum over all that is held for each of them would take minutes.
    let reply = rig.ask(&[head.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).await;
    assert_eq!(reply.status, 200);
    let record = rig.record().await;
    assert_eq!((record.request.usage_asked, record.bytes.request), (Some(UsageAsked::Asked), body.len() as u64));
    let sent = String::from_utf8(server.requests().remove(0)).unwrap();
    let sent: String = sent.split("\r\n").filter(|line| line.contains(['x', '{', '}'])).collect();
    assert!(sent.ends_with(",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"), "{} bytes", sent.len());
    assert_eq!(sent.matches('x').count(), 200_000);
}
