//! The exchange log's file: when it is opened again, and when it is put aside.
//!
//! Before each block of lines the file's name is looked up. If it is gone or stands for another file, somebody has
//! moved the log away (logrotate), and a new one is begun: no line is lost, and no signal is needed. limpid's own
//! rotation puts the log aside as `name.1`, the one before as `name.2`, and so on up to the number that is kept. What is
//! no regular file (a pipe, `/dev/stderr`) is left alone. A named pipe is opened with its first line, and anew when its
//! reader has gone: either waits for a reader.

use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use limpid_core::Clock;

use crate::line_out::LineOut;

/// When a log is put aside, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRotation {
    /// Before it would be larger than this, bytes. Default: never for its size.
    pub size: Option<u64>,
    /// With the first line when it is older than this. Default: never for its age.
    pub age: Option<Duration>,
    /// How many logs that were put aside are kept. Default 5.
    pub keep: usize,
}

impl Default for LogRotation {
    fn default() -> LogRotation {
        LogRotation { size: None, age: None, keep: 5 }
    }
}

/// The open file.
pub(crate) struct LogFile {
    path: PathBuf,
    file: Option<LineOut>,
    /// When the file came into being.
    since: SystemTime,
    rotation: LogRotation,
    clock: Clock,
    reopen: Arc<AtomicBool>,
}

impl LogFile {
    pub(crate) fn open(path: PathBuf, rotation: LogRotation, clock: Clock) -> io::Result<LogFile> {
        let since = clock.wall(clock.now());
        let mut log = LogFile { path, file: None, since, rotation, clock, reopen: Arc::default() };
        if !log.is_named_pipe() {
            log.begin()?;
        }
        Ok(log)
    }

    /// Set it, and the file is opened again before the next line.
    pub(crate) fn reopen(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reopen)
    }

    /// Sees to it that `more` bytes can be written to the right file. On an error there is none. Returns why it was not put
    /// aside although it should have been.
    pub(crate) fn ready(&mut self, more: usize) -> io::Result<Option<io::Error>> {
        let asked = self.reopen.swap(false, Ordering::AcqRel);
        if asked || self.is_moved()? {
            self.begin()?;
        }
        if !self.is_due(more)? {
            return Ok(None);
        }
        match put_aside(&self.path, self.rotation.keep) {
            Ok(()) => self.begin().map(|()| None),
            Err(error) => Ok(Some(error)),
        }
    }

    /// The file, which is there after [`LogFile::ready`].
    pub(crate) fn out(&mut self) -> io::Result<&mut LineOut> {
        self.file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Its reader has gone: whether that was one of a named pipe, which is opened again before the next line.
    pub(crate) fn forget_reader(&mut self) -> bool {
        let named = self.is_named_pipe();
        if named {
            self.file = None;
        }
        named
    }

    fn is_named_pipe(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|m| m.file_type().is_fifo())
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file = None;
        if self.is_named_pipe() {
            tracing::info!(file = %self.path.display(), "the exchange log is a pipe: opening it waits for a reader");
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let now = self.clock.wall(self.clock.now());
        let metadata = file.metadata()?;
        // Not every file system tells when a file was made.
        let made = metadata.created().or_else(|_| metadata.modified()).unwrap_or(now);
        self.since = if metadata.len() == 0 { now } else { made };
        self.file = Some(LineOut::file(file));
        Ok(())
    }

    /// Whether the name no longer stands for the open file.
    fn is_moved(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(true) };
        let open = file.metadata()?;
        if !open.is_file() {
            return Ok(false);
        }
        let identity = |m: &Metadata| (m.dev(), m.ino());
        match fs::metadata(&self.path) {
            Ok(named) => Ok(identity(&named) != identity(&open)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether the file has to be put aside first. An empty one never has.
    fn is_due(&self, more: usize) -> io::Result<bool> {
        let LogRotation { size, age, .. } = self.rotation;
        let Some(file) = self.file.as_ref().filter(|_| size.is_some() || age.is_some()) else { return Ok(false) };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(false);
        }
        let old = self.clock.wall(self.clock.now()).duration_since(self.since).unwrap_or_default();
        let too_large = size.is_some_and(|size| metadata.len().saturating_add(more as u64) > size);
        Ok(too_large || age.is_some_and(|age| old >= age))
    }
}

/// `name` becomes `name.1`, `name.1` becomes `name.2`; what is beyond `keep` is removed.
fn put_aside(path: &Path, keep: usize) -> io::Result<()> {
    // Should fewer be kept than before, the rest goes too.
    let mut beyond = keep.max(1);
    while gone_or(fs::remove_file(numbered(path, beyond)))? {
        beyond += 1;
    }
    if keep == 0 {
        return fs::remove_file(path);
    }
    for n in (1..keep).rev() {
        gone_or(fs::rename(numbered(path, n), numbered(path, n + 1)))?;
    }
    fs::rename(path, numbered(path, 1))
}

/// Whether it was there.
fn gone_or(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn numbered(path: &Path, n: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line_out::Lines;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("limpid-log-{name}-{}", std::process::id()));
            drop(fs::remove_dir_all(&path));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("x.jsonl")
        }

        /// Names and contents, less the common beginning.
        fn all(&self) -> Vec<(String, String)> {
            let mut all: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|e| e.unwrap().path())
                .map(|p| (p.file_name().unwrap().to_string_lossy()[7..].to_owned(), fs::read_to_string(p).unwrap()))
                .collect();
            all.sort();
            all
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[derive(Debug)]
    struct Put {
        /// It went to another file than what was put before.
        fresh: bool,
        stuck: Option<io::Error>,
    }

    fn put(log: &mut LogFile, text: &str) -> Put {
        let identity = |log: &mut LogFile| log.out().unwrap().metadata().unwrap().ino();
        let before = identity(log);
        let stuck = log.ready(text.len()).unwrap();
        let mut lines = Lines::default();
        lines.push(text.as_bytes());
        log.out().unwrap().write(&lines, 0, &mut |_| true).unwrap();
        Put { fresh: identity(log) != before, stuck }
    }

    fn pairs<const N: usize>(all: [(&str, &str); N]) -> Vec<(String, String)> {
        all.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    }

    #[test]
    fn a_full_log_is_put_aside_and_only_so_many_are_kept() {
        let folder = Folder::new("size");
        let rotation = LogRotation { size: Some(8), keep: 2, ..LogRotation::default() };
        fs::write(folder.0.join("x.jsonl.3"), "from when more were kept").unwrap();
        let mut log = LogFile::open(folder.log(), rotation, Clock::system()).unwrap();
        for text in ["aaaa", "bbbb", "cccc", "larger than the bound", "dddd"] {
            put(&mut log, text);
        }
        assert_eq!(folder.all(), pairs([("", "dddd"), (".1", "larger than the bound"), (".2", "cccc")]));
        let mut log = LogFile::open(folder.log(), LogRotation { keep: 0, ..rotation }, Clock::system()).unwrap();
        put(&mut log, "eeeee");
        assert_eq!(folder.all()[0], (String::new(), "eeeee".to_owned()));
        assert_eq!(folder.all().len(), 1, "what was kept before goes with the first that is put aside");
    }

    #[test]
    fn an_old_log_is_put_aside_with_its_next_line() {
        let folder = Folder::new("age");
        let clock = Clock::manual(SystemTime::now());
        let rotation = LogRotation { age: Some(Duration::from_secs(3600)), ..LogRotation::default() };
        let mut log = LogFile::open(folder.log(), rotation, clock.clone()).unwrap();
        clock.advance(Duration::from_secs(7200));
        assert!(!put(&mut log, "a").fresh, "an empty log is not put aside");
        let mut log = LogFile::open(folder.log(), rotation, clock.clone()).unwrap();
        assert!(put(&mut log, "b").fresh, "a restart does not make it younger");
        clock.advance(Duration::from_secs(3599));
        assert!(!put(&mut log, "c").fresh);
        clock.advance(Duration::from_secs(1));
        assert!(put(&mut log, "d").fresh);
        assert_eq!(folder.all(), pairs([("", "d"), (".1", "bc"), (".2", "a")]));
    }

    #[test]
    fn a_log_that_was_moved_or_asked_for_is_opened_again() {
        let folder = Folder::new("moved");
        let mut log = LogFile::open(folder.log(), LogRotation::default(), Clock::system()).unwrap();
        put(&mut log, "a");
        fs::rename(folder.log(), folder.0.join("x.jsonl-old")).unwrap();
        assert!(put(&mut log, "b").fresh);
        fs::remove_file(folder.log()).unwrap();
        fs::write(folder.log(), "new:").unwrap();
        put(&mut log, "c");
        log.reopen().store(true, Ordering::Release);
        put(&mut log, "d");
        assert!(!log.reopen().load(Ordering::Acquire), "it was done");
        put(&mut log, "e");
        assert_eq!(folder.all(), pairs([("", "new:cde"), ("-old", "a")]));
    }

    #[test]
    fn a_log_that_cannot_be_put_aside_goes_on() {
        let folder = Folder::new("stuck");
        let rotation = LogRotation { size: Some(1), keep: 1, ..LogRotation::default() };
        let mut log = LogFile::open(folder.log(), rotation, Clock::system()).unwrap();
        put(&mut log, "a");
        // A folder stands where the log should go.
        fs::create_dir(folder.0.join("x.jsonl.1")).unwrap();
        assert!(put(&mut log, "b").stuck.is_some());
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), "ab");
    }
}
