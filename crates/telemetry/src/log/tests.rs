//! What becomes of lines where they cannot be written, and that others go on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use limpid_core::{ExchangeSink as _, Handover};

use super::*;
use crate::fixture::record;

const LONG: Duration = Duration::from_secs(60);

/// Asks until it is so.
fn until(so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < deadline, "not within {LONG:?}");
        std::thread::yield_now();
    }
}

/// A writer that a test holds on to.
#[derive(Clone, Default)]
struct Sink {
    bytes: Arc<Mutex<Vec<u8>>>,
    fail: Arc<Mutex<Option<ErrorKind>>>,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The first half is taken, so that a failing write leaves a torn line.
        let taken = bytes.len().div_ceil(2);
        self.bytes.lock().unwrap().extend_from_slice(&bytes[..taken]);
        match *self.fail.lock().unwrap() {
            Some(kind) if bytes.len() < 400 => Err(kind.into()),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows records to a log that is written to `sink`, and ends it: how many lines were lost at the end.
fn log(sink: &Sink, records: usize, counts: &ExportCounts) -> u64 {
    let (log, mut consumer) = ExchangeLog::with(Writer::to(Box::new(sink.clone())), 100, counts).unwrap();
    (0..records).for_each(|_| consumer.consume(&Arc::new(record())));
    consumer.idle();
    log.shutdown(LONG)
}

/// How the lines of the log ended: sent, and lost by a full queue, by writing and at the end.
fn lines(counts: &ExportCounts) -> [u64; 4] {
    let sent = counts.sent().find(|(what, _)| *what == "log_lines").unwrap().1;
    let lost: Vec<_> = counts.failed().filter(|(what, ..)| *what == "log_lines").map(|(.., n)| n).collect();
    [sent, lost[0], lost[1], lost[2]]
}

#[test]
fn each_record_is_a_line_of_the_log() {
    let (sink, counts) = (Sink::default(), ExportCounts::default());
    assert_eq!(log(&sink, 2, &counts), 0);
    let written = String::from_utf8(sink.bytes.lock().unwrap().clone()).unwrap();
    let all: Vec<serde_json::Value> = written.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["timing"]["ttft_ms"], 100.0);
    assert_eq!(all[1]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(lines(&counts), [2, 0, 0, 0]);
}

#[test]
fn a_full_disk_or_a_closed_pipe_costs_its_lines_and_the_log_goes_on() {
    for fault in [ErrorKind::StorageFull, ErrorKind::BrokenPipe] {
        let (sink, counts) = (Sink::default(), ExportCounts::default());
        let (log, mut consumer) = ExchangeLog::with(Writer::to(Box::new(sink.clone())), 100, &counts).unwrap();
        let mut write = |so_far| {
            consumer.consume(&Arc::new(record()));
            consumer.idle();
            until(|| lines(&counts).iter().sum::<u64>() == so_far);
        };
        *sink.fail.lock().unwrap() = Some(fault);
        write(1);
        write(2);
        *sink.fail.lock().unwrap() = None;
        sink.bytes.lock().unwrap().clear();
        write(3);
        assert_eq!((lines(&counts), log.shutdown(LONG)), ([1, 0, 2, 0], 0), "{fault}");
        let written = sink.bytes.lock().unwrap().clone();
        let begin = usize::from(fault == ErrorKind::StorageFull);
        assert!(written[..begin].iter().all(|b| *b == b'\n'), "after what is torn, a new line");
        assert!(serde_json::from_slice::<serde_json::Value>(&written[begin..]).is_ok(), "{fault}");
    }
}

/// Takes a line now and then, and blocks in between.
struct Stuck {
    go_on: Receiver<()>,
    stuck: Sender<()>,
}

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stuck.send(()).unwrap();
        self.go_on.recv().map_err(|_| io::Error::other("the test has ended"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_pipe_that_nobody_reads_stops_no_other_consumer_and_every_line_is_counted() {
    let counts = ExportCounts::default();
    let (go_on, wait) = channel();
    let (stuck, is_stuck) = channel();
    let writer = Writer::to(Box::new(Stuck { go_on: wait, stuck }));
    let (log, consumer) = ExchangeLog::with(writer, 100, &counts).unwrap();
    let seen = Arc::<AtomicU64>::default();
    let consumers: Vec<Box<dyn RecordConsumer>> = vec![consumer, Box::new(Counting(Arc::clone(&seen)))];
    let (handover, drain) = Handover::new(1_000, consumers, Arc::default());
    let draining = std::thread::spawn(drain);
    handover.finished(Arc::new(record()));
    is_stuck.recv_timeout(LONG).unwrap();
    (1..300).for_each(|_| handover.finished(Arc::new(record())));
    until(|| seen.load(Ordering::Relaxed) == 300);
    assert_eq!(lines(&counts), [0, 199, 0, 0], "one is being written, a hundred wait");
    go_on.send(()).unwrap();
    is_stuck.recv_timeout(LONG).unwrap();
    assert_eq!(lines(&counts), [1, 199, 0, 0]);
    drop(handover);
    draining.join().unwrap();
    assert_eq!(log.shutdown(Duration::ZERO), 100);
    assert_eq!(lines(&counts), [1, 199, 0, 100], "each of the 300 once");
}

struct Counting(Arc<AtomicU64>);

impl RecordConsumer for Counting {
    fn consume(&mut self, _: &Arc<ExchangeRecord>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_log_file_is_added_to_and_one_that_cannot_be_opened_is_an_error() {
    let path = std::env::temp_dir().join(format!("limpid-telemetry-{}.jsonl", std::process::id()));
    let counts = ExportCounts::default();
    let start = |path| {
        let target = LogTarget::File(path, LogRotation::default());
        ExchangeLog::start(target, 100, Clock::system(), &counts)
    };
    for _ in 0..2 {
        let (log, mut consumer) = start(path.clone()).unwrap();
        consumer.consume(&Arc::new(record()));
        assert_eq!(log.shutdown(LONG), 0);
    }
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written.lines().count(), 2);
    assert_eq!(lines(&counts), [2, 0, 0, 0]);
    assert!(start(path.join("below")).is_err());
}
