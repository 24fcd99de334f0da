//! The running process: every room wired to the others, started in order and stopped in order.
//!
//! ```text
//! data listener → proxy → hand-over → one thread: metrics, windows
//!                                     └ a queue and a thread each: spans, log records, exchange log
//! admin listener → metrics, windows
//! ```
//!
//! **Stopping**, in the order in which nothing is lost: `/readyz` says no; the proxy drains; the hand-over's thread
//! empties the queue and ends; spans, metrics and the exchange log are flushed within their time; the admin listener goes
//! last, so that
//! the drain can be watched. The hand-over ends when the last exchange is gone; should one hang, it is not waited for
//! longer than [`LEFTOVERS`].
//!
//! **Whole or not at all.** All threads are started before the process is ready; where one cannot be had, nothing is. A
//! worker that ends unasked ends the process: [`Process::failed`].
//!
//! **In a hurry.** A second signal ends the drain: open exchanges are broken off and recorded as `shutdown`, and what is
//! recorded is shown and flushed, all within [`HURRIED`].

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use limpid_admin::{About, AdminState, Hosts, Limits, MetricsText};
use limpid_core::{Clock, ExchangeSink, Handover, HandoverCounts, RecordConsumer};
use limpid_insight::Insight;
use limpid_proxy::{Drained, Hurry, Proxy};
use limpid_telemetry::{ExchangeLog, ExportCounts, Format, LiveCounts, Metrics, Otlp, ShutdownReport};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::settings::Settings;
use crate::takeover::{listen, listen_after};
use crate::{logging, threads, wiring};

/// How long the hand-over may take to empty its queue at the end.
const LEFTOVERS: Duration = Duration::from_secs(2);
/// How long the exporters may take to flush at the end.
const FLUSH: Duration = Duration::from_secs(5);
/// How long all of that may take once a second signal has come.
const HURRIED: Duration = Duration::from_secs(3);
/// Of that, the hand-over, and what is flushed.
const HURRIED_EACH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(1500));

/// Why the process does not start; each is one line with its mend.
#[derive(Debug)]
pub(crate) enum StartError {
    Listen { setting: &'static str, flag: &'static str, addr: SocketAddr, error: io::Error },
    ExchangeLog { file: String, error: io::Error },
    Threads(String),
    Thread(io::Error),
    ApiKey(http::header::InvalidHeaderValue),
    Proxy(limpid_proxy::StartError),
    Otlp(limpid_telemetry::OtlpError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { setting, flag, addr, error } => {
                write!(f, "cannot listen on {addr} ({setting}): {error}; choose another address with {flag}")
            }
            StartError::ExchangeLog { file, error } => {
                write!(f, "cannot open the exchange log {file}: {error}; name another file with --exchange-log")
            }
            StartError::Threads(why) => f.write_str(why),
            StartError::Thread(error) => write!(f, "cannot start a thread: {error}"),
            StartError::ApiKey(error) => write!(f, "an upstream's API key cannot be sent: {error}; see api_key_env"),
            StartError::Proxy(error) => write!(f, "{error}"),
            StartError::Otlp(error) => write!(f, "the OTLP export cannot be set up: {error}; see [telemetry]"),
        }
    }
}

/// A running limpid.
pub(crate) struct Process {
    /// Where clients connect.
    pub(crate) data: SocketAddr,
    /// Where health, metrics and the dashboard are.
    pub(crate) admin: Option<SocketAddr>,
    /// The rolling windows.
    pub(crate) insight: Arc<Insight>,
    /// Set it, and the exchange log's file is opened again. `None` without one.
    pub(crate) reopen_log: Option<Arc<AtomicBool>>,
    ready: Arc<AtomicBool>,
    stop_proxy: oneshot::Sender<()>,
    proxy: JoinHandle<Drained>,
    /// How the proxy ended unasked.
    ended: Option<Drained>,
    hurry: Hurry,
    /// True once a worker has ended unasked.
    lost: watch::Receiver<bool>,
    /// Lets go of the admin listener's address.
    let_go: Arc<Notify>,
    shares_ports: bool,
    recorded: oneshot::Receiver<()>,
    counts: Arc<HandoverCounts>,
    otlp: Option<Otlp>,
    exchange_log: Option<ExchangeLog>,
    admin_task: Option<JoinHandle<()>>,
}

/// How the process ended.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) drained: Drained,
    pub(crate) records_dropped: u64,
    /// What the hand-over did not show in its time: records that still waited, and exchanges that did not end.
    pub(crate) unrecorded: Option<(u64, u64)>,
    pub(crate) export: Option<ShutdownReport>,
    /// Lines of the exchange log that could not be written at the end.
    pub(crate) log_lines_lost: u64,
}

impl Process {
    /// Starts everything, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// An address that is taken, a thread that cannot be had, a setting that cannot be used. Nothing of it runs on.
    pub(crate) async fn start(settings: &Settings, clock: Clock) -> Result<Process, StartError> {
        threads::probe(threads::needed(settings)).map_err(StartError::Threads)?;
        let (data, admin) = listeners(settings).await?;
        let surfaces = Surfaces::start(settings, &clock)?;
        let sink: Arc<dyn ExchangeSink> = Arc::new(surfaces.handover);
        let proxy = Proxy::new(wiring::proxy(settings, sink, clock.clone()).map_err(StartError::ApiKey)?)
            .map_err(StartError::Proxy)?;

        let ready = Arc::new(AtomicBool::new(true));
        let (hurry, lost, let_go) = (proxy.hurry(), proxy.lost(), Arc::<Notify>::default());
        let data_addr = data.local_addr().unwrap_or(settings.server.listen);
        let admin_addr = admin.as_ref().and_then(|l| l.local_addr().ok());
        let admin_task = admin.map(|listener| {
            if let Some(keepalive) = wiring::keepalive(settings.server.tcp_keepalive) {
                keepalive.set(&listener);
            }
            let state = AdminState {
                insight: Arc::clone(&surfaces.insight),
                metrics: Arc::new(Scraped(Arc::clone(&surfaces.metrics))),
                ready: Arc::clone(&ready),
                counts: Arc::clone(&surfaces.counts),
                let_go: Arc::clone(&let_go),
                hosts: Hosts::new(settings.admin.hosts.iter().map(|name| &**name)),
                about: about(settings),
            };
            let limits = Limits {
                header_timeout: settings.admin.header_timeout,
                max_connections: settings.admin.max_connections,
            };
            tokio::spawn(limpid_admin::serve(listener, state, limits))
        });
        let (stop_proxy, stopped) = oneshot::channel();
        let stopped = async move {
            let _either_way = stopped.await;
        };
        Ok(Process {
            data: data_addr,
            admin: admin_addr,
            insight: surfaces.insight,
            reopen_log: surfaces.exchange_log.as_ref().and_then(ExchangeLog::reopen),
            ready,
            stop_proxy,
            proxy: tokio::spawn(proxy.serve(data, stopped)),
            ended: None,
            hurry,
            let_go,
            lost,
            shares_ports: settings.server.reuse_port,
            recorded: surfaces.recorded,
            counts: surfaces.counts,
            otlp: surfaces.otlp,
            exchange_log: surfaces.exchange_log,
            admin_task,
        })
    }

    /// Returns when the relay has ended unasked: a worker's thread is gone, and the others have drained. `/readyz` says no
    /// by then; what is left is to stop.
    pub(crate) async fn failed(&mut self) {
        tokio::select! {
            _ = self.lost.wait_for(|lost| *lost) => {
                self.ready.store(false, Ordering::Release);
                self.ended = Some((&mut self.proxy).await.unwrap_or(Drained { broken_off: 0 }));
            }
            // The acceptor itself.
            ended = &mut self.proxy => self.ended = Some(ended.unwrap_or(Drained { broken_off: 0 })),
        }
        self.ready.store(false, Ordering::Release);
    }

    /// Drains and stops; without waiting once `hurried` is ready.
    pub(crate) async fn stop(self, hurried: impl Future<Output = ()>) -> Stopped {
        self.ready.store(false, Ordering::Release);
        if self.shares_ports {
            self.let_go.notify_one();
        }
        let (hurry, hurry_set) = (self.hurry.clone(), Arc::<AtomicBool>::default());
        let in_a_hurry = Arc::clone(&hurry_set);
        let mut stopping = pin!(self.stopping(hurry_set));
        tokio::select! {
            stopped = &mut stopping => return stopped,
            () = hurried => {}
        }
        in_a_hurry.store(true, Ordering::Release);
        hurry.now();
        tokio::time::timeout(HURRIED, stopping).await.unwrap_or_else(|_| Stopped::unknown())
    }

    async fn stopping(self, in_a_hurry: Arc<AtomicBool>) -> Stopped {
        let _already_gone = self.stop_proxy.send(());
        let drained = match self.ended {
            Some(drained) => drained,
            None => self.proxy.await.unwrap_or(Drained { broken_off: 0 }),
        };
        let (leftovers, flush) = if in_a_hurry.load(Ordering::Acquire) { HURRIED_EACH } else { (LEFTOVERS, FLUSH) };
        let ended = tokio::time::timeout(leftovers, self.recorded).await.is_ok();
        let unrecorded = if ended { None } else { Some((self.counts.waiting(), self.counts.under_way())) };
        let (otlp, log) = (self.otlp, self.exchange_log);
        let flushed = spawn_blocking(move || {
            log.iter().for_each(ExchangeLog::close);
            let deadline = Instant::now() + flush;
            let export = otlp.map(|otlp| otlp.shutdown(flush));
            (export, log.map_or(0, |log| log.shutdown(deadline.saturating_duration_since(Instant::now()))))
        });
        let (export, log_lines_lost) = flushed.await.unwrap_or_default();
        if let Some(task) = self.admin_task {
            task.abort();
        }
        Stopped { drained, records_dropped: self.counts.dropped(), unrecorded, export, log_lines_lost }
    }
}

impl Stopped {
    /// There was no time to learn of it.
    fn unknown() -> Stopped {
        tracing::warn!("the time was up before all was flushed; what was not is lost");
        let drained = Drained { broken_off: 0 };
        Stopped { drained, records_dropped: 0, unrecorded: None, export: None, log_lines_lost: 0 }
    }
}

/// The data listener, and the admin listener if there is one.
async fn listeners(settings: &Settings) -> Result<(TcpListener, Option<TcpListener>), StartError> {
    let shared = settings.server.reuse_port;
    let fault = |setting, flag, addr| move |error| StartError::Listen { setting, flag, addr, error };
    let data = settings.server.listen;
    let data = listen(data, shared).map_err(fault("server.listen", "--listen", data))?;
    if !settings.admin.enabled {
        return Ok((data, None));
    }
    let admin = settings.admin.listen;
    let admin = listen_after(admin, shared).await.map_err(fault("admin.listen", "--admin", admin))?;
    Ok((data, Some(admin)))
}

/// Everything that reads records.
struct Surfaces {
    handover: Handover,
    counts: Arc<HandoverCounts>,
    insight: Arc<Insight>,
    metrics: Arc<Metrics>,
    otlp: Option<Otlp>,
    recorded: oneshot::Receiver<()>,
    exchange_log: Option<ExchangeLog>,
}

impl Surfaces {
    fn start(settings: &Settings, clock: &Clock) -> Result<Surfaces, StartError> {
        let exports = Arc::<ExportCounts>::default();
        let counts = Arc::<HandoverCounts>::default();
        let live =
            LiveCounts { handover: Arc::clone(&counts), exports: Arc::clone(&exports), own_log: logging::counts() };
        let (metrics, metrics_consumer) = Metrics::new(&wiring::metrics(settings), live.clone());
        let (insight, insight_consumer) = Insight::new(wiring::insight(settings), clock.clone());
        let mut consumers: Vec<Box<dyn RecordConsumer>> = vec![Box::new(metrics_consumer), Box::new(insight_consumer)];
        let otlp = match wiring::otlp(settings) {
            Some(config) => {
                let (otlp, exporting) =
                    Otlp::start(&config, &wiring::metrics(settings), &live).map_err(StartError::Otlp)?;
                consumers.extend(exporting);
                Some(otlp)
            }
            None => None,
        };
        let mut exchange_log = None;
        if let (Some(target), Some(file)) = (wiring::log_target(settings), &settings.exchange_log.file) {
            let (log, consumer) = ExchangeLog::start(target, settings.exchange_log.queue, clock.clone(), &exports)
                .map_err(|error| StartError::ExchangeLog { file: file.to_string(), error })?;
            exchange_log = Some(log);
            consumers.push(consumer);
        }
        let (handover, drain) = Handover::new(settings.record.queue, consumers, Arc::clone(&counts));
        let (done, recorded) = oneshot::channel();
        std::thread::Builder::new()
            .name("limpid-record".into())
            .spawn(move || {
                drain();
                let _nobody_waits = done.send(());
            })
            .map_err(StartError::Thread)?;
        Ok(Surfaces { handover, counts, insight, metrics, otlp, recorded, exchange_log })
    }
}

/// The admin room asks for text and knows no registry.
struct Scraped(Arc<Metrics>);

impl MetricsText for Scraped {
    fn render(&self, openmetrics: bool) -> String {
        self.0.render(if openmetrics { Format::OpenMetrics } else { Format::Text })
    }
}

fn about(settings: &Settings) -> About {
    About {
        version: env!("CARGO_PKG_VERSION"),
        upstreams: settings.upstreams.iter().map(wiring::upstream_info).collect(),
    }
}
