//! The real binary, black box: its commands as a shell sees them, and the running proxy as clients and operators see it.
//!
//! Every process listens on ports of the system's choice, has an empty environment, and is ended by the test that
//! started it. Nothing waits for a time to pass: what is expected is asked for until it is there or a deadline is over.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// For anything that a machine under load may take long for.
const PATIENCE: Duration = Duration::from_secs(30);

// --- helpers -------------------------------------------------------------------------------------

fn limpid(args: &[&str], env: Env<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limpid"));
    command.env_clear().envs(env.iter().copied()).args(args).current_dir(folder()).stdin(Stdio::null());
    command
}

/// An empty folder of one's own, so that no `proxy.toml` is found.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(args: &[&str], env: Env<'_>) -> Output {
    limpid(args, env).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Variables and their values.
type Env<'a> = &'a [(&'a str, &'a str)];

/// What it printed, which is JSON, after it ended well.
fn json(args: &[&str]) -> Value {
    let out = run(args, &[]);
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), ""), "{args:?}");
    serde_json::from_slice(&out.stdout).unwrap()
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Asks until there is an answer.
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

/// A process that does not outlive its test.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    fn start(args: &[&str], env: Env<'_>) -> Running {
        let mut command = limpid(args, env);
        let folder = command.get_current_dir().unwrap().to_owned();
        let file = |name| File::create(folder.join(name)).unwrap();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child, folder }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// SIGTERM, and how it ended.
    fn stop(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        until("the end after SIGTERM", || self.child.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `limpid sim`, and where it listens.
fn sim() -> (Running, String) {
    sim_with(&["--ttft", "5ms", "--gap", "1ms", "--tokens", "7"])
}

fn sim_with(schedule: &[&str]) -> (Running, String) {
    let sim = Running::start(&[&["sim", "--listen", "127.0.0.1:0"], schedule].concat(), &[]);
    let url = until("the simulated backend", || {
        let told = sim.read("stderr");
        told.strip_suffix('\n').and_then(|line| Some(line.rsplit_once(' ')?.1.to_owned()))
    });
    (sim, url)
}

/// `limpid serve` with an exchange log on standard output.
struct Proxy {
    process: Running,
    data: SocketAddr,
    admin: SocketAddr,
}

impl Proxy {
    fn start(args: &[&str], env: Env<'_>) -> Proxy {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let more = ["--addresses-file", "addresses.json", "--exchange-log", "-"];
        let mut process = Running::start(&[&fixed[..], &more, args].concat(), env);
        let addresses: Value = until("the addresses file", || {
            assert_eq!(process.child.try_wait().unwrap(), None, "{}", process.read("stderr"));
            serde_json::from_str(&process.read("addresses.json")).ok()
        });
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        Proxy { data: address("data"), admin: address("admin"), process }
    }

    /// The whole lines of the exchange log, once there are so many.
    fn records(&self, n: usize) -> Vec<Value> {
        let lines = until("the exchange log", || {
            let log = self.process.read("stdout");
            let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (lines.len() >= n).then_some(lines)
        });
        assert_eq!(lines.len(), n, "{lines:?}");
        lines
    }

    fn get(&self, path: &str) -> Reply {
        Reply::to(self.admin, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer sk-hush\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Reply::to(self.data, &(head + &body))
    }

    /// The sum of the samples of `/metrics` whose line begins with `name` and holds each of `labels`.
    fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").body;
        let ours = text.lines().filter(|l| l.starts_with(name) && labels.iter().all(|label| l.contains(label)));
        ours.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }
}

/// An HTTP reply; a chunked body is left as it stands.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn to(server: SocketAddr, request: &str) -> Reply {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {reply:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Where nobody listens: a privileged port of a service that nobody runs.
const DEAD: &str = "http://127.0.0.1:1";

fn chat(model: &str) -> Value {
    serde_json::json!({
        "model": model, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "a secret question"}]
    })
}

// --- commands that end by themselves -------------------------------------------------------------

#[test]
fn help_of_every_command_has_an_example() {
    let help = run(&["--help"], &[]);
    let listed = text(&help.stdout).split("Commands:\n").nth(1).unwrap().lines();
    let commands: Vec<&str> =
        listed.take_while(|l| !l.is_empty()).filter_map(|l| l.split_whitespace().next()).collect();
    for known in ["serve", "demo", "sim", "check", "inspect", "price"] {
        assert!(commands.contains(&known), "{known} is not in {commands:?}");
    }
    for command in commands.into_iter().filter(|c| *c != "help").map(Some).chain([None]) {
        let out = limpid(&[], &[]).args(command).arg("--help").output().unwrap();
        assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), ""), "{command:?}");
        let (_, example) = text(&out.stdout).split_once("\nExample").unwrap_or_else(|| panic!("{command:?} has none"));
        assert!(example.contains("\n  limpid "), "{command:?}");
        assert!(example.lines().all(|line| line.chars().count() <= 80), "{command:?} is too wide:{example}");
    }
    let version = run(&["--version"], &[]);
    assert_eq!(text(&version.stdout), format!("limpid {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_input_is_one_line_and_exit_code_1() {
    let own = folder();
    let file = |name: &str, content: &str| {
        std::fs::write(own.join(name), content).unwrap();
        own.join(name).to_str().unwrap().to_owned()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let unknown = file("unknown.toml", "[upstreams.a]\nurl = \"http://a\"\n[server]\nlisen = \"127.0.0.1:0\"\n");
    let broken = file("broken.toml", "[server\n");
    let up = ["--upstream", "http://a", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let free = ("LIMPID_SERVER__LISTEN", "127.0.0.1:0");
    let with = |more: &[&'static str]| [&up[..], more].concat();
    let cases: &[(Vec<&str>, Env<'_>, &str)] = &[
        (vec![], &[], "no upstream"),
        (vec!["--upstream", "nowhere"], &[], "http://"),
        (vec!["--config", "/no/such/file.toml"], &[], "--config"),
        (vec!["--config", &unknown], &[], "unknown.toml:4: unknown setting `server.lisen`"),
        (vec!["check", "--config", &broken], &[], "broken.toml:1: "),
        (
            vec!["check", "--upstream", "http://a"],
            &[("LIMPID_SERVER__LISEN", "x")],
            "did you mean `LIMPID_SERVER__LISTEN`?",
        ),
        (vec!["--upstream", "http://a", "--listen", &taken], &[], "choose another address with --listen"),
        (vec!["--upstream", "http://a", "--admin", &taken], &[free], "choose another address with --admin"),
        (with(&["--exchange-log", "/no/such/folder/log"]), &[], "cannot open the exchange log /no/such/folder/log: "),
        (with(&["--addresses-file", "/no/such/folder/file"]), &[], "cannot write /no/such/folder/file: "),
        (vec!["demo", "--seconds", "1", "--listen", &taken], &[], "choose another address with --listen"),
        (vec!["sim", "--listen", &taken], &[], "cannot listen on"),
        (vec!["sim", "--tokens-per-chunk", "0"], &[], "tokens_per_chunk must be"),
        (vec!["inspect", "--endpoint", "chat", "/no/such/file"], &[], "cannot read /no/such/file: "),
        (vec!["price", "no-such-model"], &[], "no price is known"),
        (vec!["price", "gpt4o-mini"], &[], "did you mean"),
        (vec!["price", "gpt-4o-mini", "--usage", "{\"input_token\":1}"], &[], "unknown field `input_token`"),
    ];
    for (args, env, expected) in cases {
        let out = run(args, env);
        let told = text(&out.stderr);
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(1), ""), "{args:?}: {told}");
        assert_eq!(told.lines().count(), 1, "{args:?}: {told}");
        assert!(told.contains(expected), "{args:?}: {told}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in
        [&["--nonsense"][..], &["nonsense"], &["demo", "30"], &["price"], &["inspect", "file"], &["--listen", "x"]]
    {
        let out = run(args, &[]);
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(2), ""), "{args:?}");
        assert!(text(&out.stderr).contains("--help"), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn price_is_exact() {
    let usage = r#"{"input_tokens":1000,"output_tokens":200}"#;
    let price = json(&["price", "gpt-4o-mini", "--usage", usage, "--json"]);
    // 1000 at 0.15 and 200 at 0.60 dollars per million.
    assert_eq!((&price["usd"], &price["matched"]), (&"0.00027".into(), &"openai/gpt-4o-mini".into()));
    let bill = run(&["price", "gpt-4o-mini", "--usage", usage], &[]);
    let total = text(&bill.stdout).lines().find(|l| l.starts_with("total")).unwrap();
    assert_eq!(total.split_whitespace().nth(1), Some("0.00027"));
}

#[test]
fn inspect_tells_what_would_be_recorded() {
    let (request, body) = (fixture("chat-request.json"), fixture("chat.sse"));
    let record = json(&["inspect", "--endpoint", "chat", "--provider", "openai", "--request", &request, &body]);
    let usage = serde_json::json!({"input_tokens": 1000, "output_tokens": 200, "cached_input_tokens": 400,
        "reasoning_output_tokens": 0, "source": "reported"});
    assert_eq!(record["usage"], usage);
    assert_eq!(record["outcome"], serde_json::json!({"category": "ok", "reason": "stop", "ending": "end"}));
    assert_eq!(record["chunks"], serde_json::json!({"events": 6, "tokens_events": 2}));
    assert_eq!((&record["project"], &record["model"]["requested"]), (&"search".into(), &"gpt-4o-mini".into()));
    // 600 at 0.15, 400 at 0.075, 200 at 0.60 dollars per million.
    assert_eq!(record["price"]["usd"], "0.00024");
    assert_eq!((record.get("timing"), record.get("attempts")), (None, None), "a recording has no clock");
}

// --- the running proxy ---------------------------------------------------------------------------

#[test]
fn serve_relays_records_and_ends_well() {
    let (mut sim, url) = sim();
    let mut proxy = Proxy::start(&["--upstream", &url], &[]);
    assert_eq!((proxy.get("/healthz").status, proxy.get("/readyz").status, proxy.get("/").status), (200, 200, 200));

    let reply = proxy.post("/v1/chat/completions", &chat("m"));
    assert_eq!((reply.status, reply.header("x-limpid-error")), (200, None));
    assert!(reply.body.contains("data: [DONE]"), "{}", reply.body);

    let record = &proxy.records(1)[0];
    assert_eq!(record["outcome"], serde_json::json!({"category": "ok", "reason": "stop", "ending": "end"}));
    assert_eq!((&record["usage"]["output_tokens"], &record["usage"]["source"]), (&7.into(), &"reported".into()));
    assert_eq!((&record["chunks"]["tokens_events"], &record["stream"]), (&7.into(), &true.into()));
    let time = |name: &str| record["timing"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {record}"));
    // The simulator's schedule is a floor under both: the first token is due 5 ms after the request, the last 6 ms later.
    // It is kept from the request on, so a first token that comes late does not delay the others.
    assert!(time("ttft_ms") >= 5.0 && time("total_ms") >= 11.0, "{record}");
    let key = record["key"].as_str().unwrap();
    assert!(key.starts_with("k-") && key.len() == 10, "{key}");

    assert!((proxy.metric("limpid_requests_total{", &["category=\"ok\"", "endpoint=\"chat\""]) - 1.0).abs() < 1e-9);
    let summary: Value = serde_json::from_str(&proxy.get("/api/v1/summary?window=5m&group_by=model").body).unwrap();
    assert_eq!((&summary["total"]["count"], &summary["groups"][0]["by"]["model"]), (&1.into(), &"m".into()));
    let recent: Value = serde_json::from_str(&proxy.get("/api/v1/exchanges?limit=1").body).unwrap();
    assert_eq!(&recent["exchanges"][0], record, "the log and the API tell the same");

    assert_eq!(proxy.process.stop().code(), Some(0));
    assert_eq!(sim.stop().code(), Some(0));
    let everything = proxy.process.read("stdout") + &proxy.process.read("stderr");
    assert!(!everything.contains("hush") && !everything.contains("secret question"), "{everything}");
}

#[test]
fn what_the_client_is_told_is_what_is_recorded() {
    let proxy = Proxy::start(&["--upstream", DEAD], &[]);
    let openai = proxy.post("/v1/chat/completions", &chat("m"));
    let anthropic = proxy.post("/v1/messages", &chat("m"));
    assert_eq!((openai.status, anthropic.status), (502, 502));
    let error = |reply: &Reply| serde_json::from_str::<Value>(&reply.body).unwrap()["error"]["type"].clone();
    assert_eq!((error(&openai), error(&anthropic)), ("limpid_network".into(), "limpid_network".into()));
    for (reply, record) in [&openai, &anthropic].into_iter().zip(proxy.records(2)) {
        assert_eq!(reply.header("x-limpid-error"), Some("connect_refused"));
        let outcome = serde_json::json!({"category": "network", "reason": "connect_refused", "ending": "upstream_error",
                "fault": "network", "retryable": "later"});
        assert_eq!((&record["outcome"], record.get("usage"), record.get("price")), (&outcome, None, None), "{record}");
    }
}

#[test]
fn a_dead_collector_costs_numbers_and_no_traffic() {
    let (_sim, url) = sim();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", DEAD), ("LIMPID_TELEMETRY__SPAN_DELAY", "20ms")];
    let mut proxy = Proxy::start(&["--upstream", &url], &env);
    assert_eq!(proxy.post("/v1/chat/completions", &chat("m")).status, 200);
    until("the failed export", || {
        (proxy.metric("limpid_export_failed_total{", &["what=\"spans\""]) >= 1.0).then_some(())
    });
    let after = proxy.post("/v1/chat/completions", &chat("m"));
    assert!(after.status == 200 && after.body.contains("data: [DONE]"), "{}", after.body);
    for record in proxy.records(2) {
        assert_eq!(record["outcome"]["category"], "ok");
    }
    assert_eq!(proxy.process.stop().code(), Some(0));
}

#[test]
fn the_example_of_many_upstreams_routes_as_it_says() {
    let (_sim, url) = sim();
    let names = ["OPENAI", "ANTHROPIC", "LARGE", "SMALL"].map(|name| format!("LIMPID_UPSTREAMS__{name}__URL"));
    let mut env: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), url.as_str())).collect();
    env.extend([("SEARCH_TEAM_KEY", "sk-hush"), ("SUPPORT_TEAM_KEY", "sk-other")]);
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/many-upstreams/proxy.toml");
    let proxy = Proxy::start(&["--config", config], &env);
    let asked = [
        ("/openai/v1/chat/completions", "m", "openai"),
        ("/anthropic/v1/messages", "m", "anthropic"),
        ("/v1/chat/completions", "deepseek-ai/DeepSeek-V3", "large"),
        ("/v1/chat/completions", "m", "small"),
    ];
    for (n, (path, model, upstream)) in asked.into_iter().enumerate() {
        let mut body = chat(model);
        body["max_tokens"] = 7.into();
        assert_eq!(proxy.post(path, &body).status, 200, "{path}");
        let record = proxy.records(n + 1).remove(n);
        assert_eq!((&record["upstream"], &record["outcome"]["category"]), (&upstream.into(), &"ok".into()), "{record}");
        assert_eq!((&record["key"], &record["project"]), (&"search-team".into(), &"search".into()));
    }
}

#[test]
fn demo_ends_with_a_table() {
    // Its ports by the variables that the help names.
    let env = [("LIMPID_SERVER__LISTEN", "127.0.0.1:0"), ("LIMPID_ADMIN__LISTEN", "127.0.0.1:0")];
    let mut demo = Running::start(&["demo", "--seconds", "3"], &env);
    let ended = until("the demo's end", || demo.child.try_wait().unwrap());
    let (told, table) = (demo.read("stderr"), demo.read("stdout"));
    assert_eq!(ended.code(), Some(0), "{told}");
    assert!(told.contains("the dashboard is at http://127.0.0.1:"), "{told}");
    let row = |name: &str| -> Vec<String> {
        let line = table.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no row {name} in {table}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    let (heads, all) = (row("model"), row("all"));
    assert!(heads.iter().any(|h| h == "TTFT"), "{table}");
    let sent = table.split("The clients sent ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
    assert!(sent.parse::<u64>().unwrap() > 0 && all[1] == sent, "every request has one record: {table}");
}

// --- threads, signals, restarts ------------------------------------------------------------------

/// A stream that goes on for minutes, of which an event has come.
fn long_stream(proxy: &Proxy) -> TcpStream {
    let mut client = TcpStream::connect(proxy.data).unwrap();
    let body = chat("m").to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all((head + &body).as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.windows(5).any(|w| w == b"data:") {
        let mut some = [0; 1024];
        let n = client.read(&mut some).unwrap();
        assert!(n > 0, "{}", text(&seen));
        seen.extend_from_slice(&some[..n]);
    }
    client
}

const SLOW: [&str; 6] = ["--ttft", "5ms", "--gap", "1s", "--tokens", "300"];

#[test]
fn a_second_signal_flushes_what_is_open() {
    let (_sim, url) = sim_with(&SLOW);
    let mut proxy = Proxy::start(&["--upstream", &url], &[]);
    let _streams = [long_stream(&proxy), long_stream(&proxy)];
    let signal = |pid: u32| assert!(Command::new("kill").arg("-TERM").arg(pid.to_string()).status().unwrap().success());
    signal(proxy.process.child.id());
    until("the drain", || (proxy.get("/readyz").status == 503).then_some(()));
    signal(proxy.process.child.id());
    let ended = until("the end", || proxy.process.child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
    for record in proxy.records(2) {
        assert_eq!(record["outcome"]["reason"], "shutdown", "{record}");
    }
    let told = proxy.process.read("stderr");
    assert!(told.contains("a second signal") && told.contains("broken off"), "{told}");
}

#[test]
fn a_new_limpid_starts_beside_one_that_drains() {
    let (_sim, url) = sim_with(&SLOW);
    let mut old = Proxy::start(&["--upstream", &url], &[]);
    let _stream = long_stream(&old);
    let (data, admin) = (old.data.to_string(), old.admin.to_string());
    let again = ["serve", "--listen", &data, "--admin", &admin, "--upstream", &url];
    let taken = run(&again, &[]);
    assert_eq!(taken.status.code(), Some(1), "two by mistake");
    assert!(text(&taken.stderr).contains("cannot listen on"), "{}", text(&taken.stderr));

    let pid = old.process.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    until("the drain", || (old.get("/readyz").status == 503).then_some(()));
    let new = Running::start(&[&again[..], &["--addresses-file", "addresses.json"]].concat(), &[]);
    until("the new one", || (!new.read("addresses.json").is_empty()).then_some(()));
    until("the new one's word", || (old.get("/readyz").status == 200).then_some(()));
    assert_eq!(old.process.child.try_wait().unwrap(), None, "the old one still serves its stream");
}

/// Under a limit that binds: root has none.
#[cfg(target_os = "linux")]
#[test]
fn with_too_few_threads_it_starts_whole_or_says_why_not() {
    let as_nobody = ["--reuid", "64242", "--regid", "64242", "--clear-groups"];
    let usable = Command::new("setpriv").args(as_nobody).args(["prlimit", "--nproc=9", "true"]).status();
    if !usable.is_ok_and(|s| s.success()) {
        return;
    }
    // The binary where another user may run it.
    let folder = std::env::temp_dir().join(format!("limpid-threads-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_limpid"), folder.join("limpid")).unwrap();
    let open = Command::new("chmod").args(["-R", "a+rx"]).arg(&folder).status().unwrap();
    assert!(open.success());
    for threads in [1, 3, 5, 7, 9] {
        // Not a shell's `ulimit`: not every one has that of threads, and without a limit limpid runs on.
        let child = Command::new("setpriv")
            .args(as_nobody)
            .args(["prlimit", &format!("--nproc={threads}"), "./limpid", "--upstream", "http://127.0.0.1:9"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .current_dir(&folder)
            // A seed of other tests is no setting.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stderr(File::create(folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut process = Running { child, folder: folder.clone() };
        let ended = until("the end", || process.child.try_wait().unwrap());
        let told = process.read("stderr");
        let lines: Vec<_> = told.lines().filter(|l| !l.starts_with("<jemalloc>")).collect();
        assert_eq!((ended.code(), lines.len()), (Some(1), 1), "{threads}: {told}");
        assert!(lines[0].contains("ulimit -u"), "{told}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
