//! How the values of the standard variables read. An error says why, and never repeats the value.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::super::env::{Env, otel, pairs};
use super::super::faults::{Fault, Origin};
use super::super::reader::Report;
use super::Attributes;

/// A spelling in which a trace crosses processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// W3C's `traceparent` and `tracestate`.
    TraceContext,
    /// W3C's `baggage`.
    Baggage,
}

/// `OTEL_PROPAGATORS`, by default `tracecontext,baggage`; `none` is an empty list. What limpid does not speak, Zipkin's `b3`
/// among it, is a warning each, and the rest of the list holds.
pub(super) fn propagators(env: &Env, report: &mut Report) -> Vec<Propagator> {
    const VARIABLE: &str = "OTEL_PROPAGATORS";
    let names = |text: &str| text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    let Some((names, at)) = otel(env, report, VARIABLE, |text| Ok(names(text))) else {
        return vec![Propagator::TraceContext, Propagator::Baggage];
    };
    let mut all = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        let one = match name.as_str() {
            "tracecontext" => Propagator::TraceContext,
            "baggage" => Propagator::Baggage,
            "none" => continue,
            "b3" | "b3multi" => {
                report.warnings.push(not_spoken(&at, "b3 and b3multi are ignored"));
                continue;
            }
            _ => {
                report.warnings.push(not_spoken(&at, "a name in it is ignored"));
                continue;
            }
        };
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

fn not_spoken(at: &Origin, what: &str) -> Fault {
    Fault {
        at: at.clone(),
        what: what.to_owned(),
        why: "limpid follows and passes on traceparent alone; other fields pass through untouched".to_owned(),
        mend: "take it out, and have clients send tracecontext".to_owned(),
    }
}

/// `OTEL_TRACES_SAMPLER` with its argument, as a ratio. A client's sampled trace is followed in any case.
pub(super) fn sampler(env: &Env, report: &mut Report) -> Option<(f64, Origin)> {
    let ratio = || env.get("OTEL_TRACES_SAMPLER_ARG").map_or(Ok(1.0), |arg| arg.trim().parse::<f64>());
    otel(env, report, "OTEL_TRACES_SAMPLER", |name| match name.trim_start_matches("parentbased_") {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => match ratio() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1".to_owned()),
        },
        _ => Err("limpid has no such sampler".to_owned()),
    })
}

/// Whether `OTEL_…_EXPORTER` asks for OTLP. `prometheus` is always there, and no export.
pub(super) fn exporter(text: &str) -> Result<bool, String> {
    let mut otlp = false;
    for name in text.split(',').map(str::trim) {
        match name {
            "otlp" => otlp = true,
            "none" | "prometheus" => {}
            _ => return Err("limpid exports by otlp, or not at all (none)".to_owned()),
        }
    }
    Ok(otlp)
}

pub(super) fn attributes(text: &str) -> Result<Attributes, String> {
    Ok(pairs(text)?.iter().map(|(name, value)| (Arc::from(name.as_str()), Arc::from(value.as_str()))).collect())
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err("it is not a number of milliseconds above 0".to_owned()),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is not true or false".to_owned()),
    }
}

pub(super) fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| range.contains(n));
    number.ok_or_else(|| match *range.end() {
        usize::MAX => format!("it is not a whole number from {}", range.start()),
        end => format!("it is not a number from {} to {end}", range.start()),
    })
}
