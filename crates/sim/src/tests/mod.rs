//! The simulator as a client sees it, over an in-memory connection and with tokio's time paused: exact and quick.

mod dialects;
mod faults;
mod schedule;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use limpid_core::Clock;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::server::{Shared, serve};
use crate::{Behaviour, SimConfig, SimStats};

/// One connection to a simulator whose clock is tokio's.
struct Client {
    send: SendRequest<Full<Bytes>>,
    stats: Arc<SimStats>,
    connection: JoinHandle<()>,
    served: JoinHandle<()>,
}

/// A reply, read to its end.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// The body broke off.
    broken: bool,
}

impl Client {
    async fn new() -> Client {
        Client::with(Behaviour::default()).await
    }

    async fn with(behaviour: Behaviour) -> Client {
        let zero = Instant::now();
        let clock = Clock::from_fn(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), move || zero.elapsed());
        let shared = Shared::new(&SimConfig { behaviour, clock, ..SimConfig::default() });
        let stats = Arc::clone(&shared.stats);
        let (near, far) = tokio::io::duplex(1 << 20);
        let served = tokio::spawn(serve(shared, far));
        let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Client { send, stats, connection, served }
    }

    async fn start(&mut self, path: &str, body: Value) -> Result<Response<Incoming>, hyper::Error> {
        let request = Request::post(path)
            .header("host", "sim")
            .header("x-request-id", "r1")
            .header("accept-encoding", "br, gzip")
            .body(Full::from(body.to_string()))
            .unwrap();
        self.send.ready().await?;
        self.send.send_request(request).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Reply {
        let response = self.start(path, body).await.unwrap();
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let mut broken = false;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                broken = true;
                break;
            };
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        Reply { status: head.status, headers: head.headers, body: bytes.into(), broken }
    }
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The `data` of each server-sent event, after a check of the framing and of `event:` names.
    fn data(&self) -> Vec<&str> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with("\n\n"));
        let mut all = Vec::new();
        for event in text.split_terminator("\n\n") {
            let (name, data) = match event.split_once('\n') {
                Some((name, data)) => (name.strip_prefix("event: "), data),
                None => (None, event),
            };
            let data = data.strip_prefix("data: ").unwrap();
            if let Some(name) = name {
                assert_eq!(serde_json::from_str::<Value>(data).unwrap()["type"], name);
            }
            all.push(data);
        }
        all
    }

    /// The events as JSON, `[DONE]` left out.
    fn events(&self) -> Vec<Value> {
        self.data().into_iter().filter(|d| *d != "[DONE]").map(|d| serde_json::from_str(d).unwrap()).collect()
    }
}

/// A chat request; `sim` is its member of that name.
#[expect(clippy::needless_pass_by_value, reason = "callers write json!(…), which makes a value")]
fn chat(sim: Value) -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "say three words"}], "sim": sim})
}

const CHAT: &str = "/v1/chat/completions";
