//! `[exchange_log]`: one JSON line for each finished exchange.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kinds::{Kind, Size};
use super::reader::{Reader, Refused};
use super::tree::Item;

/// Where the exchange log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeLog {
    /// A file to append to, or `-` for standard output. Default: absent, no log. Without it records are still counted
    /// and shown; they are only not written down.
    pub file: Option<LogFile>,
    /// Put aside before it is larger. Default: absent, never for its size.
    pub rotate_size: Option<usize>,
    /// Put aside with the first line when it is older. Default: absent, never for its age.
    pub rotate_age: Option<Duration>,
    /// How many logs that were put aside (`FILE.1`, the newest, and so on) are kept. Default 5.
    pub keep: usize,
    /// How many finished records may wait to be written. Default 8192. When it is full, because a disk is slow or nobody
    /// reads, their lines are lost and counted; nothing else waits.
    pub queue: usize,
}

/// The least size to rotate at. Lines are written in blocks of up to a quarter of it, and a block is not divided.
const MIN_ROTATE: usize = 256 << 10;

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
        let file = r.optional("file", |_| Ok(()));
        let size = r.optional("rotate_size", |size: &Size| match size.0 {
            MIN_ROTATE.. => Ok(()),
            _ => Err(Refused::new("the least is 256KiB", "write a size such as \"100MiB\"")),
        });
        let log = ExchangeLog {
            file,
            rotate_size: size.map(|size| size.0),
            rotate_age: r.optional("rotate_age", |age: &Duration| match age.as_secs() {
                60.. => Ok(()),
                _ => Err(Refused::new("the least is a minute", "write a duration such as \"1day\"")),
            }),
            keep: r.count("keep", 5, 0..=1000),
            queue: r.count("queue", 8192, 1..=1_000_000),
        };
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
