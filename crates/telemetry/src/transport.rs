//! Sending OTLP: one request of one signal to one receiver, with its tries.
//!
//! The messages and how they are written come from `opentelemetry-proto`; the sending is limpid's own. The exporter
//! library reads the `OTEL_*` variables itself, over what the settings decided, and keeps to itself what a collector
//! rejected of an export that it took. Tries follow the OTLP specification: 429, 502, 503 and 504, or gRPC's passing
//! codes, are tried again after the time that the receiver names, or after one that doubles; anything else is final.

mod grpc;
mod http;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::runtime::Handle;

use crate::counts::Why;
use crate::otlp::OtlpError;
use crate::settings::{OtlpExport, Protocol};

/// How often a failed request is sent again at most, and how long after the first time.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// Traces that are written as protocol buffers already.
    Spans(Bytes),
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

/// Why nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The receiver said no: with what.
    Refused(String),
    /// It did not answer in time, or asked for another try until there was no time left.
    Failed(String),
}

impl SendError {
    pub(crate) fn why(&self) -> Why {
        match self {
            SendError::Refused(_) => Why::Refused,
            SendError::Failed(_) => Why::Export,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Refused(with) => write!(f, "the collector refused: {with}"),
            SendError::Failed(why) => f.write_str(why),
        }
    }
}

/// A try that failed.
struct Failure {
    error: SendError,
    again: Again,
}

/// Whether a failed try is worth another.
enum Again {
    No,
    Yes,
    /// Not before this time has passed.
    After(Duration),
}

impl Failure {
    fn passing(why: impl fmt::Display) -> Failure {
        Failure { error: SendError::Failed(why.to_string()), again: Again::Yes }
    }

    fn refused(with: impl fmt::Display) -> Failure {
        Failure { error: SendError::Refused(with.to_string()), again: Again::No }
    }
}

/// The way to one receiver.
#[derive(Debug)]
pub(crate) struct Transport {
    wire: Wire,
    timeout: Duration,
}

#[derive(Debug)]
enum Wire {
    Http(http::HttpWire),
    Grpc(grpc::GrpcWire),
}

impl Transport {
    /// Nothing is connected yet. gRPC runs on `runtime`.
    pub(crate) fn new(to: &OtlpExport, runtime: Option<&Handle>) -> Result<Transport, OtlpError> {
        let wire = match (to.protocol, runtime) {
            (Protocol::Grpc, Some(runtime)) => Wire::Grpc(grpc::GrpcWire::new(to, runtime)?),
            (Protocol::Grpc, None) => return Err(OtlpError::Exporter("gRPC needs a runtime".to_owned())),
            (Protocol::HttpProtobuf, _) => Wire::Http(http::HttpWire::new(to, false)?),
            (Protocol::HttpJson, _) => Wire::Http(http::HttpWire::new(to, true)?),
        };
        Ok(Transport { wire, timeout: to.timeout })
    }

    /// Whether protocol buffers are sent as they are.
    pub(crate) fn takes_protobuf(&self) -> bool {
        matches!(&self.wire, Wire::Http(http) if !http.json)
    }

    /// Sends it, and blocks until it is taken or given up. How much of it the receiver rejected, where it took the
    /// rest.
    pub(crate) fn send(&self, payload: &Payload) -> Result<u64, SendError> {
        let deadline = Instant::now() + self.timeout;
        let attempt: Box<dyn Fn(Duration) -> Result<u64, Failure>> = match &self.wire {
            Wire::Http(http) => {
                let body = http.encoded(payload)?;
                Box::new(move |left| http.attempt(&body, left))
            }
            Wire::Grpc(grpc) => Box::new(move |left| grpc.attempt(payload.clone(), left)),
        };
        let (mut pause, mut retries) = (FIRST_PAUSE, RETRIES);
        loop {
            let Failure { error, again } = match attempt(deadline.saturating_duration_since(Instant::now())) {
                Ok(rejected) => return Ok(rejected),
                Err(failure) => failure,
            };
            let wait = match again {
                Again::No => return Err(error),
                Again::Yes => pause + jitter(pause),
                Again::After(told) => told.max(pause),
            };
            if retries == 0 || Instant::now() + wait >= deadline {
                return Err(error);
            }
            thread::sleep(wait);
            pause *= 2;
            retries -= 1;
        }
    }
}

/// Up to half the pause, so that many senders do not come back at the same moment.
fn jitter(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    pause * (nanos % 1_000) / 2_000
}

/// Whether the endpoint is spoken to with TLS.
fn is_tls(to: &OtlpExport) -> bool {
    to.endpoint.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Sees to it that TLS can be had: both protocols ask rustls for the process's provider and fail without one.
pub(crate) fn prepare_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been first, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
