//! From samples to tables and JSON: medians over the rounds, with the least and the most of them.
//!
//! What is compared is compared within its round: a ratio to nginx, or a difference to the direct way, is taken round
//! by round and the median of those is given, for machines drift and ratios hold.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::contenders::Contender;
use crate::plans::{Plan, Sample};
use crate::sizes::Sizes;

/// Median, least and most.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: f64::midpoint(low, high), min, max })
    }

    fn json(self) -> Value {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        json!({"median": round(self.median), "min": round(self.min), "max": round(self.max)})
    }
}

/// How a figure is told.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    /// As it is.
    Plain,
    /// As a multiple of nginx's.
    TimesNginx,
    /// As what it is more than the direct way's.
    OverDirect,
    /// As a multiple of the same contender's under the plan's first load.
    TimesFirst,
}

/// A column: the figure, its heading, how it is told, decimals.
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str, pub(crate) Told, usize);

/// The columns of a plan's table.
pub(crate) fn columns(plan: Plan) -> Vec<Column> {
    use Told::{OverDirect, Plain, TimesNginx};
    match plan {
        Plan::Gentle | Plan::Streams | Plan::Scale => {
            let mut all = cpu_of_events();
            all.extend([
                Column("event_us_p50", "event +p50 µs", OverDirect, 0),
                Column("event_us_p99", "event +p99 µs", OverDirect, 0),
                Column("ttft_us_p50", "TTFT +p50 µs", OverDirect, 0),
                Column("ttft_us_p99", "TTFT +p99 µs", OverDirect, 0),
            ]);
            all
        }
        Plan::Requests => vec![
            Column("cpu_us_per_request", "CPU µs/request", Plain, 1),
            Column("cpu_us_per_request", "× nginx", TimesNginx, 2),
            Column("request_us_p50", "+p50 µs", OverDirect, 0),
            Column("request_us_p99", "+p99 µs", OverDirect, 0),
            Column("requests_per_s", "saturated: requests/s", Plain, 0),
            Column("requests_per_s", "× nginx", TimesNginx, 2),
            Column("cpu_us_per_request_saturated", "CPU µs/request", Plain, 1),
        ],
        Plan::Idle => vec![
            Column("kib_per_stream", "KiB/stream", Plain, 1),
            Column("kib_per_stream", "× nginx", TimesNginx, 2),
            Column("process_mib", "process MiB", Plain, 1),
        ],
        Plan::Gateways => {
            let mut all = cpu_of_events();
            all.extend([
                Column("event_us_p50", "event p50 µs", Plain, 0),
                Column("event_us_p99", "event p99 µs", Plain, 0),
                Column("took_s", "took s", Plain, 1),
            ]);
            all
        }
        Plan::ScaleH2c | Plan::Flat | Plan::Burst | Plan::Growth => columns_of_scale(plan),
    }
}

fn cpu_of_events() -> Vec<Column> {
    vec![
        Column("streams", "streams", Told::Plain, 0),
        Column("cpu_us_per_event", "CPU µs/event", Told::Plain, 1),
        Column("cpu_us_per_event", "× nginx", Told::TimesNginx, 2),
    ]
}

/// Those of the plans that ask how cost grows.
fn columns_of_scale(plan: Plan) -> Vec<Column> {
    use Told::{Plain, TimesFirst, TimesNginx};
    match plan {
        Plan::ScaleH2c => vec![
            Column("streams", "streams", Plain, 0),
            Column("failed", "failed", Plain, 0),
            Column("cpu_us_per_event", "CPU µs/event", Plain, 1),
            Column("kib_per_stream", "KiB/stream", Plain, 1),
            Column("upstream_connections", "upstream connections", Plain, 0),
            Column("event_us_p50", "event p50 µs", Plain, 0),
            Column("event_us_p99", "event p99 µs", Plain, 0),
        ],
        Plan::Flat => {
            let mut all = cpu_of_events();
            all.insert(2, Column("cpu_us_per_event", "× the fewest", TimesFirst, 2));
            all.extend([
                Column("kib_per_stream", "KiB/stream", Plain, 1),
                Column("kib_per_stream", "× nginx", TimesNginx, 2),
            ]);
            all
        }
        Plan::Burst => vec![
            Column("before_mib", "before", Plain, 1),
            Column("open_mib", "open", Plain, 1),
            Column("after_1_s", "+1 s", Plain, 1),
            Column("after_5_s", "+5 s", Plain, 1),
            Column("after_15_s", "+15 s", Plain, 1),
            Column("open_again_mib", "open again", Plain, 1),
            Column("again_after_15_s", "+15 s", Plain, 1),
            Column("times_before", "× before", Plain, 2),
        ],
        _ => vec![
            Column("process_mib", "process MiB", Plain, 1),
            Column("cpu_us_per_request", "CPU µs/request", Plain, 1),
            Column("cpu_us_per_request", "× the least", TimesFirst, 2),
            Column("cpu_us_per_request_saturated", "saturated: CPU µs/request", Plain, 1),
            Column("cpu_us_per_request_saturated", "× the least", TimesFirst, 2),
            Column("after_mib", "MiB after", Plain, 1),
        ],
    }
}

/// All samples: by plan, then load and contender, in the order of the rounds. A round that failed holds an empty sample.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<Plan, BTreeMap<(usize, String), Vec<Sample>>>);

impl Results {
    pub(crate) fn push(&mut self, plan: Plan, load: usize, contender: &str, sample: Sample) {
        self.0.entry(plan).or_default().entry((load, contender.to_owned())).or_default().push(sample);
    }

    /// The rounds of one figure of one contender.
    fn rounds(&self, plan: Plan, load: usize, name: &str, figure: &str) -> Vec<Option<f64>> {
        let samples = self.0.get(&plan).and_then(|all| all.get(&(load, name.to_owned())));
        samples.into_iter().flatten().map(|sample| sample.get(figure).copied()).collect()
    }

    /// A figure as a column tells it.
    pub(crate) fn spread(&self, plan: Plan, load: usize, name: &str, figure: &str, told: Told) -> Option<Spread> {
        let own = self.rounds(plan, load, name, figure);
        let against = |load: usize, other: &str, compare: fn(f64, f64) -> f64| {
            let others = self.rounds(plan, load, other, figure);
            own.iter().zip(others).filter_map(|(a, b)| Some(compare((*a)?, b?))).collect()
        };
        Spread::of(match told {
            Told::Plain => own.iter().copied().flatten().collect(),
            Told::TimesNginx => against(load, "nginx", |a, b| a / b),
            Told::OverDirect => against(load, "direct", |a, b| a - b),
            Told::TimesFirst => against(0, name, |a, b| a / b),
        })
    }

    /// A plan's table, as Markdown.
    pub(crate) fn table(&self, plan: Plan, sizes: &Sizes, contenders: &[Contender]) -> String {
        let columns = columns(plan);
        let mut rows = vec![std::iter::once(String::new()).chain(columns.iter().map(|c| c.1.to_owned())).collect()];
        for (load, of_load) in plan.loads(sizes).iter().enumerate() {
            for contender in contenders.iter().filter(|contender| plan.takes(contender)) {
                let mut row = vec![[&*contender.name, of_load].join(if of_load.is_empty() { "" } else { ", " })];
                row.extend(columns.iter().map(|Column(figure, _, told, digits)| {
                    let itself = contender.is_direct() && matches!(told, Told::OverDirect);
                    // The direct way shows what the others are over.
                    let told = if itself { Told::Plain } else { *told };
                    let spread = self.spread(plan, load, &contender.name, figure, told);
                    spread.map_or_else(|| "–".to_owned(), |s| cell(s, *digits, itself))
                }));
                rows.push(row);
            }
        }
        markdown(&rows)
    }

    /// Everything, for machines.
    pub(crate) fn json(&self, contenders: &[Contender], sizes: &Sizes) -> Value {
        let mut plans = serde_json::Map::new();
        for (plan, by_name) in &self.0 {
            let loads = plan.loads(sizes);
            let mut of_plan = serde_json::Map::new();
            for ((load, name), samples) in by_name {
                let mut figures: BTreeMap<&str, Value> = BTreeMap::new();
                for figure in samples.iter().flat_map(|sample| sample.keys()) {
                    figures.entry(figure).or_insert_with(|| {
                        let told = |told| self.spread(*plan, *load, name, figure, told).map(Spread::json);
                        json!({"rounds": self.rounds(*plan, *load, name, figure), "all": told(Told::Plain),
                            "times_nginx": told(Told::TimesNginx), "over_direct": told(Told::OverDirect),
                            "times_first": told(Told::TimesFirst)})
                    });
                }
                let of_load = loads.get(*load).map_or("", String::as_str);
                let row = [name, of_load].join(if of_load.is_empty() { "" } else { ", " });
                of_plan.insert(row, json!(figures));
            }
            plans.insert(plan.name().to_owned(), json!({"load": plan.says(sizes), "contenders": of_plan}));
        }
        let versions: BTreeMap<_, _> = contenders.iter().map(|one| (&one.name, &one.version)).collect();
        json!({"versions": versions, "plans": plans})
    }
}

fn cell(spread: Spread, digits: usize, itself: bool) -> String {
    let Spread { median, min, max } = spread;
    let value = if (max - min).abs() < f64::EPSILON {
        format!("{median:.digits$}")
    } else {
        format!("{median:.digits$} ({min:.digits$}…{max:.digits$})")
    };
    if itself { format!("[{value}]") } else { value }
}

/// Columns of even width, which is a table for people and for Markdown.
fn markdown(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, text) in row.iter().enumerate() {
            let width = width(column);
            // Writing to a String does not fail.
            let _ = if column == 0 { write!(out, "| {text:<width$} ") } else { write!(out, "| {text:>width$} ") };
        }
        out += "|\n";
        if number == 0 {
            for column in 0..row.len() {
                let _ = write!(out, "|{}{}", "-".repeat(width(column) + 1), if column == 0 { "-" } else { ":" });
            }
            out += "|\n";
        }
    }
    out
}
