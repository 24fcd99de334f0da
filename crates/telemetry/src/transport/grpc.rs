//! OTLP over gRPC.
//!
//! Calls run on limpid's runtime for this; the exporting thread waits for their end on a channel. That channel breaks
//! when the runtime ends, so a call that is under way then fails and does not hang.

use std::error::Error as _;
use std::sync::mpsc::channel;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tokio::runtime::Handle;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt as _;

use super::{Again, Failure, Payload, SendError, http, is_tls};
use crate::otlp::OtlpError;
use crate::settings::OtlpExport;

/// A channel to a receiver.
#[derive(Debug)]
pub(super) struct GrpcWire {
    channel: Channel,
    runtime: Handle,
    metadata: MetadataMap,
    gzip: bool,
}

impl GrpcWire {
    pub(super) fn new(to: &OtlpExport, runtime: &Handle) -> Result<GrpcWire, OtlpError> {
        let wrong = |error: tonic::transport::Error| OtlpError::Exporter(format!("the endpoint: {}", chain(&error)));
        let metadata = MetadataMap::from_headers(http::headers(to)?);
        let mut endpoint = Endpoint::from_shared(to.endpoint.clone())
            .and_then(|e| e.user_agent(concat!("limpid/", env!("CARGO_PKG_VERSION"))))
            .map_err(wrong)?
            .connect_timeout(to.timeout);
        if is_tls(to) {
            endpoint = endpoint.tls_config(tls(to)).map_err(wrong)?;
        }
        let _in_it = runtime.enter();
        Ok(GrpcWire { channel: endpoint.connect_lazy(), runtime: runtime.clone(), metadata, gzip: to.gzip })
    }

    /// How many items the receiver rejected of what it took.
    pub(super) fn attempt(&self, payload: Payload, within: Duration) -> Result<u64, Failure> {
        let call = call(self.channel.clone(), self.metadata.clone(), self.gzip, payload);
        let (done, result) = channel();
        self.runtime.spawn(async move {
            // Nobody may be waiting any more.
            let _ = done.send(tokio::time::timeout(within, call).await);
        });
        match result.recv() {
            Ok(Ok(Ok(rejected))) => Ok(rejected.try_into().unwrap_or(0)),
            Ok(Ok(Err(status))) => Err(failure(&status)),
            Ok(Err(_late)) => Err(Failure::passing("no answer in time")),
            Err(_gone) => Err(Failure::passing("limpid is ending")),
        }
    }
}

/// The settings' authorities, else the machine's.
fn tls(to: &OtlpExport) -> ClientTlsConfig {
    let tls = match to.tls.authorities() {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    match to.tls.identity() {
        Some(own) => tls.identity(Identity::from_pem(&own.certificate, &own.key)),
        None => tls,
    }
}

async fn call(channel: Channel, metadata: MetadataMap, gzip: bool, payload: Payload) -> Result<i64, Status> {
    /// One service's call: the client differs, and the name of the count in its answer.
    macro_rules! export {
        ($client:ident, $message:expr, $rejected:ident) => {{
            let client = $client::new(channel).accept_compressed(Gzip);
            let mut client = if gzip { client.send_compressed(Gzip) } else { client };
            let request = Request::from_parts(metadata, Extensions::default(), $message);
            client.export(request).await?.into_inner().partial_success.map_or(0, |partial| partial.$rejected)
        }};
    }
    Ok(match payload {
        Payload::Spans(bytes) => {
            let message = ExportTraceServiceRequest::decode(bytes).map_err(|e| Status::internal(e.to_string()))?;
            export!(TraceServiceClient, message, rejected_spans)
        }
        Payload::Traces(message) => export!(TraceServiceClient, message, rejected_spans),
        Payload::Metrics(message) => export!(MetricsServiceClient, message, rejected_data_points),
        Payload::Logs(message) => export!(LogsServiceClient, message, rejected_log_records),
    })
}

/// The OTLP specification's table of codes that pass.
fn failure(status: &Status) -> Failure {
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let again = match (status.code(), told) {
        (Code::ResourceExhausted | Code::Unavailable, Some(after)) => Again::After(after),
        (
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss,
            _,
        ) => Again::Yes,
        // Without a time, this one is a quota that will not come back soon.
        _ => Again::No,
    };
    // A status that has a source was made on this side, when no answer came. A receiver's own words may quote what was
    // sent, so of those only the code is told.
    let error = match status.source() {
        Some(source) => SendError::Failed(chain(source)),
        None => SendError::Refused(format!("{:?}", status.code())),
    };
    Failure { error, again }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_codes_are_tried_again_and_final_ones_are_not() {
        let again = |code| match failure(&Status::new(code, "hush")) {
            Failure { again: Again::Yes, .. } => true,
            Failure { again: Again::No, error } => {
                assert!(!error.to_string().contains("hush"), "{error}");
                false
            }
            Failure { again: Again::After(_), .. } => panic!("no time was told"),
        };
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted, Code::DataLoss] {
            assert!(again(code), "{code}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::ResourceExhausted, Code::Unimplemented] {
            assert!(!again(code), "{code}");
        }
    }
}
