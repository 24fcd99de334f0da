//! `[log]`: limpid's own log, on standard error.

use super::kinds::named_kind;
use super::reader::Reader;

/// limpid's own log, on standard error. It tells of the process, never of prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least grave line that is written. Default `info`.
    pub level: LogLevel,
    /// Default `text`.
    pub format: LogFormat,
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
    pub(super) fn read(mut r: Reader<'_>) -> Log {
        let log = Log { level: r.value("level", LogLevel::Info), format: r.value("format", LogFormat::Text) };
        r.finish();
        log
    }
}
