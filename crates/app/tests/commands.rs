//! The commands that end by themselves, as a terminal sees them: what goes where, and the exit code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{CommandFactory as _, Parser as _};
use limpid_app::cli::{Cli, Command, Output};
use limpid_app::settings::Env;
use limpid_app::{check, inspect_cmd, price_cmd, sim_cmd};
use serde_json::Value;

/// 2026-11-22, 08:00 UTC.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400)
}

fn run(args: &[&str], stdin: &[u8], env: &[(&str, &str)]) -> Output {
    let env: Env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    match command(args).unwrap() {
        Command::Check(args) => check::run(&args, env, false),
        Command::Inspect(args) => inspect_cmd::run(&args, &mut { stdin }, env, at()),
        Command::Price(args) => price_cmd::run(&args, env, at()),
        other => panic!("{other:?} does not end by itself"),
    }
}

fn command(args: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from([&["limpid"], args].concat()).map(Cli::chosen)
}

/// A file of this test, in a folder of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn json(output: &Output) -> Value {
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

// --- the command line ----------------------------------------------------------------------------

#[test]
fn the_command_line_is_sound_and_each_command_teaches_by_example() {
    Cli::command().debug_assert();
    assert!(Cli::command().render_help().to_string().contains("Examples:"));
    for sub in Cli::command().get_subcommands_mut() {
        let help = sub.render_long_help().to_string();
        assert!(help.contains("Example") && help.contains("  limpid "), "{help}");
    }
}

#[test]
fn serve_is_the_default() {
    let flags = ["--upstream", "http://h:1", "--listen", "127.0.0.1:0", "--exchange-log", "-", "--addresses-file", "a"];
    for args in [flags.to_vec(), [&["serve"][..], &flags].concat()] {
        let Command::Serve(serve) = command(&args).unwrap() else { panic!("{args:?}") };
        assert_eq!(serve.settings.upstream.as_deref(), Some("http://h:1"));
        assert_eq!(serve.settings.listen.unwrap().port(), 0);
        assert_eq!(serve.settings.exchange_log.as_deref(), Some("-"));
        assert_eq!(serve.addresses_file.as_deref(), Some(Path::new("a")));
    }
    assert!(matches!(command(&[]), Ok(Command::Serve(_))));
    assert!(
        matches!(command(&["demo", "--seconds", "5", "--open"]), Ok(Command::Demo(d)) if d.open && d.seconds == Some(5))
    );
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["--listen", "localhost"],
        &["--upstream", "http://x", "check"],
        &["inspect"],
        &["inspect", "--endpoint", "chats"],
        &["inspect", "--endpoint", "chat", "--status", "99"],
        &["inspect", "--endpoint", "chat", "--ending", "shutdown"],
        &["price"],
        &["sim", "--usage", "sometimes"],
        &["sim", "--fault", "bad_luck"],
        &["sim", "--set", "{\"ttft\":1}"],
        &["demo", "--seconds", "0"],
    ] {
        let error = command(args).map(|c| format!("{c:?}")).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{args:?}: {error}");
    }
    assert_eq!(command(&["--help"]).map(|_| ()).unwrap_err().exit_code(), 0);
}

#[test]
fn sim_flags_become_the_simulators_schedule() {
    let args = "sim --ttft 200ms --gap 1s --tokens 7 --tokens-per-chunk 2 --usage always --fault cut_off:3 \
                --close-after-reply --seed 9";
    let set = r#"{"ttft_ms":1,"stall_after":2,"stall_ms":30}"#;
    let args: Vec<&str> = args.split_whitespace().chain(["--set", set]).collect();
    let Command::Sim(sim) = command(&args).unwrap() else { panic!("not sim") };
    let config = sim_cmd::config(&sim).unwrap();
    let (b, s) = (&config.behaviour, &config.behaviour.schedule);
    assert_eq!(config.listen.to_string(), "127.0.0.1:4802");
    assert_eq!((s.ttft, s.gap), (Duration::from_millis(200), Duration::from_secs(1)));
    assert_eq!(s.stall, Some((2, Duration::from_millis(30))));
    assert_eq!((s.tokens, s.tokens_per_chunk, config.seed), (7, 2, 9));
    assert_eq!((b.usage, b.fault), (limpid_sim::UsageMode::Always, Some(limpid_sim::Fault::CutOff { after: 3 })));
    assert!(b.close_after_reply);

    let Command::Sim(sim) = command(&["sim", "--tokens-per-chunk", "0"]).unwrap() else { panic!("not sim") };
    let refused = sim_cmd::config(&sim).err().unwrap();
    assert_eq!(format!("{} must be {}", refused.member, refused.expected), "tokens_per_chunk must be 1 to 4096");
}

// --- check ---------------------------------------------------------------------------------------

#[test]
fn check_prints_settings_that_can_be_read_back_with_origins_and_without_secrets() {
    let text = "[upstreams.vllm-a]\nurl = \"http://127.0.0.1:8000\"\nmodels = [\"m*\"]\n\
                [keys.team]\nenv = \"TEAM_KEY\"\n[telemetry]\nheaders = { \"x-api-key\" = \"hush\" }\n";
    let path = file("good.toml", text);
    let path = path.to_str().unwrap();
    let env = [("TEAM_KEY", "sk-hush"), ("LIMPID_LOG__LEVEL", "debug"), ("OTEL_SERVICE_NAME", "edge")];
    let out = run(&["check", "--config", path, "--listen", "127.0.0.1:9"], b"", &env);
    assert_eq!((out.code, out.stderr.as_str()), (0, ""));
    assert!(!out.stdout.contains("hush"), "{}", out.stdout);
    let origin = |setting: &str| {
        let line = out.stdout.lines().find(|l| l.starts_with(setting)).unwrap_or_else(|| panic!("no {setting}"));
        line.rsplit_once("  # ").unwrap().1.to_owned()
    };
    assert_eq!(origin("listen = \"127.0.0.1:9\""), "--listen");
    assert_eq!(origin("models = [\"m*\"]"), format!("{path}:3"));
    assert_eq!(origin("level = \"debug\""), "LIMPID_LOG__LEVEL");
    assert_eq!(origin("service_name = \"edge\""), "OTEL_SERVICE_NAME");
    assert_eq!(origin("headers = { x-api-key = \"****\" }"), format!("{path}:7"));
    assert_eq!(origin("header_timeout = \"75s\""), "default");

    // What is printed is itself a file that comes to the same settings.
    let again = file("again.toml", &out.stdout);
    let again = run(&["check", "--config", again.to_str().unwrap()], b"", &env[..1]);
    let values = |text: &str| -> Vec<String> {
        text.lines().skip(1).filter_map(|l| l.rsplit_once("  # ").map(|(v, _)| v.trim_end().to_owned())).collect()
    };
    assert_eq!(values(&again.stdout), values(&out.stdout), "{}", again.stderr);
}

#[test]
fn check_lists_every_fault_and_exits_1() {
    let path = file("bad.toml", "[server]\nlistn = 1\n[log]\nlevel = 3\n");
    let path = path.to_str().unwrap();
    let out = run(&["check", "--config", path], b"", &[]);
    assert_eq!((out.code, out.stdout.as_str()), (1, ""));
    let lines: Vec<&str> = out.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with(&format!("{path}:2: unknown setting `server.listn`")), "{lines:?}");
    assert!(lines[0].ends_with("did you mean `listen`?"), "{lines:?}");
    assert!(lines[1].starts_with(&format!("{path}:4: log.level = 3, ")), "{lines:?}");
    assert!(lines[2].starts_with("settings: no upstream, "), "{lines:?}");
}

#[test]
fn a_bad_upstream_flag_is_told_once_and_a_secret_in_it_not_at_all() {
    for url in ["http://u:hush@x", "http://x/?key=hush"] {
        let out = run(&["check", "--upstream", url], b"", &[]);
        assert!(out.stderr.starts_with("--upstream: upstreams.default.url, it must not carry"), "{}", out.stderr);
        assert_eq!((out.code, out.stderr.contains("hush")), (1, false));
    }
    for url in ["127.0.0.1:9", "ftp://127.0.0.1:9", "http://", "http://a b", "not a url", "", "1"] {
        let out = run(&["check", "--upstream", url], b"", &[]);
        assert_eq!((out.code, out.stderr.lines().count()), (1, 1), "{out:?}");
        assert!(out.stderr.starts_with("--upstream: upstreams.default.url"), "{out:?}");
    }
}

#[test]
fn a_key_without_its_variable_is_a_warning_of_check() {
    let path = file("key.toml", "[upstreams.a]\nurl = \"http://a\"\n[keys.team]\nenv = \"TEAM_KEY\"\n");
    let out = run(&["check", "--config", path.to_str().unwrap()], b"", &[]);
    assert_eq!(out.code, 0);
    assert!(out.stderr.starts_with("warning: ") && out.stderr.contains("keys.team.env"), "{}", out.stderr);
}

#[test]
fn colour_only_where_it_is_wanted() {
    let Command::Check(args) = command(&["check", "--upstream", "http://a"]).unwrap() else { panic!("not check") };
    assert!(!check::run(&args, Env::new(), false).stdout.contains('\x1b'));
    assert!(check::run(&args, Env::new(), true).stdout.contains("\x1b[1m[server]\x1b[0m"));
    let no_colour: Env = [("NO_COLOR".to_owned(), "1".to_owned())].into();
    assert!(!check::wants_colour(&no_colour));
}

// --- price ---------------------------------------------------------------------------------------

#[test]
fn price_explains_each_part_and_they_sum() {
    let usage = r#"{"input_tokens":1000,"cached_input_tokens":400,"output_tokens":200}"#;
    let price = json(&run(&["price", "gpt-4o-mini", "--provider", "openai", "--usage", usage, "--json"], b"", &[]));
    assert_eq!(price["matched"], "openai/gpt-4o-mini");
    // 600 at 0.15, 400 at 0.075, 200 at 0.60 dollars per million.
    assert_eq!(price["usd"], "0.00024");
    let units = |name: &str| {
        let parts = price["parts"].as_array().unwrap();
        parts.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no {name}"))["units"].as_u64()
    };
    assert_eq!((units("input"), units("cached_input"), units("output")), (Some(600), Some(400), Some(200)));

    let text = run(&["price", "gpt-4o-mini", "--provider", "openai", "--usage", usage], b"", &[]).stdout;
    let total = text.lines().find(|l| l.starts_with("total")).unwrap();
    assert!(total.ends_with("0.00024"), "{text}");
    assert!(text.contains("600 × 0.15 ") && text.contains("400 × 0.075"), "{text}");
    let column = |l: &str| l.char_indices().rev().find(|(_, c)| *c == ' ').map(|(i, _)| l[..=i].chars().count());
    let rows: Vec<&str> = text.lines().take_while(|l| !l.starts_with("by ")).collect();
    assert!(rows.windows(2).all(|w| column(w[0]) == column(w[1])), "{text}");
}

#[test]
fn price_without_a_usage_shows_the_table() {
    let text = run(&["price", "gpt-4o-mini"], b"", &[]).stdout;
    assert!(text.starts_with("openai/gpt-4o-mini, USD per million, table of 20"), "{text}");
    assert!(text.lines().any(|l| l.split_whitespace().eq(["input", "0.15"])), "{text}");
    let table = json(&run(&["price", "gpt-4o-mini", "--json"], b"", &[]));
    let prices = table["sets"][0]["prices"].as_array().unwrap();
    assert!(prices.iter().any(|p| p["name"] == "output" && p["usd_per_million"] == "0.6"), "{table}");
}

#[test]
fn price_takes_the_settings_into_account() {
    let settings = "[upstreams.gpu]\nurl = \"http://127.0.0.1:1\"\nprovider = \"vllm\"\nmodels = [\"llama*\"]\n\
        [upstreams.openai]\nurl = \"https://api.openai.com\"\ndiscount = \"20%\"\n\
        [prices.own]\nupstreams = [\"gpu\"]\ngpu_hour_usd = 2\ntokens_per_hour = 1000000\n";
    let config = file("prices.toml", settings).display().to_string();
    let usage = r#"{"input_tokens":1000000,"output_tokens":0}"#;
    let priced = |model: &str, upstream: &str| {
        let asked = ["price", model, "--config", &config, "--upstream", upstream, "--usage", usage];
        (json(&run(&[&asked[..], &["--json"]].concat(), b"", &[])), run(&asked, b"", &[]).stdout)
    };
    let (own, bill) = priced("gpt-4o-mini", "gpu");
    assert_eq!(
        (&own["source"], &own["matched"], &own["usd"]),
        (&"configured".into(), &"prices.own".into(), &"2".into())
    );
    assert!(bill.contains("by prices.own, configured") && bill.contains("2 USD / 1000000 tokens"), "{bill}");
    let (listed, bill) = priced("gpt-4o-mini", "openai");
    assert_eq!((&listed["usd"], &listed["discount"]), (&"0.12".into(), &"20%".into()));
    assert!(bill.contains("1000000 × 0.12") && bill.contains(", less 20%"), "{bill}");
    let table = run(&["price", "anything", "--config", &config, "--upstream", "gpu"], b"", &[]).stdout;
    assert!(table.starts_with("prices.own, USD per million, from the settings"), "{table}");
    let wrong = run(&["price", "m", "--config", &config, "--upstream", "gpus"], b"", &[]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("it has gpu, openai"), "{}", wrong.stderr);
}

#[test]
fn price_faults_are_one_line_and_exit_code_1() {
    for (args, part) in [
        (&["price", "gpt-4o-mimi"][..], "did you mean "),
        (&["price", "gpt-4o-mini", "--usage", "{"], "--usage is not a usage"),
        (&["price", "gpt-4o-mini", "--usage", r#"{"prompt_tokens":1}"#], "unknown field `prompt_tokens`"),
        (&["price", "gpt-4o-mini", "--usage", r#"{"output_tokens":1}"#], "lacks the input or the output"),
        (
            &["price", "gpt-4o-mini", "--usage", r#"{"input_tokens":1,"output_tokens":1,"cached_input_tokens":2}"#],
            "larger than its whole",
        ),
    ] {
        let out = run(args, b"", &[]);
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.lines().count()), (1, "", 1), "{out:?}");
        assert!(out.stderr.starts_with("limpid: ") && out.stderr.contains(part), "{}", out.stderr);
    }
    let far = run(&["price", "zzzzqqqq-9000-xyz"], b"", &[]);
    assert_eq!((far.code, far.stderr.contains("did you mean")), (1, false), "{}", far.stderr);
}

// --- inspect -------------------------------------------------------------------------------------

const STREAM: &str = concat!(
    "data: {\"id\":\"c1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn inspect_prints_the_settled_record_without_times() {
    for (args, stdin) in [
        (vec!["inspect", "--endpoint", "chat", "--content-type", "text/event-stream", "--provider", "openai"], STREAM),
        // Without a content type the body's first bytes tell.
        (vec!["inspect", "--endpoint", "chat", "--provider", "openai", "-"], STREAM),
    ] {
        let record = json(&run(&args, stdin.as_bytes(), &[]));
        assert_eq!(
            (&record["endpoint"], &record["status"], &record["stream"]),
            (&"chat".into(), &200.into(), &true.into())
        );
        assert_eq!(record["outcome"], serde_json::json!({"category": "ok", "reason": "stop", "ending": "end"}));
        assert_eq!(record["refusal"]["verdict"], "none");
        assert_eq!(record["chunks"], serde_json::json!({"events": 6, "tokens_events": 2}));
        assert_eq!(record["usage"]["source"], "reported");
        assert_eq!(record["model"], serde_json::json!({"responded": "gpt-4o-mini-2024-07-18"}));
        // 9 at 0.15 and 2 at 0.60 dollars per million.
        assert_eq!(record["price"]["usd"], "0.00000255");
        assert_eq!(record["bytes"], serde_json::json!({"response": STREAM.len()}));
        assert_eq!(record["started_at"], "2026-11-22T08:00:00.000000Z");
        for absent in ["timing", "trace_id", "span_id", "attempts", "method", "path", "key", "upstream"] {
            assert_eq!(record.get(absent), None, "{absent}");
        }
    }
}

#[test]
fn inspect_takes_the_request_from_a_file() {
    let path = file(
        "request.json",
        r#"{"method":"POST","path":"/v1/chat/completions?x=1","server":"ignored",
            "headers":[["Authorization","Bearer sk-hush"],["x-limpid-project","search"],["X-Request-Id","r1"],
                       ["traceparent","00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],["Content-Length","77"]],
            "body":{"messages":[],"model":"gpt-4o-mini","stream":true}}"#,
    );
    let out = run(&["inspect", "--endpoint", "chat", "--request", path.to_str().unwrap()], STREAM.as_bytes(), &[]);
    assert!(!out.stdout.contains("hush"));
    let record = json(&out);
    assert_eq!((&record["method"], &record["path"]), (&"POST".into(), &"/v1/chat/completions".into()));
    assert_eq!(record["model"]["requested"], "gpt-4o-mini");
    assert_eq!((&record["project"], &record["request_id"]), (&"search".into(), &"r1".into()));
    assert_eq!(record["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(record["bytes"]["request"], 77);
    assert_eq!(record.get("key"), None);

    let object = file("object.json", r#"{"headers":{"x-limpid-user":"u"},"body_text":"{\"model\":\"m\"}"}"#);
    let record = json(&run(&["inspect", "--endpoint", "chat", "--request", object.to_str().unwrap()], b"{}", &[]));
    assert_eq!((&record["user"], &record["bytes"]["request"]), (&"u".into(), &13.into()));
    assert_eq!(record["model"]["requested"], "m");
}

#[test]
fn inspect_takes_the_settings_into_account() {
    let settings = "[upstreams.gpu]\nurl = \"http://127.0.0.1:1\"\nprovider = \"vllm\"\nmodels = [\"llama*\"]\n\
        [upstreams.openai]\nurl = \"https://api.openai.com\"\ndiscount = \"20%\"\n\
        [prices.own]\nupstreams = [\"gpu\"]\ninput = 1\noutput = 1\n[refusals]\npatterns = [\"kitchen is closed\"]\n";
    let config = file("inspect.toml", settings).display().to_string();
    let body = r#"{"model":"gpt-4o-mini","choices":[{"index":0,"message":{"content":"Our kitchen is closed."},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":1000000,"completion_tokens":0}}"#;
    let asked = |more: &[&str]| run(&[&["inspect", "--endpoint", "chat"], more].concat(), body.as_bytes(), &[]);
    let told = |more: &[&str]| {
        let record = json(&asked(more));
        let text = |member: &Value| member.as_str().unwrap().to_owned();
        let (verdict, usd) = (text(&record["refusal"]["verdict"]), text(&record["price"]["usd"]));
        (verdict, usd, text(&record["price"]["source"]))
    };
    let expected = |verdict: &str, usd: &str, source: &str| (verdict.to_owned(), usd.to_owned(), source.to_owned());
    assert_eq!(told(&["--provider", "openai"]), expected("none", "0.15", "catalogue"));
    let of = |upstream: &str| told(&["--config", &config, "--upstream", upstream]);
    assert_eq!(of("openai"), expected("suspected", "0.12", "catalogue"));
    assert_eq!(of("gpu"), expected("suspected", "1", "configured"));
    let wrong = asked(&["--config", &config, "--upstream", "gpus"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("it has gpu, openai"), "{}", wrong.stderr);
    assert!(command(&["inspect", "--endpoint", "chat", "--upstream", "gpu"]).is_err(), "a name without a file");
}

#[test]
fn inspect_settles_endings_and_statuses() {
    let cut = &STREAM[..STREAM.find("lo\"").unwrap()];
    let args = ["inspect", "--endpoint", "chat", "--content-type", "text/event-stream", "--ending"];
    let outcome = |ending| json(&run(&[&args[..], &[ending]].concat(), cut.as_bytes(), &[]))["outcome"].clone();
    assert_eq!(outcome("upstream_error")["category"], "stream_error");
    assert_eq!(outcome("client_gone")["category"], "cancelled");
    let none = json(&run(&["inspect", "--endpoint", "chat", "--ending", "upstream_error"], b"", &[]));
    assert_eq!((none.get("status"), &none["outcome"]["category"]), (None, &"network".into()));
    let error = br#"{"error":{"message":"quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let record = json(&run(&["inspect", "--endpoint", "chat", "--status", "429"], error, &[]));
    assert_eq!(record["outcome"]["category"], "quota");

    let lines =
        "{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n{\"model\":\"m\",\"response\":\"\",\"done\":true}\n";
    let record = json(&run(&["inspect", "--endpoint", "generate"], lines.as_bytes(), &[]));
    assert_eq!((&record["stream"], &record["chunks"]["events"]), (&true.into(), &2.into()));
}

#[test]
fn inspect_faults_are_one_line_and_exit_code_1() {
    let bad = file("bad.json", "{\"method\": 3}");
    let bad = bad.to_str().unwrap();
    for args in [
        &["inspect", "--endpoint", "chat", "/no/such/file"][..],
        &["inspect", "--endpoint", "chat", "--request", "/no/such/file"],
        &["inspect", "--endpoint", "chat", "--request", bad],
    ] {
        let out = run(args, b"", &[]);
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.lines().count()), (1, "", 1), "{out:?}");
        assert!(out.stderr.starts_with("limpid: "), "{}", out.stderr);
    }
}
