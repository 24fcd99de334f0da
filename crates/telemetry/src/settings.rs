//! What the settings and the standard `OTEL_*` variables say together about OTLP. The settings win.
//!
//! Most variables are read by the exporter library itself (endpoints, timeouts, compression, headers, resource
//! attributes, the metric interval); here are those that it leaves to the SDK's tracer, which limpid does without, and
//! those that decide what is started.
//!
//! One exception to "the settings win": a header that is set in `OTEL_EXPORTER_OTLP_HEADERS` replaces one of the same
//! name from the settings, because the library applies it last.

use std::time::Duration;

use crate::span_queue::{Batching, Sampling};

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP/1.1: `http/protobuf`.
    HttpProtobuf,
    /// gRPC: `grpc`.
    Grpc,
}

impl Protocol {
    /// The name in the settings and in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Protocol> {
        [Protocol::HttpProtobuf, Protocol::Grpc].into_iter().find(|p| p.as_str() == name)
    }
}

/// The settings of OTLP. What is `None` is taken from the `OTEL_*` variable, else from its default.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpConfig {
    /// The collector's base URL, such as `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` are added for HTTP.
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin per signal; port 4318 (HTTP) or 4317 (gRPC) on localhost.
    pub endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL` and its kin per signal; HTTP.
    pub protocol: Option<Protocol>,
    /// Headers to send, for authorization. They are secrets: they appear nowhere. Those of
    /// `OTEL_EXPORTER_OTLP_HEADERS` are added.
    pub headers: Vec<(String, String)>,
    /// How long one export may take, its retries included. `OTEL_EXPORTER_OTLP_TIMEOUT`; 10 s.
    pub timeout: Option<Duration>,
    /// `service.name`. `OTEL_SERVICE_NAME`; `limpid`.
    pub service_name: Option<String>,
    /// More resource attributes, over those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<(String, String)>,
    /// Whether to export spans. `OTEL_TRACES_EXPORTER=none` turns them off too.
    pub traces: bool,
    /// Whether to export metrics. `OTEL_METRICS_EXPORTER=none` turns them off too.
    pub metrics: bool,
    /// Time between exports of metrics. `OTEL_METRIC_EXPORT_INTERVAL`; 60 s.
    pub metric_interval: Option<Duration>,
    /// The share of traces to export, 0 to 1, where the client did not decide already. `OTEL_TRACES_SAMPLER` and
    /// `OTEL_TRACES_SAMPLER_ARG`; all.
    pub sample_ratio: Option<f64>,
    /// How many spans may wait; a further one is dropped and counted. `OTEL_BSP_MAX_QUEUE_SIZE`; 2,048.
    pub span_queue: Option<usize>,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        OtlpConfig {
            endpoint: None,
            protocol: None,
            headers: Vec::new(),
            timeout: None,
            service_name: None,
            resource: Vec::new(),
            traces: true,
            metrics: true,
            metric_interval: None,
            sample_ratio: None,
            span_queue: None,
        }
    }
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

/// A variable of the environment; `None` where it is not set or empty.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment.
pub(crate) fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl OtlpConfig {
    /// Whether the signal is to be exported.
    pub(crate) fn wants(&self, signal: Signal, env: Environment) -> bool {
        let (wanted, exporter) = match signal {
            Signal::Traces => (self.traces, "OTEL_TRACES_EXPORTER"),
            Signal::Metrics => (self.metrics, "OTEL_METRICS_EXPORTER"),
        };
        let disabled = env("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        wanted && !disabled && env(exporter).is_none_or(|v| v != "none")
    }

    /// The protocol of a signal, or the name that is none.
    pub(crate) fn protocol(&self, signal: Signal, env: Environment) -> Result<Protocol, String> {
        if let Some(protocol) = self.protocol {
            return Ok(protocol);
        }
        let own = match signal {
            Signal::Traces => "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            Signal::Metrics => "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        };
        match env(own).or_else(|| env("OTEL_EXPORTER_OTLP_PROTOCOL")) {
            None => Ok(Protocol::HttpProtobuf),
            Some(name) => Protocol::from_name(&name).ok_or(name),
        }
    }

    pub(crate) fn sampling(&self, env: Environment) -> Sampling {
        if let Some(ratio) = self.sample_ratio {
            return Sampling { ratio, follow_client: true };
        }
        let sampler = env("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let (follow_client, kind) = match sampler.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, &*sampler),
        };
        let ratio = || env("OTEL_TRACES_SAMPLER_ARG").and_then(|a| a.parse().ok()).unwrap_or(1.0);
        match kind {
            "always_on" => Sampling { ratio: 1.0, follow_client },
            "always_off" => Sampling { ratio: 0.0, follow_client },
            "traceidratio" => Sampling { ratio: ratio(), follow_client },
            // Not set, or one that needs more than a process: the standard's default.
            _ => Sampling { ratio: 1.0, follow_client: true },
        }
    }

    pub(crate) fn batching(&self, env: Environment) -> Batching {
        let number = |name| env(name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
        let queue = self.span_queue.or_else(|| number("OTEL_BSP_MAX_QUEUE_SIZE")).unwrap_or(2_048).max(1);
        let delay = env("OTEL_BSP_SCHEDULE_DELAY").and_then(|v| v.parse().ok()).unwrap_or(5_000);
        Batching {
            queue,
            batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(512).min(queue),
            delay: Duration::from_millis(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_speaks_where_the_settings_are_silent() {
        let c = OtlpConfig::default();
        let env = with(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ]);
        assert_eq!(c.protocol(Signal::Traces, &env), Ok(Protocol::Grpc));
        assert_eq!(c.protocol(Signal::Metrics, &env), Err("http/json".to_owned()));
        assert_eq!(c.sampling(&env), Sampling { ratio: 0.25, follow_client: false });
        let want = Batching { queue: 100, batch: 100, delay: Duration::from_millis(50) };
        assert_eq!(c.batching(&env), want);
        assert!(c.wants(Signal::Traces, &env) && !c.wants(Signal::Metrics, &env));
        assert!(!c.wants(Signal::Traces, &with(&[("OTEL_SDK_DISABLED", "TRUE")])));
    }

    #[test]
    fn the_settings_win_and_the_defaults_are_the_standards() {
        let env = with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "always_off")]);
        let c = OtlpConfig {
            protocol: Some(Protocol::HttpProtobuf),
            sample_ratio: Some(0.5),
            span_queue: Some(7),
            ..OtlpConfig::default()
        };
        assert_eq!(c.protocol(Signal::Traces, &env), Ok(Protocol::HttpProtobuf));
        assert_eq!(c.sampling(&env), Sampling { ratio: 0.5, follow_client: true });
        assert_eq!(c.batching(&env).queue, 7);
        let (c, env) = (OtlpConfig::default(), with(&[]));
        assert_eq!(c.sampling(&env), Sampling { ratio: 1.0, follow_client: true });
        assert_eq!(c.batching(&env), Batching { queue: 2_048, batch: 512, delay: Duration::from_secs(5) });
    }
}
