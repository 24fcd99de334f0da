//! The JSON API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use limpid_core::{Endpoint, ExchangeRecord};
use limpid_insight::{Insight, Metric, RecentQuery, Series, SeriesQuery, Summary, SummaryQuery};
use serde::Serialize;

use crate::params::{Params, RawParams};
use crate::{ApiError, Shared};

/// Where none is asked for.
const WINDOW: Duration = Duration::from_secs(300);

/// Points of a series whose step is not asked for, at most one more for the broken first step.
const POINTS: u32 = 60;

/// Where no limit is asked for.
const EXCHANGES: usize = 100;

/// `/api/v1/summary`
pub(crate) async fn summary(State(shared): State<Arc<Shared>>, raw: RawParams) -> Result<Json<Summary>, ApiError> {
    let params = Params::read(raw, &["window", "group_by"])?;
    let window = window(&params, &shared.state.insight)?.unwrap_or(WINDOW);
    let query = SummaryQuery { window, group_by: params.group_by()?, filters: params.filters };
    shared.query(move |insight| insight.summary(&query)).await.map(Json)
}

/// `/api/v1/series`
pub(crate) async fn series(State(shared): State<Arc<Shared>>, raw: RawParams) -> Result<Json<Series>, ApiError> {
    let params = Params::read(raw, &["metric", "window", "step"])?;
    let insight = &shared.state.insight;
    let allowed = || Metric::all().map(Metric::name).collect();
    let name = params.single("metric").ok_or_else(|| ApiError::Missing { name: "metric", allowed: allowed() })?;
    let metric = Metric::from_name(name).ok_or_else(|| ApiError::NotOneOf {
        name: "metric",
        value: name.to_owned(),
        allowed: allowed(),
    })?;
    let window = window(&params, insight)?.unwrap_or(WINDOW);
    let least = Duration::from_secs(1);
    let step = params.duration("step", least, insight.config().longest_window())?.unwrap_or(window / POINTS);
    let query = SeriesQuery { metric, window, step, filters: params.filters };
    shared.query(move |insight| insight.series(&query)).await.map(Json)
}

/// Recent exchanges.
#[derive(Serialize)]
pub(crate) struct Exchanges {
    exchanges: Vec<Arc<ExchangeRecord>>,
}

/// `/api/v1/exchanges`
pub(crate) async fn exchanges(State(shared): State<Arc<Shared>>, raw: RawParams) -> Result<Json<Exchanges>, ApiError> {
    let params = Params::read(raw, &["limit", "window"])?;
    let insight = &shared.state.insight;
    let most = insight.config().recent;
    let limit = params.number("limit", most)?.unwrap_or(EXCHANGES.min(most));
    let query = RecentQuery { limit, window: window(&params, insight)?, filters: params.filters };
    Ok(Json(Exchanges { exchanges: insight.recent(&query) }))
}

fn window(params: &Params, insight: &Insight) -> Result<Option<Duration>, ApiError> {
    params.duration("window", Duration::from_secs(1), insight.config().longest_window())
}

impl Shared {
    /// Runs a query on a blocking thread, when its turn comes.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Insight) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _turn = self.queries.acquire().await.map_err(|_closed| ApiError::Internal)?;
        let insight = Arc::clone(&self.state.insight);
        tokio::task::spawn_blocking(move || query(&insight)).await.map_err(|_panicked| ApiError::Internal)
    }

    /// Exchanges that have begun and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        Endpoint::ALL.iter().map(|endpoint| self.in_flight_of(*endpoint)).sum()
    }

    fn in_flight_of(&self, endpoint: Endpoint) -> u64 {
        u64::try_from(self.state.counts.in_flight(endpoint)).unwrap_or(0)
    }
}

/// What the process is and does just now.
#[derive(Serialize)]
pub(crate) struct AboutNow {
    version: &'static str,
    started_at: String,
    now: String,
    uptime_s: f64,
    ready: bool,
    upstreams: Vec<Upstream>,
    in_flight: InFlight,
    records: Records,
    limits: Limits,
}

#[derive(Serialize)]
struct Upstream {
    name: Arc<str>,
    provider: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Arc<str>>,
    address: Arc<str>,
    port: u16,
}

#[derive(Serialize)]
struct InFlight {
    total: u64,
    /// Those that are not 0.
    by_endpoint: BTreeMap<Endpoint, u64>,
}

#[derive(Serialize)]
struct Records {
    /// Exchanges that ended since the start.
    finished: u64,
    /// Those whose record was dropped because the queue was full: they are in no number here.
    dropped: u64,
}

#[derive(Serialize)]
struct Limits {
    slot_s: f64,
    longest_window_s: f64,
    recent: usize,
    max_groups: usize,
}

/// `/api/v1/about`
pub(crate) async fn about(State(shared): State<Arc<Shared>>) -> Json<AboutNow> {
    let state = &shared.state;
    let now = state.insight.now();
    let config = state.insight.config();
    let in_flight = Endpoint::ALL.iter().map(|e| (*e, shared.in_flight_of(*e))).filter(|(_, count)| *count > 0);
    let upstreams = state.about.upstreams.iter().map(|u| Upstream {
        name: Arc::clone(&u.name),
        provider: Arc::clone(&u.provider),
        region: u.region.clone(),
        address: Arc::clone(&u.address),
        port: u.port,
    });
    Json(AboutNow {
        version: state.about.version,
        started_at: rfc3339(state.insight.started_at()),
        now: rfc3339(now),
        uptime_s: state.insight.uptime().as_secs_f64(),
        ready: state.ready.load(Ordering::Acquire),
        upstreams: upstreams.collect(),
        in_flight: InFlight { total: shared.in_flight(), by_endpoint: in_flight.collect() },
        records: Records { finished: state.counts.finished(), dropped: state.counts.dropped() },
        limits: Limits {
            slot_s: config.slot.as_secs_f64(),
            longest_window_s: config.longest_window().as_secs_f64(),
            recent: config.recent,
            max_groups: config.max_groups,
        },
    })
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
