//! The chart: an SVG of plain bars, one panel for each question, written without a library.
//!
//! A bar is the median of the rounds, the thin line its least and most. Each panel has a scale of its own that begins
//! at 0; limpid's bars are coloured.

use std::fmt::Write;

use crate::contenders::Contender;
use crate::plans::Plan;
use crate::report::{Results, Spread, Told};
use crate::sizes::Sizes;

/// A panel: its plan, figure, how it is told, heading, and what divides the value.
const PANELS: [(Plan, &str, Told, &str, f64); 9] = [
    (Plan::Streams, "cpu_us_per_event", Told::Plain, "streams: CPU per event, µs", 1.0),
    (Plan::Streams, "event_us_p99", Told::OverDirect, "streams: added latency of an event, p99, ms", 1000.0),
    (Plan::Streams, "ttft_us_p99", Told::OverDirect, "streams: added time to first token, p99, ms", 1000.0),
    (Plan::Requests, "cpu_us_per_request", Told::Plain, "requests at a fixed rate: CPU per request, µs", 1.0),
    (Plan::Requests, "request_us_p99", Told::OverDirect, "requests at a fixed rate: added time, p99, ms", 1000.0),
    (Plan::Requests, "requests_per_s", Told::Plain, "requests a second at saturation (more is better)", 1.0),
    (Plan::Idle, "kib_per_stream", Told::Plain, "idle: memory per open stream, KiB", 1.0),
    (Plan::Scale, "cpu_us_per_event", Told::Plain, "scale: CPU per event, µs", 1.0),
    (Plan::Gentle, "cpu_us_per_event", Told::Plain, "gentle: CPU per event, µs", 1.0),
];

const COLUMNS: usize = 3;
const WIDTH: usize = 400;
const LABEL: usize = 130;
/// What a value's text takes to the right of the longest bar.
const VALUE: usize = 60;
const ROW: usize = 20;

/// Draws what there is.
pub(crate) fn svg(results: &Results, contenders: &[Contender], sizes: &Sizes, caption: &str) -> String {
    let height = 58 + ROW * contenders.len();
    let (mut body, mut at) = (String::new(), 0);
    for (plan, figure, told, heading, unit) in PANELS {
        let bars: Vec<(&str, Spread)> = contenders
            .iter()
            // The direct way has no CPU and is what differences are taken to; at saturation it is the ceiling.
            .filter_map(|one| Some((one.name.as_str(), results.spread(plan, 0, &one.name, figure, told)?)))
            .filter(|(name, _)| *name != "direct" || figure == "requests_per_s")
            .map(|(name, s)| (name, Spread { median: s.median / unit, min: s.min / unit, max: s.max / unit }))
            .collect();
        if bars.is_empty() {
            continue;
        }
        let (x, y) = (at % COLUMNS * WIDTH, 50 + at / COLUMNS * height);
        let _ = write!(body, "<g transform=\"translate({x} {y})\">");
        panel(&mut body, heading, &plan.says(sizes), &bars);
        body += "</g>\n";
        at += 1;
    }
    let (width, total) = (COLUMNS * WIDTH, 50 + at.div_ceil(COLUMNS) * height);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total}\" viewBox=\"0 0 {width} {total}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"15\" font-weight=\"600\">{}</text>\n{body}</svg>\n",
        escape(caption)
    )
}

fn panel(out: &mut String, heading: &str, load: &str, bars: &[(&str, Spread)]) {
    let _ = write!(out, "<text x=\"16\" y=\"14\" font-weight=\"600\">{}</text>", escape(heading));
    let _ = write!(out, "<text x=\"16\" y=\"29\" font-size=\"10\" fill=\"#666\">{}</text>", escape(load));
    // A bar far beyond the others is cut, so that these can be told apart.
    let mut medians: Vec<f64> = bars.iter().map(|(_, bar)| bar.median).collect();
    medians.sort_by(f64::total_cmp);
    let (last, before) = (medians[medians.len() - 1], medians[medians.len().saturating_sub(2)]);
    let top = if last > 4.0 * before && before > 0.0 { before * 1.6 } else { last }.max(f64::MIN_POSITIVE);
    // Room for the thin lines, unless one is far out.
    let top = bars.iter().map(|(_, bar)| bar.max).fold(top, f64::max).min(top * 1.5);
    let room = (WIDTH - LABEL - VALUE - 16) as f64;
    let x = |value: f64| (value.clamp(0.0, top) / top).mul_add(room, LABEL as f64);
    for (row, (name, bar)) in bars.iter().enumerate() {
        let y = 38 + row * ROW;
        let colour = if name.contains("limpid") { "#0b7a75" } else { "#9aa5b1" };
        let cut = if bar.median > top { " (cut)" } else { "" };
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>\
             <path d=\"M{:.1} {} H{:.1}\" stroke=\"#222\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}{cut}</text>",
            LABEL - 6,
            y + 11,
            escape(name.rsplit('/').next().unwrap_or(name)),
            x(bar.median) - LABEL as f64,
            x(bar.min),
            y + 7,
            x(bar.max),
            x(bar.max.max(bar.median)) + 5.0,
            y + 11,
            number(bar.median),
        );
    }
}

/// Three digits or so.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
