//! `[exchange_log]`: one JSON line for each finished exchange.

use std::fmt;
use std::path::{Path, PathBuf};

use super::kinds::Kind;
use super::reader::Reader;
use super::tree::Item;

/// Where the exchange log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeLog {
    /// A file to append to, or `-` for standard output. Default: absent, no log. Without it records are still counted
    /// and shown; they are only not written down.
    pub file: Option<LogFile>,
}

/// A file, or standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// `-`.
    Stdout,
    /// A path, relative to the working directory.
    Path(PathBuf),
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogFile::Stdout => f.write_str("-"),
            LogFile::Path(path) => path.display().fmt(f),
        }
    }
}

impl ExchangeLog {
    pub(super) fn read(mut r: Reader<'_>) -> ExchangeLog {
        let log = ExchangeLog { file: r.optional("file", |_| Ok(())) };
        r.finish();
        log
    }
}

impl Kind for LogFile {
    const WRITE: &'static str = "write a path, or \"-\" for standard output";

    fn read(item: &Item) -> Result<LogFile, String> {
        match item.text() {
            Some("-") => Ok(LogFile::Stdout),
            Some("") => Err("it is empty".to_owned()),
            Some(path) if path.contains('\0') => Err("it has a NUL".to_owned()),
            Some(path) if path.ends_with('/') || Path::new(path).is_dir() => Err("that is a directory".to_owned()),
            Some(path) => Ok(LogFile::Path(PathBuf::from(path))),
            None => Err(format!("{} is not a path", item.value.name())),
        }
    }

    fn show(&self) -> String {
        match self {
            LogFile::Stdout => "\"-\"".to_owned(),
            LogFile::Path(path) => format!("{:?}", path.to_string_lossy()),
        }
    }
}
