//! OTLP over HTTP/1.1, as protocol buffers or as JSON.
//!
//! The client is a blocking one: it runs on the exporters' own threads, and the asynchronous one needs a runtime there.
//! Of a collector's answer at most 64 KiB are read, and of a refusal only the status is told: the text that comes with
//! it may quote what was sent.
//!
//! A `200` alone takes nothing: what was rejected stands in the body, so an answer that breaks off, or that is no answer to
//! an export, is a failure that passes. The same export is then sent again, as the OTLP specification has it for an answer
//! that is lost; a receiver that had taken the first may hold some of it twice.

use std::io::{Read as _, Write as _};
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::blocking::{Client, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Url};
use serde_json::Value;

use super::{Again, Failure, Payload, SendError, is_tls};
use crate::otlp::OtlpError;
use crate::settings::OtlpExport;

const MAX_ANSWER: u64 = 64 * 1024;

/// One URL of a receiver.
#[derive(Debug)]
pub(super) struct HttpWire {
    client: Client,
    url: Url,
    headers: HeaderMap,
    pub(super) json: bool,
    gzip: bool,
}

/// What an answer has to be read as.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// A request's body, written once for all its tries.
pub(super) struct Body {
    bytes: Bytes,
    signal: Signal,
}

impl HttpWire {
    pub(super) fn new(to: &OtlpExport, json: bool) -> Result<HttpWire, OtlpError> {
        let url = Url::parse(&to.endpoint).map_err(|e| OtlpError::Exporter(format!("the endpoint: {e}")))?;
        let mut headers = headers(to)?;
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if to.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("limpid/", env!("CARGO_PKG_VERSION"))));
        Ok(HttpWire { client: client(to)?, url, headers, json, gzip: to.gzip })
    }

    pub(super) fn encoded(&self, payload: &Payload) -> Result<Body, SendError> {
        let (written, signal) = match payload {
            Payload::Spans(bytes) if !self.gzip => return Ok(Body { bytes: bytes.clone(), signal: Signal::Traces }),
            Payload::Spans(bytes) => (Ok(bytes.to_vec()), Signal::Traces),
            Payload::Traces(request) => (self.written(request), Signal::Traces),
            Payload::Metrics(request) => (self.written(request), Signal::Metrics),
            Payload::Logs(request) => (self.written(request), Signal::Logs),
        };
        let bytes = written.and_then(|plain| if self.gzip { gzipped(&plain) } else { Ok(plain) });
        // Numbers and texts alone; if one cannot be written, no try will change that.
        let bytes = bytes.map_err(|e| SendError::Failed(format!("it cannot be encoded: {e}")))?;
        Ok(Body { bytes: bytes.into(), signal })
    }

    fn written<M: Message + serde::Serialize>(&self, message: &M) -> std::io::Result<Vec<u8>> {
        if self.json { Ok(serde_json::to_vec(message)?) } else { Ok(message.encode_to_vec()) }
    }

    /// How many items the receiver rejected of what it took.
    pub(super) fn attempt(&self, body: &Body, within: Duration) -> Result<u64, Failure> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).timeout(within);
        let response = request.body(body.bytes.clone()).send().map_err(|e| Failure::passing(told(e)))?;
        let status = response.status();
        if status.is_success() {
            return rejected(response, body.signal).map_err(Failure::passing);
        }
        if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            return Err(Failure::refused(status));
        }
        let error = SendError::Refused(status.to_string());
        Err(Failure { error, again: retry_after(response.headers()).map_or(Again::Yes, Again::After) })
    }
}

/// The headers of the settings, checked. The error names the header and never its value.
pub(super) fn headers(to: &OtlpExport) -> Result<HeaderMap, OtlpError> {
    let mut map = HeaderMap::new();
    for (name, value) in &to.headers {
        let key = HeaderName::try_from(name).map_err(|_| OtlpError::Header(name.clone()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| OtlpError::Header(name.clone()))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn client(to: &OtlpExport) -> Result<Client, OtlpError> {
    // A POST is not sent again to where somebody points, least of all with a secret in it.
    let mut builder = Client::builder().timeout(to.timeout).redirect(Policy::none()).dns_resolver(Arc::new(Names));
    let wrong = |error: reqwest::Error| OtlpError::Exporter(error.to_string());
    if !is_tls(to) {
        // The system's certificates are not wanted, and a bare container has none, which would be an error.
        builder = builder.tls_certs_only([]);
    } else if let Some(pem) = to.tls.authorities() {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(wrong)?);
    }
    if let Some(own) = to.tls.identity().filter(|_| is_tls(to)) {
        let pem = [own.certificate.as_slice(), b"\n", own.key.as_slice()].concat();
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    // A blocking client cannot be made on a thread that drives an async runtime.
    let made = thread::Builder::new().name("limpid-otlp-init".to_owned()).spawn(move || builder.build());
    match made.map_err(|e| OtlpError::Thread(e.to_string()))?.join() {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(wrong(error)),
        Err(_) => Err(OtlpError::Exporter("the HTTP client could not be made".to_owned())),
    }
}

fn gzipped(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// An error with its causes, which alone say what happened, and without the URL, whose query may hold a key.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// What a taken export's answer says was rejected.
fn rejected(response: Response, signal: Signal) -> Result<u64, &'static str> {
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let mut body = Vec::new();
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(0);
    }
    response.take(MAX_ANSWER + 1).read_to_end(&mut body).map_err(|_| "the collector's answer broke off")?;
    let count = if body.len() as u64 > MAX_ANSWER {
        None
    } else if is_json {
        told_in_json(&body)
    } else {
        told_in_protobuf(&body, signal)
    };
    let count = count.ok_or("what answered is no collector: the answer is none to an export")?;
    Ok(count.try_into().unwrap_or(0))
}

fn told_in_protobuf(body: &[u8], signal: Signal) -> Option<i64> {
    Some(match signal {
        Signal::Traces => {
            ExportTraceServiceResponse::decode(body).ok()?.partial_success.map_or(0, |told| told.rejected_spans)
        }
        Signal::Metrics => {
            ExportMetricsServiceResponse::decode(body).ok()?.partial_success.map_or(0, |told| told.rejected_data_points)
        }
        Signal::Logs => {
            ExportLogsServiceResponse::decode(body).ok()?.partial_success.map_or(0, |told| told.rejected_log_records)
        }
    })
}

/// Protobuf's JSON writes such a number as a string; not every receiver does. Some answer with nothing at all.
fn told_in_json(body: &[u8]) -> Option<i64> {
    if body.trim_ascii().is_empty() {
        return Some(0);
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let Some(partial) = answer.as_object()?.get("partialSuccess") else { return Some(0) };
    let count = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"].iter().find_map(|n| partial.get(n));
    Some(count.and_then(|n| n.as_i64().or_else(|| n.as_str()?.parse().ok())).unwrap_or(0))
}

/// Looks names up on a thread of its own each time: the client's own way panics where there is none to be had, and takes
/// the exporter with it.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let (tell, found) = tokio::sync::oneshot::channel();
            let look_up = move || {
                let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
                let _nobody_waits = tell.send(found);
            };
            thread::Builder::new().name("limpid-otlp-dns".to_owned()).spawn(look_up)?;
            let found = found.await??;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_success_is_read_in_every_spelling() {
        assert_eq!(told_in_json(br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#), Some(3));
        assert_eq!(told_in_json(br#"{"partialSuccess":{"rejectedDataPoints":4}}"#), Some(4));
        for nothing in [&b"{}"[..], b"", b" ", br#"{"partialSuccess":{}}"#, br#"{"partialSuccess":null}"#] {
            assert_eq!(told_in_json(nothing), Some(0), "{}", nothing.escape_ascii());
        }
        for no_answer in [&br#"{"partialSuc"#[..], b"ok", b"[]", b"<html>"] {
            assert_eq!(told_in_json(no_answer), None, "{}", no_answer.escape_ascii());
        }
        // partial_success (1) with rejected (1) of 5, the same in all three.
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            assert_eq!(told_in_protobuf(&[0x0a, 2, 0x08, 5], signal), Some(5));
            assert_eq!(told_in_protobuf(b"", signal), Some(0));
            assert_eq!(told_in_protobuf(&[0x0a, 2, 0x08], signal), None, "cut");
            assert_eq!(told_in_protobuf(b"<html>", signal), None);
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        let with =
            |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]));
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        assert_eq!(with("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
    }
}
