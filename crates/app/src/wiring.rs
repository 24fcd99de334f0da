//! Settings into what each room wants to know. One function a room; no decisions of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::header::InvalidHeaderValue;
use limpid_core::{Batching, Clock, Discount, ExchangeSink, Hosts, UpstreamInfo};
use limpid_insight::InsightConfig;
use limpid_observe::Limits;
use limpid_proxy::{
    CaptureConfig, EstimateConfig, Http2, Http2Limits, ObserveConfig, ProxyConfig, RoutingConfig, ServerConfig,
    TcpKeepalive, Timeouts, TraceConfig, UpstreamConfig, UpstreamKey,
};
use limpid_route::{KeyNames, LabelRules, ModelPattern};
use limpid_settle::Settler;
use limpid_settle::price::{Catalogue, OwnPrice, PriceBook, UnitPrice};
use limpid_telemetry::{AttributeLimits, LogRotation, LogTarget, MetricsConfig, OtlpConfig, OtlpExport};

use crate::settings::{
    Compression, Export, Histograms, LogFile, Propagate, Protocol, Semconv, Settings, Temporality, UnknownModel,
    Upstream, UpstreamHttp2, Waiting,
};

/// What the relay wants to know.
pub(crate) fn proxy(
    settings: &Settings,
    sink: Arc<dyn ExchangeSink>,
    clock: Clock,
) -> Result<ProxyConfig, InvalidHeaderValue> {
    Ok(ProxyConfig {
        server: ServerConfig {
            header_timeout: settings.server.header_timeout,
            max_head_bytes: settings.server.max_head_bytes,
            request_body_timeout: settings.server.request_body_timeout,
            tcp_keepalive: keepalive(settings.server.tcp_keepalive),
            http2_ping_interval: Some(settings.server.http2_ping_interval).filter(|interval| !interval.is_zero()),
            http2_ping_timeout: settings.server.http2_ping_timeout,
            drain_timeout: settings.server.drain_timeout,
            worker_threads: Some(settings.server.worker_threads.unwrap_or_else(one_a_core)),
            pin_workers: settings.server.pin_workers,
            hosts: hosts(settings),
        },
        upstreams: settings.upstreams.iter().map(upstream).collect::<Result<_, _>>()?,
        routing: routing(settings),
        observe: ObserveConfig {
            enabled: settings.observe.enabled,
            limits: Limits {
                event_bytes: settings.observe.max_event_bytes,
                body_bytes: settings.observe.max_body_bytes,
                ..Limits::default()
            },
            request_bytes: settings.observe.max_request_bytes,
        },
        keys: keys(settings),
        labels: LabelRules::new(settings.labels.iter().map(|l| (Arc::clone(&l.name), l.from.clone()))),
        trace: trace(settings),
        settler: Settler::new(prices(settings)).with_texts(settings.refusals.rules()),
        estimates: estimates(settings),
        capture: capture(settings),
        resolver: Arc::new(limpid_proxy::SystemResolver::default()),
        sink,
        clock,
    })
}

/// Where requests go that name no model, or one that no route has.
fn routing(settings: &Settings) -> RoutingConfig {
    let r = &settings.routing;
    let named = |name: &Arc<str>| settings.upstreams.iter().position(|u| u.name == *name);
    RoutingConfig {
        reject_unknown_model: r.unknown_model == UnknownModel::Reject,
        without_model: r.without_model.as_ref().and_then(named),
        lookahead_bytes: r.lookahead_bytes,
        lookahead_budget_bytes: r.lookahead_budget_bytes,
    }
}

/// Whom the data listener answers to.
fn hosts(settings: &Settings) -> Hosts {
    if let Some(names) = &settings.server.hosts {
        return Hosts::new(names.iter().map(|name| &**name));
    }
    if !settings.server.listen.ip().is_loopback() {
        return Hosts::any();
    }
    let upstreams = settings.upstreams.iter();
    Hosts::new(upstreams.flat_map(|u| [Some(u.url.host()), u.serves.host.as_deref()]).flatten())
}

/// How traces go on.
fn trace(settings: &Settings) -> TraceConfig {
    let t = &settings.telemetry;
    let propagate = match t.propagate {
        Propagate::AsIs => limpid_proxy::Propagate::AsIs,
        Propagate::Child => limpid_proxy::Propagate::Child,
        Propagate::Always => limpid_proxy::Propagate::Always,
    };
    TraceConfig { propagate, sample_ratio: t.sample_ratio }
}

/// Where prices come from.
pub(crate) fn prices(settings: &Settings) -> PriceBook {
    let own = settings.prices.iter().map(|entry| {
        let prices = entry.prices.iter().filter_map(|(unit, usd)| UnitPrice::flat(unit, *usd));
        OwnPrice::new(&entry.name, prices)
            .for_models(entry.models.iter().map(|m| &**m))
            .for_upstreams(entry.upstreams.iter().cloned())
            .for_tier(entry.tier.clone())
    });
    let discounts = settings.upstreams.iter().filter(|u| u.discount != Discount::NONE);
    PriceBook::new(Catalogue::embedded())
        .with_own(own)
        .with_discounts(discounts.map(|u| (Arc::clone(&u.name), u.discount)))
}

pub(crate) fn one_a_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A key that cannot be sent is an error: without it the client's own would go up.
fn upstream(u: &Upstream) -> Result<UpstreamConfig, InvalidHeaderValue> {
    Ok(UpstreamConfig {
        info: upstream_info(u),
        target: u.url.clone(),
        matches: u.serves.clone(),
        rewrite_prefix: u.rewrite_prefix.clone(),
        key: u.api_key.as_ref().map(|key| UpstreamKey::new(&u.provider, key.expose())).transpose()?,
        http2: match u.http2 {
            UpstreamHttp2::Auto => Http2::Alpn,
            UpstreamHttp2::Always => Http2::PriorKnowledge,
            UpstreamHttp2::Never => Http2::Never,
        },
        http2_limits: Http2Limits {
            ping_interval: Some(u.http2_ping_interval).filter(|interval| !interval.is_zero()),
            ping_timeout: u.http2_ping_timeout,
            resend_bytes: u.max_resend_bytes,
        },
        tls_authorities: u.tls_authorities.clone(),
        connect_timeout: u.connect_timeout,
        tcp_keepalive: keepalive(u.tcp_keepalive),
        timeouts: Timeouts {
            headers: u.headers_timeout,
            first_token: u.first_token_timeout,
            idle: u.idle_timeout,
            websocket_idle: u.websocket_idle_timeout,
        },
        pool_idle_timeout: u.pool_idle_timeout,
        max_idle_connections: u.max_idle_connections,
        max_connection_age: (!u.max_connection_age.is_zero()).then_some(u.max_connection_age),
        max_response_head: u.max_response_head_bytes,
        ask_for_usage: u.ask_for_usage,
    })
}

/// Probes after that long; `None` where they are off.
pub(crate) fn keepalive(idle: Duration) -> Option<TcpKeepalive> {
    (!idle.is_zero()).then_some(TcpKeepalive { idle })
}

/// Token estimates; `None` where they are off.
fn estimates(settings: &Settings) -> Option<EstimateConfig> {
    let t = &settings.tokens;
    t.estimate.then_some(EstimateConfig {
        text_bytes: t.max_text_bytes,
        budget_bytes: t.text_budget_bytes,
        queue: 1024,
    })
}

/// What is captured of prompts and replies; `None` where nothing is, or no span could carry it.
fn capture(settings: &Settings) -> Option<CaptureConfig> {
    let c = &settings.capture;
    let of = |u: &Upstream| Some((Arc::clone(&u.name), u.captured(c.sample)?.ratio()));
    let upstreams: Vec<_> = settings.upstreams.iter().filter_map(of).collect();
    if upstreams.is_empty() || settings.telemetry.traces.is_none() {
        return None;
    }
    Some(CaptureConfig {
        upstreams,
        rules: c.rules(&settings.redactions)?,
        text_bytes: c.max_text_bytes,
        budget_bytes: c.text_budget_bytes,
    })
}

/// How an upstream is named in records.
pub(crate) fn upstream_info(u: &Upstream) -> Arc<UpstreamInfo> {
    Arc::new(UpstreamInfo {
        name: Arc::clone(&u.name),
        provider: Arc::clone(&u.provider),
        region: u.region.clone(),
        address: u.url.host().into(),
        port: u.url.port(),
    })
}

fn keys(settings: &Settings) -> KeyNames {
    let mut names = match &settings.server.key_hash_secret {
        Some(secret) => KeyNames::with_secret(secret.expose()),
        None => KeyNames::of_this_start(),
    };
    for key in &settings.keys {
        if let Some(value) = &key.value {
            names.name(value.expose().to_owned(), &key.name, key.project.as_deref());
        }
    }
    names
}

/// What the windows want to know.
pub(crate) fn insight(settings: &Settings) -> InsightConfig {
    InsightConfig {
        recent: settings.insight.recent,
        max_groups: settings.insight.max_groups,
        ..InsightConfig::default()
    }
}

/// What the metrics want to know.
pub(crate) fn metrics(settings: &Settings) -> MetricsConfig {
    let t = &settings.telemetry;
    MetricsConfig {
        max_label_sets: t.max_label_sets,
        max_models: t.max_models,
        max_keys: t.max_keys,
        max_projects: t.max_projects,
        own_labels: settings.labels.iter().filter(|l| l.metrics).map(|l| (Arc::clone(&l.name), l.max_values)).collect(),
        known_models: known_models(settings),
    }
}

/// The models that the settings name in full.
fn known_models(settings: &Settings) -> Vec<Arc<str>> {
    let served = settings.upstreams.iter().flat_map(|u| &u.serves.models);
    let served = served.filter_map(|pattern| match pattern {
        ModelPattern::Exact(name) => Some(Arc::from(&**name)),
        ModelPattern::Prefix(_) => None,
    });
    let priced = settings.prices.iter().flat_map(|p| &p.models).filter(|m| !m.ends_with('*')).cloned();
    served.chain(priced).collect()
}

/// Where the exchange log goes; `None` where there is none.
pub(crate) fn log_target(settings: &Settings) -> Option<LogTarget> {
    let log = &settings.exchange_log;
    let rotation = LogRotation { size: log.rotate_size.map(|size| size as u64), age: log.rotate_age, keep: log.keep };
    log.file.as_ref().map(|file| match file {
        LogFile::Stdout => LogTarget::Stdout,
        LogFile::Path(path) => LogTarget::File(path.clone(), rotation),
    })
}

/// What the export wants to know; `None` where there is nothing to export to.
pub(crate) fn otlp(settings: &Settings) -> Option<OtlpConfig> {
    let t = &settings.telemetry;
    if t.traces.is_none() && t.metrics.is_none() && t.logs.is_none() {
        return None;
    }
    Some(OtlpConfig {
        traces: t.traces.as_ref().map(export),
        metrics: t.metrics.as_ref().map(export),
        logs: t.logs.as_ref().map(export),
        semconv: match t.semconv {
            Semconv::V1_41 => limpid_telemetry::Semconv::V1_41,
            Semconv::Latest => limpid_telemetry::Semconv::Latest,
        },
        service_name: t.service_name.to_string(),
        resource: t.resource.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        metric_interval: t.metric_interval,
        temporality: match t.temporality {
            Temporality::Cumulative => limpid_telemetry::Temporality::Cumulative,
            Temporality::Delta => limpid_telemetry::Temporality::Delta,
            Temporality::LowMemory => limpid_telemetry::Temporality::LowMemory,
        },
        exponential_histograms: t.histograms == Histograms::Exponential,
        sample_ratio: t.sample_ratio,
        spans: batching(t.spans),
        log_records: batching(t.log_records),
        span_limits: AttributeLimits { value_length: t.span_text, count: t.span_attributes },
        log_limits: AttributeLimits { value_length: t.log_text, count: t.log_attributes },
    })
}

fn batching(waiting: Waiting) -> Batching {
    Batching { queue: waiting.queue, batch: waiting.batch, delay: waiting.delay }
}

fn export(export: &Export) -> OtlpExport {
    OtlpExport {
        endpoint: export.endpoint.clone(),
        protocol: match export.protocol {
            Protocol::HttpProtobuf => limpid_telemetry::Protocol::HttpProtobuf,
            Protocol::HttpJson => limpid_telemetry::Protocol::HttpJson,
            Protocol::Grpc => limpid_telemetry::Protocol::Grpc,
        },
        gzip: export.compression == Compression::Gzip,
        headers: export.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect(),
        timeout: export.timeout,
        tls: export.tls.clone(),
    }
}
