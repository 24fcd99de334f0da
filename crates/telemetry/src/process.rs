//! What the process itself uses, under the names that Prometheus' client libraries have for it (`process_…`).
//!
//! Read from Linux' `/proc/self` at each scrape: a few small files and one directory listing. Where there is no such
//! file, on other systems or in a sandbox, a number is absent. OTLP does not carry them; collectors have receivers for it.

use std::fmt::Error;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Clock ticks a second in `/proc`: what Linux tells programs is 100 whatever the kernel's own rate (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// The process at one moment; what is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Reading {
    /// User and system time of all threads, seconds.
    cpu_seconds: Option<f64>,
    /// When it started, seconds since the Unix epoch.
    start_seconds: Option<f64>,
    /// Physical memory, bytes.
    resident_bytes: Option<u64>,
    open_fds: Option<u64>,
    /// The soft limit of open file descriptors; `None` too where there is no limit.
    max_fds: Option<u64>,
}

impl Reading {
    fn now() -> Reading {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Reading {
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            ..Reading::of(
                &text("/proc/self/stat"),
                &text("/proc/self/status"),
                &text("/proc/self/limits"),
                &text("/proc/stat"),
            )
        }
    }

    /// From the texts of `/proc/self/stat`, `status` and `limits`, and of `/proc/stat`, whose formats proc(5) gives.
    fn of(stat: &str, status: &str, limits: &str, machine: &str) -> Reading {
        // The second field, the program's name, stands in brackets and may hold spaces and brackets. Field 3 is next.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<f64>().ok());
        let seconds = |ticks: f64| ticks / TICKS_PER_SECOND;
        let booted = after(machine, "btime ").and_then(|t| t.parse::<f64>().ok());
        Reading {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| seconds(user + system)),
            start_seconds: booted.zip(field(22)).map(|(booted, ticks)| booted + seconds(ticks)),
            resident_bytes: after(status, "VmRSS:").and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib * 1024),
            open_fds: None,
            max_fds: after(limits, "Max open files").and_then(|n| n.parse().ok()),
        }
    }
}

/// The first word after `label` on the line that begins with it.
fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().next()
}

/// Shows the process at each scrape.
#[derive(Debug)]
pub(crate) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let e = &mut encoder;
        let now = Reading::now();
        let (seconds, bytes) = (Some(Unit::Seconds), Some(Unit::Bytes));
        show(
            e,
            "process_cpu",
            "User and system time spent.",
            seconds.as_ref(),
            MetricType::Counter,
            now.cpu_seconds.map(ConstCounter::new),
        )?;
        show(
            e,
            "process_start_time",
            "When the process started, since the Unix epoch.",
            seconds.as_ref(),
            MetricType::Gauge,
            now.start_seconds.map(ConstGauge::new),
        )?;
        show(
            e,
            "process_resident_memory",
            "Physical memory in use.",
            bytes.as_ref(),
            MetricType::Gauge,
            now.resident_bytes.map(ConstGauge::new),
        )?;
        show(
            e,
            "process_open_fds",
            "Open file descriptors.",
            None,
            MetricType::Gauge,
            now.open_fds.map(ConstGauge::new),
        )?;
        show(
            e,
            "process_max_fds",
            "The most file descriptors that may be open.",
            None,
            MetricType::Gauge,
            now.max_fds.map(ConstGauge::new),
        )
    }
}

fn show(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    kind: MetricType,
    metric: Option<impl EncodeMetric>,
) -> Result<(), Error> {
    let Some(metric) = metric else { return Ok(()) };
    metric.encode(encoder.encode_descriptor(name, help, unit, kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read_by_their_fields() {
        let stat =
            "4242 (limpid (x) y) S 1 4242 4242 0 -1 4194560 900 0 3 0 1250 250 0 0 20 0 5 0 360000 300000000 7000";
        let status = "Name:\tlimpid\nVmHWM:\t   30000 kB\nVmRSS:\t   28000 kB\nThreads:\t5\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        let machine = "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n";
        let read = Reading {
            cpu_seconds: Some(15.0),
            start_seconds: Some(1_700_003_600.0),
            resident_bytes: Some(28_000 * 1024),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(Reading::of(stat, status, limits, machine), read);
    }

    #[test]
    fn what_is_not_there_is_absent() {
        assert_eq!(Reading::of("", "", "", ""), Reading::default());
        let unlimited = "Max open files            unlimited            unlimited            files\n";
        assert_eq!(Reading::of("1 (a) S", "VmRSS: many", unlimited, "btime x"), Reading::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_can_be_read() {
        let now = Reading::now();
        assert!(now.resident_bytes.unwrap() > 100_000 && now.open_fds.unwrap() >= 3, "{now:?}");
        assert!(now.cpu_seconds.is_some() && now.start_seconds.unwrap() > 1.6e9, "{now:?}");
    }
}
