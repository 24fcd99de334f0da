//! What all exchanges share: settings, clock, sink, upstreams.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use limpid_core::{Clock, ExchangeSink, Hosts, UpstreamInfo};
use limpid_observe::{Limits, MetadataLabel};
use limpid_route::{KeyNames, LabelRules, Match, RouteTable, Target};
use limpid_settle::Settler;
use tokio::sync::watch;

use crate::aside::Aside;
use crate::capture::{Capture, CaptureConfig};
use crate::connect::{Connector, Http2, Reach, TrustError};
use crate::credentials::UpstreamKey;
use crate::estimator::{EstimateConfig, Estimator};
use crate::ids::Ids;
use crate::pool::{Http2Limits, Keep, Pool};
use crate::quiet::Quiet;
use crate::resolve::Resolve;
use crate::routing::{Budget, RoutingConfig};
use crate::server::StartError;
use crate::socket::TcpKeepalive;
use crate::trace_context::TraceConfig;
use crate::trust::Authorities;
use crate::unreadable;
use crate::watchdog::Timeouts;
use crate::workers::Worker;

/// How one upstream is matched and reached.
pub struct UpstreamConfig {
    /// Its names, for records.
    pub info: Arc<UpstreamInfo>,
    /// Its base URL.
    pub target: Target,
    /// Which requests it serves.
    pub matches: Match,
    /// What stands in for the matched path prefix; `None` leaves the path as it came.
    pub rewrite_prefix: Option<String>,
    /// Which HTTP it is spoken to with.
    pub http2: Http2,
    /// What HTTP/2 to it may take.
    pub http2_limits: Http2Limits,
    /// Certificate authorities that it may use beside those that the machine trusts.
    pub tls_authorities: Option<Authorities>,
    /// How long a connection may take, TLS and the begin of HTTP/2 included.
    pub connect_timeout: Duration,
    /// Its own API key, which takes the place of the client's; `None` passes the client's on.
    pub key: Option<UpstreamKey>,
    /// Probes of connections by which nothing comes; `None`: none.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long it may be silent.
    pub timeouts: Timeouts,
    /// How long an unused connection is kept. Keep it below the upstream's own limit, or requests meet closing ones.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle_connections: usize,
    /// How old a connection may be that takes another request, so that traffic follows the upstream's name to other
    /// addresses; a tenth more or less for each. `None`: any age.
    pub max_connection_age: Option<Duration>,
    /// How large a response's head may be, bytes.
    pub max_response_head: usize,
    /// Whether its streams of chat and completions are asked for their usage where the client does not say. Without effect
    /// where nothing is observed.
    pub ask_for_usage: bool,
}

/// What the observer may look at.
#[derive(Debug, Clone)]
pub struct ObserveConfig {
    /// Off: bodies pass unlooked at; records have no tokens. Requests are still looked at where a route asks for a model,
    /// or a label for their `metadata`.
    pub enabled: bool,
    /// Bounds on the response's copy.
    pub limits: Limits,
    /// How much of a request's body is looked at, bytes.
    pub request_bytes: usize,
}

/// The data listener's limits.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How large a head may be, bytes.
    pub max_head_bytes: usize,
    /// How long a request's body may pause while it is waited for; `None`: as long as it likes.
    pub request_body_timeout: Option<Duration>,
    /// Probes of connections by which nothing comes; `None`: none.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long nothing may come by an HTTP/2 connection before a PING is sent; `None`: none is.
    pub http2_ping_interval: Option<Duration>,
    /// How long its answer may take.
    pub http2_ping_timeout: Duration,
    /// How long streams may go on after the drain began.
    pub drain_timeout: Duration,
    /// Threads that serve connections, each with a runtime and a pool of its own; `None`: the runtime that calls
    /// [`Proxy::serve`](crate::Proxy::serve).
    pub worker_threads: Option<NonZeroUsize>,
    /// Whether each of them keeps to one core; Linux only.
    pub pin_workers: bool,
    /// The names that it answers to, and whose pages may ask.
    pub hosts: Hosts,
}

/// Everything the relay needs.
pub struct ProxyConfig {
    /// The listener's limits.
    pub server: ServerConfig,
    /// The upstreams; the index names one in the route table.
    pub upstreams: Vec<UpstreamConfig>,
    /// Where requests go that name no model, or one that no route has.
    pub routing: RoutingConfig,
    /// What the observer may look at.
    pub observe: ObserveConfig,
    /// Names of API keys.
    pub keys: KeyNames,
    /// The operator's own labels.
    pub labels: LabelRules,
    /// How traces go on.
    pub trace: TraceConfig,
    /// Outcome, tokens, price.
    pub settler: Settler,
    /// Token counts that a reply leaves out are estimated; `None` leaves them absent. Without effect where nothing is
    /// observed.
    pub estimates: Option<EstimateConfig>,
    /// Prompt and reply of some exchanges go to their spans; `None`: of none. Without effect where nothing is observed.
    pub capture: Option<CaptureConfig>,
    /// How upstreams' names are looked up.
    pub resolver: Arc<dyn Resolve>,
    /// Where records go.
    pub sink: Arc<dyn ExchangeSink>,
    /// Time.
    pub clock: Clock,
}

/// An upstream at run time.
pub(crate) struct Upstream {
    pub(crate) info: Arc<UpstreamInfo>,
    pub(crate) target: Target,
    pub(crate) rewrite: Option<(String, String)>,
    pub(crate) key: Option<UpstreamKey>,
    /// Its paths must not lead elsewhere: it has a base path, a prefix, or a key of its own.
    pub(crate) confined: bool,
    pub(crate) timeouts: Timeouts,
    /// One for each worker, so that a stream's two connections are served by one thread.
    pools: Box<[Arc<Pool>]>,
    pub(crate) ask_for_usage: bool,
}

impl Upstream {
    /// The connections of that worker.
    pub(crate) fn pool(&self, worker: Worker) -> &Arc<Pool> {
        &self.pools[worker.index() % self.pools.len()]
    }

    /// The prefix to replace and its replacement.
    pub(crate) fn rewrite(&self) -> Option<(&str, &str)> {
        self.rewrite.as_ref().map(|(from, to)| (from.as_str(), to.as_str()))
    }
}

/// What all exchanges share; one `Arc` of it per exchange.
pub(crate) struct Shared {
    pub(crate) server: ServerConfig,
    pub(crate) routes: RouteTable,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routing: RoutingConfig,
    /// What is held of requests ahead of their routes, and of compressed ones while they are looked at.
    pub(crate) lookahead: Arc<Budget>,
    /// When the log last told of a request that no route has by its model.
    pub(crate) fallbacks: Quiet,
    pub(crate) observe: ObserveConfig,
    /// How much of a request's body is looked at, bytes; `None`: it is only counted.
    pub(crate) looked_at: Option<usize>,
    pub(crate) keys: KeyNames,
    pub(crate) labels: LabelRules,
    /// The members of a request's `metadata` that become labels.
    pub(crate) metadata: Arc<[MetadataLabel]>,
    pub(crate) trace: TraceConfig,
    pub(crate) settler: Settler,
    pub(crate) estimator: Option<Estimator>,
    pub(crate) capture: Option<Capture>,
    /// Where large bodies are read and settled.
    pub(crate) aside: Aside,
    pub(crate) sink: Arc<dyn ExchangeSink>,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) unreadable: unreadable::Log,
    /// Set when the drain's time is up: what breaks from then on is limpid's shutdown, not a client that left.
    aborting: AtomicBool,
    /// True once the drain is to end early.
    pub(crate) hurried: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(config: ProxyConfig) -> Result<Shared, StartError> {
        let ProxyConfig {
            server,
            upstreams,
            routing,
            observe,
            keys,
            labels,
            trace,
            settler,
            estimates,
            capture,
            resolver,
            sink,
            clock,
        } = config;
        let by_model = upstreams.iter().any(|u| !u.matches.models.is_empty());
        let metadata: Arc<[MetadataLabel]> = labels.metadata().collect();
        let connector = Connector::new(upstreams.iter().map(|u| u.target.scheme()), resolver, &clock);
        // A route that asks for a model looks as far as it reads ahead.
        let furthest =
            if by_model { routing.lookahead_bytes.max(observe.request_bytes) } else { observe.request_bytes };
        let looked_at = (observe.enabled || by_model || !metadata.is_empty()).then_some(furthest);
        let routes = RouteTable::new(upstreams.iter().map(|u| u.matches.clone()).collect());
        let upstreams = upstreams
            .into_iter()
            .map(|u| u.start(&connector, &clock, server.worker_threads))
            .collect::<Result<_, _>>()
            .map_err(StartError::Trust)?;
        let aborting = AtomicBool::new(false);
        let estimates = estimates.filter(|_| observe.enabled);
        let capture = capture.filter(|_| observe.enabled).map(Capture::new);
        let estimator = (estimates.is_some() || capture.is_some())
            .then(|| Estimator::start(estimates, settler.clone(), Arc::clone(&sink)))
            .transpose()
            .map_err(StartError::Thread)?;
        let aside = Aside::start("limpid-settle").map_err(StartError::Thread)?;
        Ok(Shared {
            server,
            routes,
            upstreams,
            lookahead: Budget::new(routing.lookahead_budget_bytes),
            routing,
            fallbacks: Quiet::default(),
            observe,
            looked_at,
            keys,
            labels,
            metadata,
            trace,
            settler,
            estimator,
            capture,
            sink,
            clock,
            ids: Ids::new(),
            unreadable: unreadable::Log::default(),
            aborting,
            hurried: watch::Sender::new(false),
            aside,
        })
    }

    pub(crate) fn abort(&self) {
        self.aborting.store(true, Ordering::Release);
    }

    pub(crate) fn aborting(&self) -> bool {
        self.aborting.load(Ordering::Acquire)
    }
}

impl UpstreamConfig {
    fn start(
        self,
        connector: &Connector,
        clock: &Clock,
        workers: Option<NonZeroUsize>,
    ) -> Result<Upstream, TrustError> {
        let confined = self.target.has_base_path() || self.matches.path_prefix.is_some() || self.key.is_some();
        let rewrite = self.matches.path_prefix.zip(self.rewrite_prefix);
        let rewrite = rewrite.map(|(from, to)| (from.trim_end_matches('/').to_owned(), to));
        let authorities = self.tls_authorities.as_ref();
        let reach = Reach {
            target: &self.target,
            http2: self.http2,
            authorities,
            timeout: self.connect_timeout,
            keepalive: self.tcp_keepalive,
        };
        let workers = workers.map_or(1, NonZeroUsize::get);
        let keep = Keep {
            idle_timeout: self.pool_idle_timeout,
            max_idle: self.max_idle_connections.div_ceil(workers),
            max_age: self.max_connection_age,
            max_head: self.max_response_head,
        };
        let connect = Arc::new(connector.to(&reach)?);
        let pools =
            (0..workers).map(|_| Pool::new(Arc::clone(&connect), clock.clone(), keep, self.http2_limits)).collect();
        let Self { info, target, key, timeouts, ask_for_usage, .. } = self;
        Ok(Upstream { info, target, rewrite, key, confined, timeouts, pools, ask_for_usage })
    }
}
