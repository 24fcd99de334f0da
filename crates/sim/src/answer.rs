//! One request: read it, settle how it is served, give the response.

use std::future::pending;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    HeaderValue, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::behaviour::{Behaviour, Coding, Fault};
use crate::body::{CutOff, SimBody};
use crate::dialect::{self, ErrorReply, Reply};
use crate::frames::{End, Frames};
use crate::overrides;
use crate::request::{Api, Call};
use crate::server::{CloseSignal, Shared};
use crate::stats::{Exchange, TraceEnding};

/// The largest request body.
const MAX_BODY: usize = 64 << 20;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a request is answered with, apart from its body.
struct Answering {
    arrived: Instant,
    exchange: Exchange,
    close: CloseSignal,
    request_id: Option<HeaderValue>,
    http1: bool,
    gzip_accepted: bool,
}

/// Serves one request. An error makes hyper close the connection without a response.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    close: CloseSignal,
    request: Request<Incoming>,
) -> Result<Response<SimBody>, CutOff> {
    let arrived = Instant::now();
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let exchange = Exchange::begin(&shared.stats, request_id.as_ref().and_then(|id| id.to_str().ok()));
    let answering = Answering {
        arrived,
        exchange,
        close,
        request_id,
        http1: request.version() < Version::HTTP_2,
        gzip_accepted: accepts_gzip(request.headers()),
    };
    let Some(api) = Api::of(request.method(), request.uri().path()) else {
        let message = format!("Unknown request URL: {} {}", request.method(), request.uri().path());
        return Ok(answering.error(dialect::error_reply(None, 404, message)));
    };
    match api {
        Api::Models => return Ok(answering.json(StatusCode::OK, dialect::models())),
        Api::Health => return Ok(answering.json(StatusCode::OK, "{\"status\":\"ok\"}".to_owned())),
        Api::Stats => return Ok(answering.json(StatusCode::OK, shared.stats.json())),
        _ => {}
    }
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            return Ok(answering.error(dialect::error_reply(Some(api), 413, "The request body is too large.")));
        }
        // The client broke off: the exchange counts as cancelled.
        Err(_) => return Err(CutOff),
    };
    match settle(&shared, api, &body, answering.exchange.number()) {
        Ok((call, behaviour)) => answering.serve(&shared, &call, behaviour).await,
        Err(error) => Ok(answering.error(error)),
    }
}

/// The call and how it is to be served.
fn settle(shared: &Shared, api: Api, body: &[u8], number: u64) -> Result<(Call, Behaviour), ErrorReply> {
    let invalid = |message: String| dialect::error_reply(Some(api), 400, message);
    let call = Call::parse(api, body).map_err(invalid)?;
    let mut behaviour = shared.behaviour.clone();
    if call.model.starts_with("sim-") {
        let Some(preset) = overrides::preset(&call.model, shared.seed, number) else {
            let message = format!("The model `{}` does not exist.", call.model);
            return Err(dialect::error_reply(Some(api), 404, message));
        };
        preset.apply(&mut behaviour).map_err(|e| invalid(e.to_string()))?;
    }
    if let Some(overrides) = &call.overrides {
        overrides.apply(&mut behaviour).map_err(|e| invalid(e.to_string()))?;
    }
    Ok((call, behaviour))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|coding| coding.split(';').next().is_some_and(|name| name.trim() == "gzip"))
}

impl Answering {
    async fn serve(
        mut self,
        shared: &Shared,
        call: &Call,
        mut behaviour: Behaviour,
    ) -> Result<Response<SimBody>, CutOff> {
        let clock = shared.stats.clock();
        let reply = Reply::settle(call, &mut behaviour, self.exchange.number(), clock.wall(clock.now()));
        match behaviour.fault {
            Some(Fault::NeverAnswer) => pending::<()>().await,
            Some(Fault::HangUp) => {
                self.exchange.end(TraceEnding::Aborted);
                return Err(CutOff);
            }
            Some(fault) => {
                if let Some(error) = dialect::error_of_fault(call.api, fault) {
                    self.wait(behaviour.schedule.headers_due()).await;
                    return Ok(self.error(error));
                }
            }
            None => {}
        }
        if call.stream {
            self.wait(behaviour.schedule.headers_due()).await;
            Ok(self.stream(call, behaviour, &reply))
        } else {
            self.wait(behaviour.schedule.ends()).await;
            Ok(self.whole(call, &behaviour, &reply))
        }
    }

    async fn wait(&self, after: Duration) {
        if after > Duration::ZERO {
            tokio::time::sleep_until(self.arrived + after).await;
        }
    }

    fn stream(self, call: &Call, behaviour: Behaviour, reply: &Reply) -> Response<SimBody> {
        let (script, content_type) = dialect::stream(call.api, reply);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let gzip = self.gzip_accepted && behaviour.coding == Coding::Gzip;
        let (one_write, closes) = (behaviour.one_write_per_event, behaviour.close_after_reply);
        let frames = Frames::stream(behaviour.schedule, behaviour.fault, script);
        if gzip {
            add_gzip_fields(&mut headers);
        }
        self.respond(StatusCode::OK, headers, closes, |arrived, exchange| {
            let body = SimBody::new(arrived, frames, exchange).with_one_write(one_write);
            if gzip { body.with_gzip() } else { body }
        })
    }

    fn whole(self, call: &Call, behaviour: &Behaviour, reply: &Reply) -> Response<SimBody> {
        let mut text = dialect::whole(call.api, reply);
        match behaviour.fault {
            Some(Fault::InStreamError { .. }) => {
                return self.error(dialect::error_reply(Some(call.api), 500, "The engine failed while generating."));
            }
            Some(Fault::Junk { .. }) => "{\"this is\": not JSON".clone_into(&mut text),
            Some(Fault::TruncateCleanly { .. }) => text.truncate(text.len() / 2),
            _ => {}
        }
        let gzip = self.gzip_accepted && behaviour.coding == Coding::Gzip;
        let mut body = if gzip { compress(&text) } else { Bytes::from(text) };
        let length = body.len() as u64;
        let end = match behaviour.fault {
            Some(Fault::CutOff { .. }) => {
                body.truncate(body.len() / 2);
                End::Abort
            }
            Some(Fault::StallForever { .. }) => {
                body.clear();
                End::Hang
            }
            _ => End::Clean,
        };
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CONTENT_LENGTH, length.into());
        if gzip {
            add_gzip_fields(&mut headers);
        }
        self.respond(StatusCode::OK, headers, behaviour.close_after_reply, |arrived, exchange| {
            SimBody::new(arrived, Frames::whole(behaviour.schedule.ends(), body, end), exchange).with_length(length)
        })
    }

    fn json(self, status: StatusCode, text: String) -> Response<SimBody> {
        let length = text.len() as u64;
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CONTENT_LENGTH, length.into());
        self.respond(status, headers, false, |arrived, exchange| {
            SimBody::new(arrived, Frames::whole(Duration::ZERO, text.into(), End::Clean), exchange).with_length(length)
        })
    }

    fn error(self, error: ErrorReply) -> Response<SimBody> {
        // The statuses come from a checked range or are written in this crate.
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.json(status, error.body);
        if let Some(after) = error.retry_after {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
        }
        response
    }

    fn respond(
        self,
        status: StatusCode,
        headers: HeaderMap,
        closes: bool,
        body: impl FnOnce(Instant, Exchange) -> SimBody,
    ) -> Response<SimBody> {
        let closes = closes && self.http1;
        let body = body(self.arrived, self.exchange);
        let mut response = Response::new(if closes { body.closing(self.close) } else { body });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if closes {
            let advertised = HeaderValue::from_static("timeout=5, max=100");
            response.headers_mut().insert(HeaderName::from_static("keep-alive"), advertised);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        }
        if let Some(id) = self.request_id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

fn add_gzip_fields(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

fn compress(text: &str) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail; an empty body would show if it did.
    let written: io::Result<Vec<u8>> = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
    written.unwrap_or_default().into()
}
