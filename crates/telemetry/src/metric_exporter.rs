//! The SDK's metrics on their way out: sent, and counted.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality as SdkTemporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use crate::counts::{ExportCounts, Why};
use crate::settings::Temporality;
use crate::transport::{Payload, Transport};

/// Exports for the SDK's periodic reader, on whose thread it blocks.
pub(crate) struct MetricExporter {
    pub(crate) transport: Transport,
    pub(crate) counts: Arc<ExportCounts>,
    pub(crate) temporality: Temporality,
}

impl PushMetricExporter for MetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        match self.transport.send(&Payload::Metrics(metrics.into())) {
            Ok(rejected) => {
                self.counts.metrics.sent(1);
                self.counts.metric_points.lost(Why::Rejected, rejected, None);
                Ok(())
            }
            Err(error) => {
                self.counts.metrics.lost(error.why(), 1, Some(&error));
                Err(OTelSdkError::InternalFailure(error.to_string()))
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // Nothing is held back.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.counts.metrics.end();
        self.counts.metric_points.end();
        Ok(())
    }

    fn temporality(&self) -> SdkTemporality {
        match self.temporality {
            Temporality::Cumulative => SdkTemporality::Cumulative,
            Temporality::Delta => SdkTemporality::Delta,
            Temporality::LowMemory => SdkTemporality::LowMemory,
        }
    }
}
