//! Sends one request and reads its reply, in the manner of its [`Reader`].

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::spec::{Reader, RequestSpec};

/// No reply takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// What a slow reader takes at a time, bytes; also its socket's buffer, or the kernel would read ahead for it.
const SLOW_READ: usize = 8 << 10;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Finished,
    Refused,
    HungUp,
    Broken,
}

/// The connections, pooled.
#[derive(Debug)]
pub(super) struct Clients {
    base: String,
    usual: Client<HttpConnector, Full<Bytes>>,
    slow: Client<HttpConnector, Full<Bytes>>,
}

impl Clients {
    /// `base`: scheme and authority, no slash at the end.
    pub(super) fn new(base: &str) -> Clients {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let mut small = connector.clone();
        small.set_recv_buffer_size(Some(SLOW_READ));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(64);
        let usual = builder.build(connector);
        let slow = builder.http1_max_buf_size(SLOW_READ).build(small);
        Clients { base: base.to_owned(), usual, slow }
    }

    pub(super) async fn play(&self, spec: RequestSpec) -> Fate {
        let (patience, impatient) = match spec.reader {
            Reader::HangUp { after } => (after, Fate::HungUp),
            Reader::ToEnd | Reader::Slow { .. } => (TIMEOUT, Fate::Broken),
        };
        // When the time is over the request is dropped, which closes its connection.
        tokio::time::timeout(patience, self.exchange(spec)).await.unwrap_or(impatient)
    }

    async fn exchange(&self, spec: RequestSpec) -> Fate {
        let mut request = Request::post(format!("{}{}", self.base, spec.path));
        for (name, value) in &spec.headers {
            request = request.header(*name, value);
        }
        let Ok(request) = request.body(Full::new(spec.body)) else { return Fate::Broken };
        let (client, pause) = match spec.reader {
            Reader::Slow { pause } => (&self.slow, pause),
            Reader::ToEnd | Reader::HangUp { .. } => (&self.usual, Duration::ZERO),
        };
        match client.request(request).await {
            Ok(response) => read(response, pause).await,
            Err(_) => Fate::Broken,
        }
    }
}

async fn read(response: Response<Incoming>, pause: Duration) -> Fate {
    let status = response.status();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return Fate::Broken;
        }
        if pause > Duration::ZERO {
            tokio::time::sleep(pause).await;
        }
    }
    if status.as_u16() >= 400 { Fate::Refused } else { Fate::Finished }
}
