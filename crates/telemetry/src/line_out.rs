//! Whole lines on their way out: to a file, a pipe, a terminal or a socket, each of which may be slow, full or gone.
//!
//! A line is there whole or not at all:
//!
//! - To what is no regular file, lines go in pieces of at most [`ATOMIC`] bytes, none divided that fits. POSIX
//!   (`write(2)`, `pipe(7)`) has such a write done whole or not at all, so nothing that others write to the same pipe comes
//!   between, and the end of the process cuts nothing.
//! - Where the descriptor is non-blocking (`O_NONBLOCK` belongs to the open pipe, so whoever shares it may set it) and full, the
//!   writer waits as a blocking one would.
//! - A regular file that is full in mid-line is cut back to the last line's end. Where that cannot be (an append-only file), the
//!   next line begins on a new one.
//!
//! All of this blocks, so it runs on a thread of its own behind a [`BatchQueue`](limpid_core::BatchQueue). SIGPIPE is ignored
//! by Rust's runtime, hence a reader that has gone is an error (`BrokenPipe`) and no signal.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

/// `PIPE_BUF` on Linux; elsewhere it is 512 at least, and such lines are whole unless others write between.
const ATOMIC: usize = 4096;
/// How long to wait for a full non-blocking descriptor, at first and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// Lines, and where each ends.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Lines {
        Lines { bytes: Vec::with_capacity(bytes), ends: Vec::new() }
    }

    /// Where the next line is written, without its end.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the line.
    pub(crate) fn end_line(&mut self) {
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    /// Adds what is written as it stands, as one line.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all; the room is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The end of the line before the `n`th.
    fn begin(&self, n: usize) -> usize {
        n.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The line after the last of the piece that begins with the `n`th: as many as fit into `most`, but one at least.
    fn piece(&self, n: usize, most: usize) -> usize {
        let begin = self.begin(n);
        let fit = self.ends[n..].iter().take_while(|end| **end - begin <= most).count();
        n + fit.max(1)
    }
}

enum To {
    File(File),
    Stream(Box<dyn Write + Send>),
}

/// Where lines go.
pub struct LineOut {
    to: To,
    /// A regular file; all others may have other writers, and readers that are slow.
    regular: bool,
    /// A line was cut by an error and stands at the end.
    torn: bool,
}

impl LineOut {
    /// To an open file, whatever its kind.
    pub(crate) fn file(file: File) -> LineOut {
        let regular = file.metadata().is_ok_and(|m| m.is_file());
        LineOut { to: To::File(file), regular, torn: false }
    }

    /// To a stream of this process: `io::stdout()` or `io::stderr()`. Their own buffers and locks are passed by, so that a
    /// thread that is stuck here holds nothing that others want.
    pub fn stream<S: AsFd + Write + Send + 'static>(stream: S) -> LineOut {
        match stream.as_fd().try_clone_to_owned() {
            Ok(fd) => LineOut::file(File::from(fd)),
            // Out of descriptors.
            Err(_) => LineOut::to(Box::new(stream)),
        }
    }

    pub(crate) fn to(stream: Box<dyn Write + Send>) -> LineOut {
        LineOut { to: To::Stream(stream), regular: false, torn: false }
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match &self.to {
            To::File(file) => file.metadata(),
            To::Stream(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Writes the lines from the `first`th on. Tells `wrote` how many lines more are out, and now and then, while it waits,
    /// that none is; it gives up without an error when that says false. Fails with the line at which it stopped: those before
    /// it are out, the others are not.
    pub fn write(
        &mut self,
        lines: &Lines,
        first: usize,
        wrote: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), (usize, io::Error)> {
        let most = if self.regular { usize::MAX } else { ATOMIC };
        let mut at = first;
        while at < lines.len() {
            let next = lines.piece(at, most);
            if std::mem::take(&mut self.torn) {
                // It is no line of its own, so it is not counted; with its successor it could be written in part.
                if let (_, Err(error)) = self.put(b"\n", wrote) {
                    self.torn = true;
                    return Err((at, error));
                }
            }
            let (written, result) = self.put(&lines.bytes[lines.begin(at)..lines.begin(next)], wrote);
            let out = lines.begin(at) + written;
            let whole = at + lines.ends[at..next].iter().take_while(|end| **end <= out).count();
            let go_on = whole == at || wrote(whole - at);
            if let Err(error) = result {
                self.cut_back(out - lines.begin(whole), &error);
                return Err((whole, error));
            }
            if !go_on || whole < next {
                return Ok(());
            }
            at = next;
        }
        Ok(())
    }

    /// Writes all, and says how far it came; less without an error if it was to give up.
    fn put(&mut self, bytes: &[u8], wrote: &mut dyn FnMut(usize) -> bool) -> (usize, io::Result<()>) {
        let [mut pause, longest] = AGAIN;
        let mut written = 0;
        while written < bytes.len() {
            let result = match &mut self.to {
                To::File(file) => file.write(&bytes[written..]),
                To::Stream(stream) => stream.write(&bytes[written..]),
            };
            match result {
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if !wrote(0) {
                        return (written, Ok(()));
                    }
                    thread::sleep(pause);
                    pause = longest.min(pause * 2);
                }
                Err(e) => return (written, Err(e)),
            }
        }
        (written, Ok(()))
    }

    /// Takes back the beginning of a line whose rest could not be written: so many bytes.
    fn cut_back(&mut self, torn: usize, error: &io::Error) {
        if torn == 0 {
            return;
        }
        // A reader that has gone took it along.
        self.torn = error.kind() != ErrorKind::BrokenPipe;
        let To::File(file) = &mut self.to else { return };
        if self.regular && take_back(file, torn as u64).is_ok() {
            self.torn = false;
        }
    }
}

/// Cuts so many bytes off the end, which is where the file is written: that of one opened without `O_APPEND` is its offset.
fn take_back(file: &mut File, bytes: u64) -> io::Result<()> {
    let at = file.stream_position()?;
    let len = file.metadata()?.len();
    if at != len || len < bytes {
        // Somebody else has written behind it.
        return Err(ErrorKind::InvalidData.into());
    }
    file.set_len(len - bytes)?;
    file.seek(SeekFrom::Start(len - bytes)).map(drop)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What each write does: takes so many bytes, or fails.
    #[derive(Clone, Default)]
    struct Script {
        steps: Arc<Mutex<VecDeque<Result<usize, ErrorKind>>>>,
        writes: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = match self.steps.lock().unwrap().pop_front() {
                None => bytes.len(),
                Some(Ok(n)) => n.min(bytes.len()),
                Some(Err(kind)) => return Err(kind.into()),
            };
            self.writes.lock().unwrap().push(bytes[..taken].to_vec());
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(all: &[&str]) -> Lines {
        let mut lines = Lines::default();
        for line in all {
            lines.bytes().extend_from_slice(line.as_bytes());
            lines.end_line();
        }
        lines
    }

    /// How many lines were told of, what came of it, and what was written.
    fn write(steps: &[Result<usize, ErrorKind>], l: &Lines, patience: usize) -> (usize, Result<(), usize>, String) {
        let script = Script::default();
        script.steps.lock().unwrap().extend(steps);
        let mut out = LineOut::to(Box::new(script.clone()));
        let (mut told, mut waits) = (0, 0);
        let result = out.write(l, 0, &mut |n| {
            told += n;
            waits += usize::from(n == 0);
            waits <= patience
        });
        let first = result.map_err(|(line, _)| line);
        let mut all = script.writes.lock().unwrap().concat();
        if first.is_err() {
            out.write(&lines(&["next"]), 0, &mut |_| true).unwrap();
            all = script.writes.lock().unwrap().concat();
        }
        (told, first, String::from_utf8(all).unwrap())
    }

    #[test]
    fn a_full_descriptor_is_waited_for_and_no_line_is_torn() {
        use ErrorKind::{Interrupted, WouldBlock};
        let steps = [Err(WouldBlock), Ok(3), Err(WouldBlock), Err(Interrupted), Ok(2), Err(WouldBlock)];
        assert_eq!(write(&steps, &lines(&["one", "two"]), 9), (2, Ok(()), "one\ntwo\n".to_owned()));
        assert_eq!(write(&[Err(WouldBlock); 3], &lines(&["one"]), 2), (0, Ok(()), String::new()), "given up");
    }

    #[test]
    fn an_error_costs_its_lines_and_the_next_begins_on_a_new_one() {
        let l = lines(&["one", "two", "three"]);
        let full = ErrorKind::StorageFull;
        assert_eq!(write(&[Ok(4), Err(full)], &l, 0), (1, Err(1), "one\nnext\n".to_owned()));
        assert_eq!(write(&[Ok(6), Err(full)], &l, 0), (1, Err(1), "one\ntw\nnext\n".to_owned()));
        assert_eq!(write(&[Err(full)], &l, 0), (0, Err(0), "next\n".to_owned()));
        let gone = ErrorKind::BrokenPipe;
        assert_eq!(write(&[Ok(6), Err(gone)], &l, 0).2, "one\ntwnext\n", "the reader that has it is another");
    }

    #[test]
    fn no_piece_for_a_pipe_divides_a_line_that_fits() {
        let (long, huge) = ("x".repeat(1500), "y".repeat(5000));
        let script = Script::default();
        let mut out = LineOut::to(Box::new(script.clone()));
        let l = lines(&[&long, &long, &long, &huge, "z"]);
        out.write(&l, 1, &mut |_| true).unwrap();
        let sizes: Vec<usize> = script.writes.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [3002, 5001, 2]);
    }

    #[test]
    fn a_file_is_cut_back_to_its_last_whole_line() {
        let path = std::env::temp_dir().join(format!("limpid-line-out-{}", std::process::id()));
        std::fs::write(&path, "one\ntw").unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        let mut out = LineOut::file(file);
        out.cut_back(2, &ErrorKind::StorageFull.into());
        out.write(&lines(&["three"]), 0, &mut |_| true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
        std::fs::write(&path, "one\ntwo\nand another's").unwrap();
        out.cut_back(2, &ErrorKind::StorageFull.into());
        out.write(&lines(&["three"]), 0, &mut |_| true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "one\ntwo\nand another's\nthree\n", "what is not ours is left alone");
    }
}
