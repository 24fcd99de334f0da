//! What telemetry costs: CPU of one request, and of one streamed event, with everything on and with everything off.
//!
//! `cargo bench --bench telemetry`. Both are the same binary behind the same simulated backend; on: metrics, windows,
//! exchange log, own labels, and OTLP spans, metrics and log records to a receiver in this process that takes all; off:
//! `observe.enabled = false`, no log, no export, no admin listener (records, and their hand-over, cannot be turned off).
//! Each round runs both, in turned order; the figures are medians over rounds, the difference is taken round by round.
//! CPU is the kernel's account of the process. After a run it is given time to export what is queued, so that this is
//! in the figure. `PLAN` (`requests`, `streams`; default both), `REQUESTS`, `CONNECTIONS`, `STREAMS`, `EVENTS`, `ROUNDS`
//! change the plan.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

/// How long limpid may take to export what waits: more than both delays below.
const SETTLE: Duration = Duration::from_millis(700);

struct Plan {
    requests: usize,
    connections: usize,
    streams: usize,
    events: usize,
    rounds: usize,
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Failure> {
    let plan = Plan {
        requests: number("REQUESTS", 20_000),
        connections: number("CONNECTIONS", 16),
        streams: number("STREAMS", 200),
        events: number("EVENTS", 100),
        rounds: number("ROUNDS", 5),
    };
    let wanted = std::env::var("PLAN").unwrap_or_default();
    let work = std::env::temp_dir().join(format!("limpid-telemetry-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let result = run(&plan, &wanted, &work);
    std::fs::remove_dir_all(&work)?;
    result
}

fn run(plan: &Plan, wanted: &str, work: &Path) -> Result<(), Failure> {
    let backend = free_port()?;
    let _backend = Process::start(limpid().args(["sim", "--listen", &loopback(backend)]), backend)?;
    let on = proxy(backend, &everything_on(work)?)?;
    let off =
        proxy(backend, &[("LIMPID_OBSERVE__ENABLED", "false".into()), ("LIMPID_ADMIN__ENABLED", "false".into())])?;
    if wanted != "streams" {
        println!("{} requests, {} connections, {} rounds", plan.requests, plan.connections, plan.rounds);
        compare("request", plan.rounds, &on, &off, |port| requests(plan, port))?;
    }
    if wanted != "requests" {
        println!("{} streams x {} events, {} rounds", plan.streams, plan.events, plan.rounds);
        compare("event", plan.rounds, &on, &off, |port| streams(plan, port))?;
    }
    Ok(())
}

/// Runs `load` through both and prints what one unit of it costs. It answers with how many units it was.
fn compare(
    unit: &str,
    rounds: usize,
    on: &Proxy,
    off: &Proxy,
    load: impl Fn(u16) -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let cost = |proxy: &Proxy| -> Result<f64, Failure> {
        let before = proxy.process.cpu_ns();
        let units = load(proxy.port)?;
        std::thread::sleep(SETTLE);
        Ok((proxy.process.cpu_ns() - before) as f64 / 1e3 / units as f64)
    };
    // Connections, label sets and encodings come into being with the first.
    for proxy in [on, off] {
        cost(proxy)?;
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            with.push(cost(on)?);
            without.push(cost(off)?);
        } else {
            without.push(cost(off)?);
            with.push(cost(on)?);
        }
    }
    let pairs = || with.iter().zip(&without);
    let difference = median(pairs().map(|(a, b)| a - b).collect());
    let ratio = median(pairs().map(|(a, b)| a / b).collect());
    println!("  everything on   {:>8.2} us of CPU a {unit}", median(with.clone()));
    println!("  everything off  {:>8.2} us", median(without.clone()));
    println!("  telemetry       {difference:>8.2} us, x {ratio:.2}\n");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Short requests that are not streamed, one after another on each of some kept connections.
fn requests(plan: &Plan, port: u16) -> Result<usize, Failure> {
    let request = chat(r#""stream":false,"sim":{"ttft_ms":0,"gap_ms":0,"tokens":8}"#, "");
    let each = plan.requests.div_ceil(plan.connections);
    all((0..plan.connections).map(|_| {
        let request = request.clone();
        move || -> Result<usize, Failure> {
            let mut socket = connect(port)?;
            let mut buffer = Vec::new();
            for _ in 0..each {
                socket.write_all(request.as_bytes())?;
                read_reply(&mut socket, &mut buffer)?;
            }
            Ok(each)
        }
    }))
}

/// Streams side by side, 10 ms between events.
fn streams(plan: &Plan, port: u16) -> Result<usize, Failure> {
    let sim = format!(r#""stream":true,"sim":{{"ttft_ms":50,"gap_ms":10,"tokens":{}}}"#, plan.events);
    let request = chat(&sim, "Connection: close\r\n");
    all((0..plan.streams).map(|_| {
        let request = request.clone();
        move || -> Result<usize, Failure> {
            let mut socket = connect(port)?;
            socket.write_all(request.as_bytes())?;
            let mut reply = Vec::new();
            socket.read_to_end(&mut reply)?;
            Ok(reply.windows(6).filter(|w| w == b"data: ").count())
        }
    }))
}

/// Runs each on a thread of its own; the sum of what they answer.
fn all<F>(work: impl Iterator<Item = F>) -> Result<usize, Failure>
where
    F: FnOnce() -> Result<usize, Failure> + Send + 'static,
{
    let thread = |run: F| {
        std::thread::Builder::new().stack_size(128 * 1024).spawn(move || run().map_err(|error| error.to_string()))
    };
    let threads = work.map(thread).collect::<Result<Vec<_>, _>>()?;
    threads.into_iter().try_fold(0, |sum, t| Ok(sum + t.join().map_err(|_| "a client panicked")??))
}

fn chat(members: &str, fields: &str) -> String {
    let body = format!(
        r#"{{"model":"bench","messages":[{{"role":"user","content":"Hello"}}],"metadata":{{"template_id":"greet"}},{members}}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nX-Segment: gold\r\n\
         Authorization: Bearer sk-bench\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn connect(port: u16) -> Result<TcpStream, Failure> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(socket)
}

/// Reads a message with a `Content-Length` or chunks; nothing may follow it. Answers with its head.
fn read_reply(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<String, Failure> {
    buffer.clear();
    let mut piece = [0; 16 * 1024];
    loop {
        let n = socket.read(&mut piece)?;
        if n == 0 {
            return Err("the connection ended".into());
        }
        buffer.extend_from_slice(&piece[..n]);
        let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if length.map_or_else(|| buffer.ends_with(b"0\r\n\r\n"), |length| buffer.len() >= end + 4 + length) {
            return Ok(head);
        }
    }
}

/// An OTLP receiver over HTTP that takes everything.
fn receiver() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = Vec::new();
                while read_reply(&mut socket, &mut buffer).is_ok() {
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                    if socket.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(endpoint)
}

type Setting = (&'static str, String);

fn everything_on(work: &Path) -> Result<Vec<Setting>, Failure> {
    Ok(vec![
        ("LIMPID_ADMIN__LISTEN", "127.0.0.1:0".into()),
        ("LIMPID_EXCHANGE_LOG__FILE", work.join("exchanges.jsonl").display().to_string()),
        ("LIMPID_LABELS__SEGMENT__FROM", "header:x-segment".into()),
        ("LIMPID_LABELS__TEMPLATE_ID__FROM", "metadata:template_id".into()),
        ("LIMPID_TELEMETRY__ENDPOINT", receiver()?),
        ("LIMPID_TELEMETRY__LOGS", "true".into()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500".into()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".into()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200".into()),
    ])
}

struct Proxy {
    process: Process,
    port: u16,
}

fn proxy(backend: u16, settings: &[Setting]) -> Result<Proxy, Failure> {
    let port = free_port()?;
    let mut command = limpid();
    command
        .args(["serve", "--upstream", &format!("http://{}", loopback(backend)), "--listen", &loopback(port)])
        .env("LIMPID_LOG__LEVEL", "warn")
        .envs(settings.iter().map(|(name, value)| (name, value)));
    Ok(Proxy { process: Process::start(&mut command, port)?, port })
}

/// A process that is ended with its value.
struct Process(Child);

impl Process {
    /// Starts a command and waits until it listens.
    fn start(command: &mut Command, port: u16) -> Result<Process, Failure> {
        let process = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(process);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Err(format!("nothing listens on port {port}").into())
    }

    /// CPU time of all its threads, nanoseconds.
    fn cpu_ns(&self) -> u64 {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.0.id())) else { return 0 };
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn limpid() -> Command {
    Command::new(env!("CARGO_BIN_EXE_limpid"))
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
