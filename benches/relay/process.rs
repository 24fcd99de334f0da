//! Processes that are measured, and their end.
//!
//! Each is started in a process group of its own and ended by that group's id when its value goes: after an error, a
//! panic or a signal too. For an end that leaves no time (SIGKILL) there is the warden, a process that knows the ids
//! and ends what is left when the benchmark's end of a pipe closes.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Failure;

/// Ends what the benchmark left, should it die.
pub(crate) struct Warden {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Warden {
    pub(crate) fn start() -> Result<Rc<Warden>, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("warden")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Rc::new(Warden { pipe: child.stdin.take(), child }))
    }

    fn note(&self, sign: char, id: u32) {
        if let Some(mut pipe) = self.pipe.as_ref() {
            // Without a warden all goes on as well.
            let _ = writeln!(pipe, "{sign}{id}");
        }
    }

    /// The warden's whole life.
    pub(crate) fn watch() {
        let mut left: Vec<u32> = Vec::new();
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Some((sign, Ok(id))) = line.split_at_checked(1).map(|(sign, id)| (sign, id.parse())) else { continue };
            left.retain(|&known| known != id);
            if sign == "+" {
                left.push(id);
            }
        }
        for id in left {
            signal(id, Signal::KILL);
        }
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.child.wait();
    }
}

fn signal(group: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // Gone already is what is wanted.
        let _ = kill_process_group(pid, signal);
    }
}

/// A process that is ended with its value.
pub(crate) struct Process {
    child: Child,
    warden: Rc<Warden>,
}

impl Process {
    /// Starts a command and waits until it listens. Its standard error goes to a file, whose last line an error tells.
    pub(crate) async fn start(
        warden: &Rc<Warden>,
        command: &mut Command,
        port: u16,
        log: &Path,
        patience: Duration,
    ) -> Result<Process, Failure> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).spawn()?;
        warden.note('+', child.id());
        let mut process = Process { child, warden: Rc::clone(warden) };
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("it ended with {status}: {}", last_line(log)).into());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(format!("nothing listens on port {port}: {}", last_line(log)).into())
    }

    /// CPU time of the process, its threads and its descendants, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        family(self.child.id()).into_iter().map(cpu_ns).sum()
    }

    /// Resident memory of the process and its descendants, what they share with each other counted once, KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        family(self.child.id()).into_iter().map(pss_kib).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = self.child.id();
        signal(id, Signal::TERM);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        signal(id, Signal::KILL);
        let _ = self.child.wait();
        self.warden.note('-', id);
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.trim_end().lines().next_back().unwrap_or("it said nothing").to_owned()
}

/// A process and its descendants: nginx and LiteLLM relay in workers.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut at = 0;
    while let Some(&id) = all.get(at) {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

fn cpu_ns(id: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn pss_kib(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
