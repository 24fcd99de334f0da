//! Settings into what each room wants to know. One function a room; no decisions of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use http::header::InvalidHeaderValue;
use limpid_core::{Clock, Discount, ExchangeSink, UpstreamInfo};
use limpid_insight::InsightConfig;
use limpid_observe::Limits;
use limpid_proxy::{
    EstimateConfig, Http2, ObserveConfig, ProxyConfig, ServerConfig, Timeouts, UpstreamConfig, UpstreamKey,
};
use limpid_route::KeyNames;
use limpid_settle::Settler;
use limpid_settle::price::{Catalogue, OwnPrice, PriceBook, UnitPrice};
use limpid_telemetry::{LogTarget, MetricsConfig, OtlpConfig, OtlpExport};

use crate::settings::{Export, LogFile, Protocol, Settings, Upstream, UpstreamHttp2};

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
            drain_timeout: settings.server.drain_timeout,
            worker_threads: Some(settings.server.worker_threads.unwrap_or_else(one_a_core)),
        },
        upstreams: settings.upstreams.iter().map(upstream).collect::<Result<_, _>>()?,
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
        settler: Settler::new(prices(settings)).with_texts(settings.refusals.rules()),
        estimates: estimates(settings),
        sink,
        clock,
    })
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

fn one_a_core() -> NonZeroUsize {
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
        tls_authorities: u.tls_authorities.clone(),
        connect_timeout: u.connect_timeout,
        timeouts: Timeouts {
            headers: u.headers_timeout,
            first_token: u.first_token_timeout,
            idle: u.idle_timeout,
            websocket_idle: u.websocket_idle_timeout,
        },
        pool_idle_timeout: u.pool_idle_timeout,
        max_idle_connections: u.max_idle_connections,
        ask_for_usage: u.ask_for_usage,
    })
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
    }
}

/// Where the exchange log goes.
pub(crate) fn log_target(file: &LogFile) -> LogTarget {
    match file {
        LogFile::Stdout => LogTarget::Stdout,
        LogFile::Path(path) => LogTarget::File(path.clone()),
    }
}

/// What the export wants to know; `None` where there is nothing to export to.
pub(crate) fn otlp(settings: &Settings) -> Option<OtlpConfig> {
    let t = &settings.telemetry;
    if t.traces.is_none() && t.metrics.is_none() {
        return None;
    }
    Some(OtlpConfig {
        traces: t.traces.as_ref().map(export),
        metrics: t.metrics.as_ref().map(export),
        service_name: t.service_name.to_string(),
        resource: t.resource.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        metric_interval: t.metric_interval,
        sample_ratio: t.sample_ratio,
        span_queue: t.span_queue,
        span_batch: t.span_batch,
        span_delay: t.span_delay,
    })
}

fn export(export: &Export) -> OtlpExport {
    OtlpExport {
        endpoint: export.endpoint.clone(),
        protocol: match export.protocol {
            Protocol::HttpProtobuf => limpid_telemetry::Protocol::HttpProtobuf,
            Protocol::Grpc => limpid_telemetry::Protocol::Grpc,
        },
        headers: export.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect(),
        timeout: export.timeout,
    }
}
