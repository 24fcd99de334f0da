//! Whom the listener answers to, and what pages of other origins get to read.

use limpid_core::{Category, Ending, Hosts};
use limpid_proxy::ProxyConfig;
use limpid_testkit::{RawServer, Reply, request};

use crate::common::{CHAT, Rig, always, outcome, upstream};

fn near(config: &mut ProxyConfig) {
    config.server.hosts = Hosts::new(["api.example"]);
}

fn asked(method: &str, host: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let body = if method == "OPTIONS" { &b""[..] } else { b"{}" };
    request(method, CHAT, &[&[("Host", host)], more].concat(), body)
}

fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

#[tokio::test]
async fn a_page_of_elsewhere_is_refused_and_recorded() {
    let server = RawServer::start(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], near).await;
    for (host, more, why) in [
        ("evil.example:4800", &[][..], "foreign_host"),
        ("localhost.evil.example", &[][..], "foreign_host"),
        ("127.0.0.1:4800", &[("Origin", "https://evil.example")][..], "foreign_origin"),
        ("localhost", &[("Origin", "null")][..], "foreign_origin"),
        ("localhost", &[("Origin", "http://localhost"), ("Origin", "http://evil.example")][..], "foreign_origin"),
    ] {
        let reply = rig.ask(&asked("POST", host, more)).await;
        assert_eq!((reply.status, field(&reply, "x-limpid-error")), (403, Some(why)), "{host} {more:?}");
    }
    assert_eq!(server.seen().len(), 0, "nothing has gone upstream");
    for (host, more) in [
        ("127.0.0.1:4800", &[][..]),
        ("[::1]:4800", &[][..]),
        ("localhost:4800", &[("Origin", "http://localhost:3000")][..]),
        ("API.example", &[("Origin", "https://api.example")][..]),
        ("localhost", &[("Origin", "tauri://localhost")][..]),
    ] {
        assert_eq!(rig.ask(&asked("POST", host, more)).await.status, 200, "{host} {more:?}");
    }
    let records = rig.records(10).await;
    assert_eq!(outcome(&records[0]), (Category::Rejected, "foreign_host", Ending::End));
    assert_eq!(outcome(&records[2]), (Category::Rejected, "foreign_origin", Ending::End));
}

#[tokio::test]
async fn a_page_may_read_why_limpid_itself_refused() {
    // Nothing listens there.
    let gone = RawServer::start(always("")).await.unwrap().url();
    let rig = Rig::with(vec![upstream("only", &gone.replace("127.0.0.1", "127.0.0.2"))], near).await;
    let page = [("Origin", "http://localhost:3000")];
    let reply = rig.ask(&asked("POST", "localhost", &page)).await;
    assert_eq!((reply.status, field(&reply, "access-control-allow-origin")), (502, Some("*")));
    assert_eq!(field(&reply, "access-control-expose-headers"), Some("x-limpid-error"));

    let preflight = |origin| {
        let fields = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        asked("OPTIONS", "localhost", &fields)
    };
    let reply = rig.ask(&preflight("http://localhost:3000")).await;
    assert_eq!((reply.status, field(&reply, "access-control-allow-origin")), (204, Some("*")));
    assert_eq!(field(&reply, "access-control-allow-headers"), Some("authorization,content-type"));
    assert_eq!(field(&reply, "access-control-allow-methods"), Some("POST"));
    let records = rig.records(2).await;
    assert_eq!((records[1].status, &*records[1].outcome.reason), (Some(204), "connect_refused"));

    let reply = rig.ask(&preflight("https://evil.example")).await;
    assert_eq!((reply.status, field(&reply, "access-control-allow-methods")), (403, None));
}

#[tokio::test]
async fn what_an_upstream_answers_gets_no_such_field() {
    let server = RawServer::start(always("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nok")).await.unwrap();
    let rig = Rig::with(vec![upstream("only", &server.url())], near).await;
    let reply = rig.ask(&asked("POST", "localhost", &[("Origin", "http://localhost:3000")])).await;
    assert_eq!((reply.status, field(&reply, "access-control-allow-origin")), (500, None));
}
