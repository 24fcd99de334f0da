//! `[log]`: limpid's own log, on standard error.
//!
//! `RUST_LOG` is a standard variable as the `OTEL_*` ones are: it holds where no setting does, and one that does not read is
//! a warning. `limpid check` shows which won.

use tracing_subscriber::EnvFilter;

use super::env::{Env, otel};
use super::faults::Origin;
use super::kinds::named_kind;
use super::reader::Reader;

/// limpid's own log, on standard error. It tells of the process, never of prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least grave line that is written. Default `info`.
    pub level: LogLevel,
    /// Default `text`.
    pub format: LogFormat,
    /// Which lines are written, as `RUST_LOG` has it: by `level`, if that is set, else `RUST_LOG` itself, else by the
    /// default of `level`. The libraries below limpid speak only from `warn` on, unless `RUST_LOG` says otherwise.
    pub filter: String,
}

named_kind! {
    /// How grave a line must be to be written.
    LogLevel, "write \"error\", \"warn\", \"info\", \"debug\" or \"trace\"" {
        /// Only what failed.
        Error = "error",
        /// And what may fail soon.
        Warn = "warn",
        /// And what the process does.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

named_kind! {
    /// The shape of a line.
    LogFormat, "write \"text\" or \"json\"" {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

impl Log {
    pub(super) fn read(env: &Env, mut r: Reader<'_>) -> Log {
        let (level, origin) = r.value_and_origin("level", (LogLevel::Info, Origin::Default), |_| Ok(()));
        let format = r.value("format", LogFormat::Text);
        let asked = otel(env, r.report, "RUST_LOG", |text| match EnvFilter::try_new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("it is no list of targets and levels, such as warn,limpid=debug".to_owned()),
        });
        // A target's name is a prefix, so this one stands for every room.
        let by_level = format!("warn,limpid={}", level.as_str());
        let (filter, why) = match asked {
            Some((filter, variable)) if origin == Origin::Default => (filter, variable),
            Some(_) => (by_level, Origin::Derived("from level, which wins over RUST_LOG")),
            None => (by_level, Origin::Derived("from level")),
        };
        r.explain("lines written", filter.clone(), why);
        r.finish();
        Log { level, format, filter }
    }
}
