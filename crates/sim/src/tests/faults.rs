//! Faults do what they say, and no more.

use super::*;
use crate::{Coding, TraceEnding};

async fn chat_with(fault: &str) -> (Client, Reply) {
    let mut client = Client::new().await;
    let reply = client.post(CHAT, chat(json!({"fault": fault, "tokens": 10}))).await;
    (client, reply)
}

fn contents(reply: &Reply) -> usize {
    reply
        .events()
        .iter()
        .filter(|e| e["choices"][0]["delta"]["content"].as_str().is_some_and(|c| !c.is_empty()))
        .count()
}

#[tokio::test(start_paused = true)]
async fn error_replies_have_their_status_and_code() {
    for (fault, status, code) in [
        ("status:503", 503, json!("overloaded")),
        ("status:500", 500, Value::Null),
        ("rate_limited:7", 429, json!("rate_limit_exceeded")),
        ("quota", 429, json!("insufficient_quota")),
        ("context_length", 400, json!("context_length_exceeded")),
        ("content_filter", 400, json!("content_filter")),
    ] {
        let (_, reply) = chat_with(fault).await;
        assert_eq!(reply.status, status, "{fault}");
        assert_eq!(reply.json()["error"]["code"], code, "{fault}");
        assert_eq!(reply.headers.get("retry-after").is_some(), fault == "rate_limited:7");
    }
    let mut client = Client::new().await;
    let reply = client.post("/v1/messages", chat(json!({"fault": "status:529"}))).await;
    assert_eq!(reply.json()["error"]["type"], "overloaded_error");
    let reply = client.post("/api/chat", chat(json!({"fault": "status:503"}))).await;
    assert!(reply.json()["error"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_cut_breaks_the_connection_after_so_many_chunks() {
    let (client, reply) = chat_with("cut_off:4").await;
    assert!(reply.broken);
    assert_eq!(contents(&reply), 4);
    assert_eq!(client.stats.trace("r1").unwrap().ended.unwrap().1, TraceEnding::Aborted);
    client.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_truncated_stream_ends_cleanly_without_its_closing_events() {
    let (_, reply) = chat_with("truncate:4").await;
    assert!(!reply.broken);
    assert_eq!((contents(&reply), reply.data().len()), (4, 5));
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_replaces_the_rest() {
    let (_, reply) = chat_with("in_stream_error:4").await;
    assert_eq!(contents(&reply), 4);
    assert_eq!(reply.events()[5]["error"]["code"], 500);
    assert_eq!(reply.data()[6..], ["[DONE]"]);

    let mut client = Client::new().await;
    let sim = json!({"fault": "in_stream_error:2"});
    let reply = client.post("/v1/messages", chat(sim.clone())).await;
    assert_eq!(reply.events().last().unwrap()["error"]["type"], "overloaded_error");
    let reply = client.post("/v1/responses", chat(sim.clone())).await;
    assert_eq!(reply.events().last().unwrap()["type"], "error");
    let reply = client.post("/api/chat", chat(sim)).await;
    assert!(reply.text().lines().last().unwrap().starts_with("{\"error\":"));
}

#[tokio::test(start_paused = true)]
async fn junk_is_one_event_too_many() {
    let (_, reply) = chat_with("junk:4").await;
    let data = reply.data();
    assert_eq!(data.iter().filter(|d| **d != "[DONE]" && serde_json::from_str::<Value>(d).is_err()).count(), 1);
    assert_eq!(data.len(), 1 + 10 + 1 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn silence_lasts() {
    let mut client = Client::new().await;
    let hour = Duration::from_secs(3600);
    let never = tokio::time::timeout(hour, client.start(CHAT, chat(json!({"fault": "never_answer"}))));
    assert!(never.await.is_err());

    let mut client = Client::new().await;
    let response = client.start(CHAT, chat(json!({"fault": "stall_forever:3"}))).await.unwrap();
    assert!(tokio::time::timeout(hour, response.into_body().collect()).await.is_err());
    assert_eq!(client.stats.trace("r1").unwrap().tokens().len(), 3);
    client.stats.until(|s| s.cancelled() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn hanging_up_gives_no_response() {
    let mut client = Client::new().await;
    let error = client.start(CHAT, chat(json!({"fault": "hang_up"}))).await.unwrap_err();
    assert!(error.is_incomplete_message(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn whole_replies_break_in_their_own_way() {
    let whole = |fault: &str| {
        let mut request = chat(json!({"fault": fault}));
        request["stream"] = false.into();
        request
    };
    let mut client = Client::new().await;
    assert_eq!(client.post(CHAT, whole("in_stream_error")).await.status, 500);
    let truncated = client.post(CHAT, whole("truncate")).await;
    assert!(!truncated.broken && serde_json::from_slice::<Value>(&truncated.body).is_err());
    let cut = client.post(CHAT, whole("cut_off")).await;
    assert!(cut.broken);
    let announced: usize = cut.headers["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(cut.body.len(), announced / 2);
}

#[tokio::test(start_paused = true)]
async fn closing_after_a_reply_is_not_announced() {
    let mut client = Client::with(Behaviour { close_after_reply: true, ..Behaviour::default() }).await;
    let reply = client.post(CHAT, chat(json!({}))).await;
    assert_eq!(reply.headers["connection"], "keep-alive");
    assert!(!reply.broken);
    assert_eq!(contents(&reply), 50);
    client.served.await.unwrap();
    assert_eq!(client.stats.completed(), 1);
}

#[tokio::test(start_paused = true)]
async fn gzip_streams_carry_each_event_in_time() {
    let mut client = Client::with(Behaviour { coding: Coding::Gzip, ..Behaviour::default() }).await;
    let reply = client.post(CHAT, chat(json!({"tokens": 30}))).await;
    assert_eq!(reply.headers["content-encoding"], "gzip");
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&reply.body[..]), &mut plain).unwrap();
    let plain = Reply { body: plain.into(), ..reply };
    assert_eq!(contents(&plain), 30);
    assert_eq!(client.stats.trace("r1").unwrap().tokens().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_told_what_is_wrong() {
    let mut client = Client::new().await;
    for (request, said) in [
        (chat(json!({"tfft_ms": 5})), "unknown field `tfft_ms`"),
        (chat(json!({"ttft_ms": -5})), "sim.ttft_ms"),
        (chat(json!({"fault": "explode"})), "unknown fault `explode`"),
        (json!([]), "not valid"),
    ] {
        let reply = client.post(CHAT, request).await;
        assert_eq!(reply.status, 400);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(client.post(CHAT, json!({"model": "sim-none"})).await.json()["error"]["code"], "model_not_found");
    assert_eq!(client.post("/nowhere", json!({})).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn http2_without_tls_streams_cuts_and_cancels_one_stream_only() {
    let shared = Shared::new(&SimConfig::default());
    let stats = Arc::clone(&shared.stats);
    let (near, far) = tokio::io::duplex(1 << 20);
    tokio::spawn(serve(shared, far));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(executor, TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let request =
        |sim: Value| Request::post(format!("http://sim{CHAT}")).body(Full::from(chat(sim).to_string())).unwrap();
    let body = send.send_request(request(json!({"tokens": 3}))).await.unwrap().into_body().collect().await.unwrap();
    assert!(body.to_bytes().ends_with(b"data: [DONE]\n\n"));
    let cut = send.send_request(request(json!({"fault": "cut_off:2"}))).await.unwrap();
    assert!(cut.into_body().collect().await.is_err());
    let mut left = send.send_request(request(json!({"gap_ms": 1000}))).await.unwrap().into_body();
    left.frame().await.unwrap().unwrap();
    drop(left);
    stats.until(|s| s.cancelled() == 1).await;
    assert_eq!((stats.completed(), stats.aborted(), stats.open_connections()), (1, 1, 1));
}
