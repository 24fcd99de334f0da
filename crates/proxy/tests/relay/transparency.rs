//! What goes in comes out: lines, names, order, case, framing, in both directions.

use limpid_testkit::{RawServer, Step, request};

use crate::common::{Rig, SOON, always, chunk, split, text, whole, with_host};

#[tokio::test]
async fn a_request_and_its_reply_pass_byte_for_byte() {
    let sent = b"POST /v1/chat/completions?b=%20&&a=1%2F;x HTTP/1.1\r\nX-Zeta: 1\r\nHost: limpid.test\r\n\
        x-ALPHA: caf\xe9\r\nAuthorization: Bearer sk\r\nUser-Agent: odd (agent)\r\nCookie: a=1; b=2\r\nX-Empty:\r\n\
        Accept-Encoding: br;q=0.1, gzip\r\nContent-Type: application/json\r\nX-Twice: 1\r\nX-Twice: 2\r\n\
        Forwarded: for=_x\r\nContent-Length: 5\r\nx-last: z\r\n\r\nhello";
    let answer = b"HTTP/1.1 299 Quite Odd, Really\r\nX-B: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nx-a: \xff1\r\n\
        CONTENT-type: text/plain\r\nContent-Length: 2\r\nETag: W/\"q\"\r\n\r\nok";
    let server = RawServer::start(always(answer)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send(sent).await.unwrap();
        let reply = client.read_reply(SOON).await;
        assert_eq!(text(&reply.raw), text(answer));
    }
    let seen: Vec<_> = server.requests().iter().map(|r| text(r)).collect();
    assert_eq!(seen, vec![text(&with_host(sent, server.addr())); 2]);
    assert_eq!(server.seen().len(), 1, "one connection for both");
}

#[tokio::test]
async fn odd_reason_phrases_pass() {
    for line in [&b"200 caf\xe9"[..], b"200 ", b"404 \t OK", b"299 Quite Odd"] {
        let answer = [b"HTTP/1.1 ", line, b"\r\nX-None:\r\nX-Blank: \r\nContent-Length: 2\r\n\r\nok"].concat();
        let server = RawServer::start(always(&answer)).await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let reply = rig.ask(&request("GET", "/", &[], b"")).await;
        assert_eq!(text(&reply.raw), text(&answer));
    }
}

#[tokio::test]
async fn paths_and_queries_are_not_normalised() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    let paths = [
        "/",
        "/a//b/./c/../d/",
        "//double",
        "/%7Euser/;x=1",
        "/v1/models/org%2Fname%3Atag",
        "/x?",
        "/x??a=b?c",
        "/x?a=%zz&b=%",
        "/{\"a\":[1]}|~^\\?q={a:[1]}|~^\\`",
        "/caf\u{e9}/%C3%A9?\u{fc}",
        "/x?a=1&a=1&&=&",
        "/*",
        "/a:b@c!$'()+,",
    ];
    for path in paths {
        client.send(&request("GET", path, &[], b"")).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.status, 200, "{path}");
    }
    let seen: Vec<_> = server.requests().iter().map(|r| split(r).0.lines().next().unwrap().to_owned()).collect();
    assert_eq!(seen, paths.map(|p| format!("GET {p} HTTP/1.1")));
    // The record names the path, never the query.
    assert!(rig.records(paths.len()).await.iter().all(|r| !r.path.contains('?')));
}

/// What no URI may contain makes no request, and gets a bare answer: no upstream sees it, and there is no exchange. A
/// fragment, which belongs to the client alone, is cut off.
#[tokio::test]
async fn targets_that_are_no_uris_are_refused() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    for path in ["/<a>", "/`", "/x?a=\"b\"", "/x?<"] {
        let reply = rig.ask(&request("GET", path, &[], b"")).await;
        assert_eq!((reply.status, reply.body.len()), (400, 0), "{path}");
    }
    assert_eq!((server.seen().len(), rig.sink.started_count()), (0, 0));
    assert_eq!(rig.ask(&request("GET", "/a?b#c", &[], b"")).await.status, 200);
    assert!(server.requests()[0].starts_with(b"GET /a?b HTTP/1.1\r\n"));
}

#[tokio::test]
async fn any_method_with_and_without_a_body() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    let line = |method: &str, path: &str, rest: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: limpid.test\r\n{rest}").into_bytes()
    };
    let mut sent = vec![line("OPTIONS", "*", "\r\n"), line("POST", "/no-length", "\r\n")];
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "X-Own~1", "get"] {
        sent.push(line(method, "/none", "\r\n"));
        sent.push(line(method, "/empty", "X-A: b\r\nContent-Length: 0\r\nX-B: c\r\n\r\n"));
        sent.push(line(method, "/some", "Content-Length: 3\r\n\r\nabc"));
    }
    for bytes in &sent {
        client.send(bytes).await.unwrap();
        assert_eq!(client.read_reply(SOON).await.status, 200, "{}", text(bytes));
    }
    let seen: Vec<_> = server.requests().iter().map(|r| text(r)).collect();
    let expected: Vec<_> = sent.iter().map(|s| text(&with_host(s, server.addr()))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn replies_without_a_body_keep_what_they_say_of_it() {
    let replies = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 1234\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nX-A: b\r\nTRANSFER-encoding: Chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nX-A: b\r\nCONTENT-LENGTH: 0\r\nX-B: c\r\n\r\n"),
    ];
    let scripts = replies.iter().map(|(_, reply)| vec![Step::ReadRequest, Step::send(reply), Step::ReadToEnd]);
    let server = RawServer::start_each(scripts.collect()).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    for (method, sent) in replies {
        client.send(&request(method, "/", &[], b"")).await.unwrap();
        let reply = if method == "HEAD" { client.read_head_reply(SOON).await } else { client.read_reply(SOON).await };
        assert!(whole(&reply), "{sent}");
        assert_eq!(text(&reply.raw), text(sent.as_bytes()));
    }
    let records = rig.records(replies.len()).await;
    assert!(records.iter().all(|r| r.outcome.category == limpid_core::Category::Ok && r.bytes.response == 0));
    assert_eq!(server.seen().len(), replies.len(), "a body that should not be there may come late");
}

#[tokio::test]
async fn a_body_without_framing_comes_whole() {
    let body = "the length is told by the end";
    for version in ["1.1", "1.0"] {
        let server = RawServer::start(vec![
            Step::ReadRequest,
            Step::send(format!("HTTP/{version} 200 Fine\r\nX-A: b\r\n\r\n{body}")),
        ]);
        let server = server.await.unwrap();
        let rig = Rig::to(server.addr()).await;
        let reply = rig.ask(&request("GET", "/", &[], b"")).await;
        assert!(whole(&reply));
        assert_eq!((reply.text().as_str(), reply.status_line.as_str()), (body, "HTTP/1.1 200 Fine"));
        // Chunked, so that the client can tell the end from a cut.
        let lines: Vec<_> = reply.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(lines, ["X-A: b", "transfer-encoding: chunked"]);
    }
}

#[tokio::test]
async fn chunks_pass_with_their_bounds_and_without_extensions() {
    let reply = "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: Chunked\r\nX-B: 2\r\n\r\n\
        5;name=\"v\"\r\nhello\r\n001 \r\n!\r\n00;last\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let body = [&b"3;ext=1\r\nabc\r\n"[..], &chunk(b"defg"), b"0\r\n\r\n"].concat();
    let sent = request("POST", "/", &[("X-1", "a"), ("Transfer-Encoding", "chunked"), ("X-2", "b")], &body);
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send(&sent).await.unwrap();
        let got = client.read_reply(SOON).await;
        assert!(whole(&got));
        assert_eq!((got.text().as_str(), &got.chunks[..]), ("hello!", &[5, 1][..]));
        assert_eq!(split(&got.raw).0, split(reply.as_bytes()).0);
        assert_eq!(text(&split(&got.raw).1), text(b"5\r\nhello\r\n001\r\n!\r\n00\r\n\r\n"), "sizes as they were spelt");
    }
    for seen in server.requests() {
        let (head, framed) = split(&seen);
        assert_eq!(head, split(&sent).0.replace("localhost", &server.addr().to_string()));
        let parts = [chunk(b"abc"), chunk(b"defg"), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(text(&framed), text(&parts));
    }
}

#[tokio::test]
async fn an_empty_chunked_body_stays_one() {
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let sent = request("POST", "/", &[("Transfer-Encoding", "chunked")], b"0\r\n\r\n");
    let got = rig.ask(&sent).await;
    assert_eq!(text(&got.raw), text(reply.as_bytes()));
    assert!(server.requests()[0].ends_with(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn trailers_pass_where_they_are_announced_and_wanted() {
    let reply =
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let fields = [("TE", "trailers"), ("Trailer", "X-Sent"), ("Transfer-Encoding", "chunked")];
    let sent = request("POST", "/", &fields, b"2\r\nhi\r\n0\r\nX-Sent: 9\r\n\r\n");
    let got = rig.ask(&sent).await;
    assert!(whole(&got));
    assert!(text(&got.raw).to_lowercase().ends_with("0\\r\\nx-sum: 7\\r\\n\\r\\n"), "{}", text(&got.raw));
    let seen = text(&server.requests()[0]).to_lowercase();
    assert!(seen.ends_with("2\\r\\nhi\\r\\n0\\r\\nx-sent: 9\\r\\n\\r\\n"), "{seen}");
    // To a client that does not ask for them they are not sent (RFC 9110 §6.5.1); the body is whole all the same.
    let got = rig.ask(&request("GET", "/", &[], b"")).await;
    assert_eq!((whole(&got), got.text().as_str()), (true, "ok"));
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served() {
    let reply = "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut client = rig.client().await;
    client.send(b"GET /old HTTP/1.0\r\nX-Old: yes\r\n\r\n").await.unwrap();
    let raw = client.read_to_end(SOON).await.unwrap();
    assert_eq!(text(&raw), text(b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nhello"));
    let seen = split(&server.requests()[0]).0.to_lowercase();
    assert_eq!(seen, format!("get /old http/1.1\r\nx-old: yes\r\nhost: {}", server.addr()));
}

#[tokio::test]
async fn hop_by_hop_fields_end_at_the_hop() {
    let reply = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-End: 2\r\n\
        Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let fields = [("Connection", "X-Mine, keep-alive"), ("X-Mine", "1"), ("TE", "trailers"), ("X-Kept", "2")];
    let got = rig.ask(&request("GET", "/", &fields, b"")).await;
    let expected = "HTTP/1.1 200 OK\r\nX-End: 2\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(text(&got.raw), text(expected.as_bytes()));
    let seen = split(&server.requests()[0]).0;
    assert_eq!(seen, format!("GET / HTTP/1.1\r\nhost: {}\r\nX-Kept: 2", server.addr()));
}

/// RFC 9112 §6.3: chunked wins over a length, and whoever passes such a message on must take the length away. Two
/// recipients that disagree on where a message ends are how requests and responses are smuggled.
#[tokio::test]
async fn a_length_beside_chunked_is_not_passed_on() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let got = rig.ask(&request("GET", "/", &[], b"")).await;
    assert_eq!((whole(&got), got.text().as_str(), got.header("content-length")), (true, "hello", None));

    let fields = [("Content-Length", "1"), ("Transfer-Encoding", "chunked")];
    let got = rig.ask(&request("POST", "/", &fields, b"3\r\nabc\r\n0\r\n\r\n")).await;
    if got.status == 200 {
        let (head, body) = split(&server.requests()[1]);
        assert!(!head.to_lowercase().contains("content-length"), "{head}");
        assert_eq!(text(&body), text(b"3\r\nabc\r\n0\r\n\r\n"));
    } else {
        assert_eq!((got.status, server.requests().len()), (400, 1), "refused, and nothing went upstream");
    }
}

#[tokio::test]
async fn an_interim_answer_does_not_take_the_place_of_the_reply() {
    let reply = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = RawServer::start(always(reply)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let fields = [("Expect", "100-continue"), ("Content-Length", "4")];
    let mut client = rig.client().await;
    client.send(&request("POST", "/", &fields, b"")).await.unwrap();
    // limpid itself tells the client to go on: the upstream's word would come later or never.
    assert_eq!(client.read_until(b"\r\n\r\n", SOON).await.unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"body").await.unwrap();
    let got = client.read_reply(SOON).await;
    assert_eq!((got.status, got.text().as_str()), (200, "ok"));
    assert!(server.requests()[0].ends_with(b"\r\n\r\nbody"));
}
