//! Clients that speak HTTP/2 in plain text, by prior knowledge; upstreams always get HTTP/1.1.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use limpid_core::{Category, Ending};
use limpid_testkit::{RawServer, Step};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::common::{
    CHAT, DONE, EVENT, LAST_CHUNK, Rig, SOON, SSE_HEAD, Sponge, always, chunk, outcome, split, text, upstream,
};

pub(crate) async fn connect<B>(rig: &Rig) -> SendRequest<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: std::error::Error + Send + Sync,
{
    let stream = TcpStream::connect(rig.addr).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

/// A body that is told part by part.
struct Parts(mpsc::UnboundedReceiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|part| Some(Ok(Frame::data(part?))))
    }
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://limpid.test{CHAT}?a=%20b")).header("x-one", "1");
    request.header("authorization", "Bearer sk").body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

async fn data(response: &mut Response<Incoming>) -> Option<Bytes> {
    let frame = timeout(SOON, response.body_mut().frame()).await.unwrap()?;
    frame.unwrap().into_data().ok()
}

#[tokio::test]
async fn a_request_becomes_http_1_1_and_its_reply_http_2() {
    let answer = "HTTP/1.1 201 Made\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\
        Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nok";
    let server = RawServer::start(always(answer)).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    let response = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::CREATED, Version::HTTP_2));
    let fields: Vec<_> = response.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    assert_eq!(fields, ["x-a: 1", "set-cookie: a", "set-cookie: b", "content-length: 2"]);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    let (head, body) = split(&server.requests()[0]);
    let mut lines: Vec<_> = head.lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "post /v1/chat/completions?a=%20b http/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.addr());
    assert_eq!(lines, ["authorization: bearer sk", "content-length: 2", &host, "x-one: 1"]);
    assert_eq!(body, b"{}");
    assert_eq!(outcome(&rig.record().await), (Category::Ok, "end", Ending::End));
}

#[tokio::test]
async fn a_request_without_a_body_gets_none() {
    let server = RawServer::start(always("HTTP/1.1 204 No Content\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    for method in ["GET", "DELETE", "POST"] {
        let request = Request::builder().method(method).uri("http://limpid.test/v1/models").body(Empty::<Bytes>::new());
        let response = timeout(SOON, sender.send_request(request.unwrap())).await.unwrap().unwrap();
        assert_eq!(response.status(), 204);
        let seen = text(server.requests().last().unwrap()).to_lowercase();
        assert!(!seen.contains("transfer-encoding") && seen.ends_with("\\r\\n\\r\\n"), "{seen}");
    }
}

/// HTTP/2 may split cookies into several fields to compress them better; HTTP/1.1 must get one (RFC 9113 §8.2.3).
#[tokio::test]
async fn split_cookies_are_joined() {
    let server = RawServer::start(always("HTTP/1.1 204 No Content\r\n\r\n")).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    let request = Request::get("http://limpid.test/").header("cookie", "a=1").header("cookie", "b=2");
    timeout(SOON, sender.send_request(request.body(Empty::<Bytes>::new()).unwrap())).await.unwrap().unwrap();
    let (head, _) = split(&server.requests()[0]);
    let cookies: Vec<_> = head.lines().filter(|l| l.to_lowercase().starts_with("cookie:")).collect();
    assert_eq!(cookies, ["cookie: a=1; b=2"]);
}

#[tokio::test]
async fn streams_flow_event_by_event_and_beside_each_other() {
    let go = Arc::new(Notify::new());
    let slow = vec![
        Step::ReadRequest,
        Step::send([SSE_HEAD, &chunk(EVENT)].concat()),
        Step::Wait(Arc::clone(&go)),
        Step::send([chunk(DONE), LAST_CHUNK.to_vec()].concat()),
    ];
    let quick = always([SSE_HEAD, &chunk(EVENT), &chunk(DONE), LAST_CHUNK].concat());
    let server = RawServer::start_each(vec![slow, quick]).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    let mut first = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    assert!(!first.headers().contains_key("transfer-encoding"));
    assert_eq!(data(&mut first).await.unwrap(), EVENT);
    // While the first stream waits, another comes and goes on the same connection.
    let second = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(second.into_body().collect().await.unwrap().to_bytes(), [EVENT, DONE].concat());
    go.notify_one();
    assert_eq!(data(&mut first).await.unwrap(), DONE);
    assert!(first.into_body().collect().await.unwrap().to_bytes().is_empty());
    for record in rig.records(2).await {
        assert_eq!(outcome(&record), (Category::Ok, "stop", Ending::End));
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_frees_the_upstream() {
    let scripts = vec![
        vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd],
        vec![Step::ReadRequest, Step::ReadToEnd],
        always("HTTP/1.1 204 No Content\r\n\r\n"),
    ];
    let server = RawServer::start_each(scripts).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    // In mid-stream.
    let mut response = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(data(&mut response).await.unwrap(), EVENT);
    drop(response);
    server.until(SOON, |seen| seen[0].peer_closed).await.unwrap();
    let record = rig.record().await;
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    assert_eq!(record.token_events, Some(1));
    // While waiting for the head.
    let waiting = tokio::spawn(sender.send_request(post("{}")));
    server.until(SOON, |seen| seen.len() == 2 && seen[1].requests.len() == 1).await.unwrap();
    waiting.abort();
    server.until(SOON, |seen| seen[1].peer_closed).await.unwrap();
    let record = rig.records(2).await.remove(1);
    assert_eq!(outcome(&record), (Category::Cancelled, "client_gone", Ending::ClientGone));
    // The connection itself is still good.
    let response = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(response.status(), 204);
}

#[tokio::test]
async fn an_abort_of_the_upstream_resets_the_stream() {
    let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat())];
    let server = RawServer::start(script).await.unwrap();
    let rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    let mut response = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(data(&mut response).await.unwrap(), EVENT, "what came before the cut");
    assert!(timeout(SOON, response.into_body().collect()).await.unwrap().is_err());
    assert_eq!(outcome(&rig.record().await), (Category::StreamError, "cut_off", Ending::UpstreamError));
}

#[tokio::test]
async fn an_upload_of_unknown_length_is_chunked_upstream() {
    let mut sponge = Sponge::start(usize::MAX).await;
    let rig = Rig::to(sponge.addr).await;
    let mut sender = connect(&rig).await;
    let (tell, parts) = mpsc::unbounded_channel();
    let request = Request::post(format!("http://limpid.test{CHAT}")).body(Parts(parts)).unwrap();
    let asking = tokio::spawn(sender.send_request(request));
    tell.send(Bytes::from_static(b"{\"model\":")).unwrap();
    let got = sponge.until(|got| got.ends_with(&chunk(b"{\"model\":"))).await;
    assert!(split(&got).0.to_lowercase().contains("transfer-encoding: chunked"));
    tell.send(Bytes::from_static(b"\"m\"}")).unwrap();
    drop(tell);
    sponge.until(|got| got.ends_with(LAST_CHUNK)).await;
    asking.abort();
    assert_eq!(rig.record().await.model.requested.as_deref(), Some("m"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_the_drain() {
    let server = RawServer::start(always("HTTP/1.1 204 No Content\r\n\r\n")).await.unwrap();
    let mut rig = Rig::to(server.addr()).await;
    let mut sender = connect(&rig).await;
    assert_eq!(timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap().status(), 204);
    assert_eq!(timeout(SOON, rig.drain()).await.unwrap().unwrap().broken_off, 0);
    assert!(timeout(SOON, sender.send_request(post("{}"))).await.unwrap().is_err());
}

#[tokio::test]
async fn streams_are_broken_off_when_the_drain_takes_too_long() {
    let script = vec![Step::ReadRequest, Step::send([SSE_HEAD, &chunk(EVENT)].concat()), Step::ReadToEnd];
    let server = RawServer::start(script).await.unwrap();
    let mut rig = Rig::with(vec![upstream("only", &server.url())], |config| {
        config.server.drain_timeout = Duration::from_millis(50);
    })
    .await;
    let mut sender = connect(&rig).await;
    let mut response = timeout(SOON, sender.send_request(post("{}"))).await.unwrap().unwrap();
    assert_eq!(data(&mut response).await.unwrap(), EVENT);
    let drained = timeout(SOON, rig.drain()).await.unwrap().unwrap();
    assert_eq!(drained.broken_off, 1);
    assert_eq!(outcome(&rig.record().await), (Category::Cancelled, "shutdown", Ending::Shutdown));
    assert!(timeout(SOON, response.body_mut().frame()).await.unwrap().is_none_or(|frame| frame.is_err()));
}
