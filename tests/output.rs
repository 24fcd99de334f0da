//! What becomes of limpid when its own output cannot be written: nothing. The real binary, with standard error or output
//! blocked, full, gone or non-blocking, and signals that end other processes.
//!
//! Each pipe is filled before limpid starts, so that its first line is stuck already.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _, pipe};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// For anything that a machine under load may take long for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where nobody listens.
const DEAD: &str = "http://127.0.0.1:1";

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("output-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Some(answer) => return answer,
            None => assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A pipe in which there is no more room, and what reads it.
fn full_pipe() -> (File, File) {
    let (reader, writer) = pipe().unwrap();
    let (reader, mut writer) =
        (File::from(std::os::fd::OwnedFd::from(reader)), std::os::fd::OwnedFd::from(writer).into());
    non_blocking(&writer, true);
    while File::write(&mut writer, &[b'x'; 4096]).is_ok() {}
    non_blocking(&writer, false);
    (reader, writer)
}

fn non_blocking(file: &File, on: bool) {
    rustix::io::ioctl_fionbio(file, on).unwrap();
}

struct Limpid {
    child: Child,
    folder: PathBuf,
}

impl Limpid {
    fn start(args: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Limpid {
        let folder = folder();
        let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
        command.env_clear().args(args).current_dir(&folder).stdin(Stdio::null());
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        Limpid { child, folder }
    }

    /// `limpid serve` in front of nothing.
    fn serve(more: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Limpid {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", DEAD];
        Limpid::start(&[&fixed[..], &["--addresses-file", "addresses.json"], more].concat(), stdout, stderr)
    }

    fn address(&mut self, name: &str) -> SocketAddr {
        until("the addresses file", || {
            assert_eq!(self.child.try_wait().unwrap(), None, "it must not end");
            let addresses = std::fs::read(self.folder.join("addresses.json")).ok()?;
            let addresses: Value = serde_json::from_slice(&addresses).ok()?;
            addresses[name].as_str()?.parse().ok()
        })
    }

    fn ask(&mut self, listener: &str, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// So many requests, each of which is answered: 502, for the upstream is dead.
    fn fail(&mut self, requests: u32) {
        for _ in 0..requests {
            let body = r#"{"model":"m"}"#;
            let reply = self.ask(
                "data",
                &format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
            );
            assert!(reply.starts_with("HTTP/1.1 502"), "{reply}");
        }
    }

    fn metric(&mut self, name: &str, label: &str) -> f64 {
        let text = self.ask("admin", "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let ours = text.lines().filter(|l| l.starts_with(name) && l.contains(label));
        ours.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        until("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Limpid {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who reads, if anybody does, and what is written to.
type Way = fn() -> (Option<File>, File);

#[test]
fn no_state_of_standard_error_stops_or_ends_limpid() {
    let ways: [(&str, Way); 4] = [
        ("nobody reads", || {
            let (reader, writer) = full_pipe();
            (Some(reader), writer)
        }),
        ("full and non-blocking", || {
            let (reader, writer) = full_pipe();
            non_blocking(&writer, true);
            (Some(reader), writer)
        }),
        ("the reader has gone", || (None, full_pipe().1)),
        ("a full disk", || (None, OpenOptions::new().write(true).open("/dev/full").unwrap())),
    ];
    for (way, make) in ways {
        let (_reader, stderr) = make();
        let mut limpid = Limpid::serve(&[], Stdio::null(), stderr);
        limpid.fail(60);
        assert!(until("all are counted", || {
            let n = limpid.metric("limpid_requests_total", "");
            (n >= 60.0).then_some(true)
        }));
        assert_eq!(limpid.stop().code(), Some(0), "{way}");
    }
}

#[test]
fn the_log_goes_on_when_it_is_read_again_and_what_repeats_is_summed_up() {
    let (mut reader, stderr) = full_pipe();
    let mut limpid = Limpid::serve(&[], Stdio::null(), stderr);
    limpid.fail(60);
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        String::from_utf8(all).unwrap()
    });
    assert_eq!(limpid.stop().code(), Some(0));
    let all = reading.join().unwrap();
    let log = all.trim_start_matches('x');
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("WARN connect failed"), count("more=50")), (10, 1), "{log}");
    assert_eq!((count("data listener"), count("stopped")), (1, 1), "{log}");
}

#[test]
fn a_full_disk_under_the_log_is_counted() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut limpid = Limpid::serve(&[], Stdio::null(), full);
    limpid.fail(1);
    until("the count", || (limpid.metric("limpid_log_dropped_total", "\"write\"") >= 4.0).then_some(()));
    assert_eq!(limpid.stop().code(), Some(0));
}

#[test]
fn an_exchange_log_that_nobody_reads_costs_its_own_lines_and_they_are_all_counted() {
    let (mut reader, stdout) = full_pipe();
    let own = folder();
    let stderr = File::create(own.join("stderr")).unwrap();
    let mut limpid = Limpid::serve(&["--exchange-log", "-"], stdout, stderr);
    limpid.fail(40);
    until("the metrics go on", || (limpid.metric("limpid_requests_total", "") >= 40.0).then_some(()));
    assert!(limpid.metric("limpid_export_sent_total", "log_lines") < 0.5);
    assert_eq!(limpid.stop().code(), Some(0));
    let told = std::fs::read_to_string(own.join("stderr")).unwrap();
    assert!(told.contains("log_lines_lost=40"), "{told}");
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all.trim_start_matches('x'), "", "none of them, and none in part");
}

#[test]
fn an_exchange_log_goes_on_when_it_is_read_again() {
    for lasting in [false, true] {
        let (mut reader, stdout) = full_pipe();
        non_blocking(&stdout, lasting);
        let mut limpid = Limpid::serve(&["--exchange-log", "-"], stdout, Stdio::null());
        limpid.fail(40);
        let reading = std::thread::spawn(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).unwrap();
            all
        });
        until("the lines", || (limpid.metric("limpid_export_sent_total", "log_lines") >= 40.0).then_some(()));
        assert_eq!(limpid.stop().code(), Some(0));
        let all = reading.join().unwrap();
        let lines: Vec<Value> =
            all.trim_start_matches('x').lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 40);
    }
}

#[test]
fn signals_that_end_others_do_not_end_it() {
    const HARMLESS: [&str; 6] = ["HUP", "USR1", "USR2", "ALRM", "IO", "XFSZ"];
    let own = folder();
    let stderr = || File::create(own.join("stderr")).unwrap();
    let read = || std::fs::read_to_string(own.join("stderr")).unwrap();
    let mut limpid = Limpid::serve(&[], Stdio::null(), stderr());
    limpid.fail(1);
    for name in HARMLESS {
        limpid.signal(name);
    }
    until("its line", || read().contains("SIGHUP: nothing is done").then_some(()));
    limpid.fail(1);
    assert_eq!(limpid.stop().code(), Some(0));
    for (args, begun) in [
        (&["sim", "--listen", "127.0.0.1:0"][..], "listens on"),
        (&["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], "dashboard is at"),
    ] {
        let mut limpid = Limpid::start(args, Stdio::null(), stderr());
        until("its first line", || read().contains(begun).then_some(()));
        for name in HARMLESS {
            limpid.signal(name);
        }
        until("its line", || read().contains("SIGHUP: nothing is done").then_some(()));
        assert_eq!(limpid.stop().code(), Some(0), "{args:?}");
    }
}
