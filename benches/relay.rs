//! What relaying an event costs: limpid, limpid unobserving, and nginx, in one paired run.
//!
//! ```text
//! cargo bench --bench relay            # 5 rounds of 200 streams × 100 events, 10 ms apart: about 40 s a proxy
//! STREAMS=50 ROUNDS=3 cargo bench --bench relay
//! ALSO=/tmp/limpid-before cargo bench --bench relay    # beside an earlier build
//! ```
//!
//! Each round runs every proxy once, in rotated order, against the same simulated backend in its own process. CPU is the
//! kernel's account of the proxy's process and threads (`/proc/PID/task/*/schedstat`, nanoseconds), so a noisy neighbour
//! costs time but not much CPU. The ratio to nginx is taken round by round and its median printed: machines drift,
//! ratios hold. nginx is used if it is on the PATH (Debian: `apt-get install nginx-light`), with buffering off.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let plan = Plan::from_env();
    let work = std::env::temp_dir().join(format!("limpid-bench-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let result = run(&plan, &work);
    std::fs::remove_dir_all(&work)?;
    result
}

/// How much is run.
struct Plan {
    streams: usize,
    events: usize,
    gap_ms: u64,
    rounds: usize,
}

impl Plan {
    fn from_env() -> Plan {
        let number =
            |name: &str, default: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
        Plan {
            streams: number("STREAMS", 200),
            events: number("EVENTS", 100),
            gap_ms: number("GAP_MS", 10) as u64,
            rounds: number("ROUNDS", 5),
        }
    }
}

/// What one run of one proxy gave.
struct Sample {
    cpu_us_per_event: f64,
    ttft_ms_p50: f64,
    ttft_ms_p99: f64,
}

fn run(plan: &Plan, work: &Path) -> Result<(), Failure> {
    let backend_port = free_port()?;
    let _backend = Process::start(limpid().args(["sim", "--listen", &loopback(backend_port)]), backend_port)?;
    let mut proxies = vec![
        ("direct".to_owned(), None, backend_port),
        limpid_proxy("limpid", limpid(), backend_port, work, &[])?,
        limpid_proxy("limpid, unobserving", limpid(), backend_port, work, &[("LIMPID_OBSERVE__ENABLED", "false")])?,
    ];
    for other in std::env::var("ALSO").unwrap_or_default().split(':').filter(|path| !path.is_empty()) {
        proxies.push(limpid_proxy(other, Command::new(other), backend_port, work, &[])?);
    }
    match nginx(backend_port, work) {
        Ok(proxy) => proxies.push(proxy),
        Err(why) => println!("nginx is left out: {why}"),
    }
    println!(
        "{} streams × {} events, {} ms apart, {} rounds; CPU is user + system of the proxy",
        plan.streams, plan.events, plan.gap_ms, plan.rounds
    );
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for round in 0..plan.rounds {
        for turn in 0..proxies.len() {
            let (name, process, port) = &proxies[(round + turn) % proxies.len()];
            samples.entry(name.clone()).or_default().push(measure(plan, process.as_ref(), *port)?);
        }
        println!("round {} of {} done", round + 1, plan.rounds);
    }
    report(&proxies.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), &samples);
    Ok(())
}

fn report(names: &[&str], samples: &BTreeMap<String, Vec<Sample>>) {
    println!("\n{:<22}{:>14}{:>12}{:>12}{:>12}", "", "CPU µs/event", "× nginx", "TTFT p50", "TTFT p99");
    for name in names {
        let of = |f: fn(&Sample) -> f64| samples[*name].iter().map(f).collect::<Vec<_>>();
        let ratio = samples.get("nginx").map(|nginx| {
            median(samples[*name].iter().zip(nginx).map(|(s, n)| s.cpu_us_per_event / n.cpu_us_per_event).collect())
        });
        let cpu = of(|s| s.cpu_us_per_event);
        let dash = || "–".to_owned();
        println!(
            "{name:<22}{:>14}{:>12}{:>10.2}ms{:>10.2}ms",
            if *name == "direct" { dash() } else { format!("{:.2}", median(cpu)) },
            ratio.filter(|_| *name != "direct").map_or_else(dash, |r| format!("{r:.2}")),
            median(of(|s| s.ttft_ms_p50)),
            median(of(|s| s.ttft_ms_p99)),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the streams through `port` and takes the proxy's CPU before and after.
fn measure(plan: &Plan, proxy: Option<&Process>, port: u16) -> Result<Sample, Failure> {
    let body = format!(
        r#"{{"model":"bench","stream":true,"messages":[],"sim":{{"ttft_ms":50,"gap_ms":{},"tokens":{}}}}}"#,
        plan.gap_ms, plan.events
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let before = proxy.map_or(0, Process::cpu_ns);
    let clients: Vec<_> = (0..plan.streams)
        .map(|_| {
            let request = request.clone();
            std::thread::Builder::new().stack_size(128 * 1024).spawn(move || stream(port, &request))
        })
        .collect();
    let mut events = 0;
    let mut firsts = Vec::new();
    for client in clients {
        let (count, first) = client?.join().map_err(|_| "a client panicked")??;
        events += count;
        firsts.push(first.as_secs_f64() * 1e3);
    }
    let spent = proxy.map_or(0, Process::cpu_ns) - before;
    firsts.sort_by(f64::total_cmp);
    if events < plan.streams * plan.events {
        return Err(format!("only {events} events came").into());
    }
    Ok(Sample {
        cpu_us_per_event: spent as f64 / 1e3 / events as f64,
        ttft_ms_p50: firsts[firsts.len() / 2],
        ttft_ms_p99: firsts[firsts.len() * 99 / 100],
    })
}

/// One stream: how many events came, and when the first that carries text did.
fn stream(port: u16, request: &str) -> Result<(usize, Duration), Failure> {
    let began = Instant::now();
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    socket.write_all(request.as_bytes())?;
    let mut buffer = vec![0; 64 * 1024];
    let (mut events, mut first, mut tail) = (0, None, Vec::new());
    loop {
        let n = socket.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        tail.extend_from_slice(&buffer[..n]);
        while let Some(end) = tail.windows(2).position(|w| w == b"\n\n") {
            let text = String::from_utf8_lossy(&tail[..end]);
            if first.is_none() && text.contains("\"content\":\" ") {
                first = Some(began.elapsed());
            }
            events += 1;
            tail.drain(..end + 2);
        }
    }
    Ok((events, first.ok_or("no event with text came")?))
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

    /// CPU time of the process, its threads and its children, nanoseconds.
    fn cpu_ns(&self) -> u64 {
        processes(self.0.id()).into_iter().map(cpu_ns).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for pid in processes(self.0.id()) {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.0.wait();
    }
}

/// A process and its children: nginx relays in a worker.
fn processes(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid).chain(children.split_whitespace().filter_map(|c| c.parse().ok())).collect()
}

fn cpu_ns(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn limpid() -> Command {
    Command::new(env!("CARGO_BIN_EXE_limpid"))
}

type Contender = (String, Option<Process>, u16);

fn limpid_proxy(
    name: &str,
    mut command: Command,
    backend: u16,
    work: &Path,
    settings: &[(&str, &str)],
) -> Result<Contender, Failure> {
    let port = free_port()?;
    command
        .args(["serve", "--upstream", &format!("http://{}", loopback(backend))])
        .args(["--listen", &loopback(port), "--admin", "127.0.0.1:0"])
        .arg("--exchange-log")
        .arg(work.join(format!("{port}.jsonl")))
        .env("LIMPID_LOG__LEVEL", "warn")
        .envs(settings.iter().copied());
    Ok((name.to_owned(), Some(Process::start(&mut command, port)?), port))
}

fn nginx(backend: u16, work: &Path) -> Result<Contender, Failure> {
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().map(PathBuf::from).find(|p| p.exists());
    let program = program.ok_or("it is not installed")?;
    let port = free_port()?;
    let config = work.join("nginx.conf");
    let work = work.display();
    std::fs::write(
        &config,
        format!(
            "daemon off; worker_processes 2; pid {work}/nginx.pid; error_log {work}/nginx.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path {work}/b; proxy_temp_path {work}/p;\n\
             fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;\n\
             upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n"
        ),
    )?;
    Ok(("nginx".to_owned(), Some(Process::start(Command::new(program).arg("-c").arg(&config), port)?), port))
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
