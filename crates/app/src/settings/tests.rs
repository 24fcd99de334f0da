//! Loading as a whole: who wins, what is a fault, and that `proxy.toml` tells the truth.

use std::path::PathBuf;
use std::time::Duration;

use limpid_route::ModelPattern;

use super::*;

fn sources(text: &str, env: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some((PathBuf::from("proxy.toml"), text.to_owned())),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        flags: Flags::default(),
    }
}

const ONE: &str = "[upstreams.default]\nurl = \"http://127.0.0.1:8000\"\n";

fn load(text: &str, env: &[(&str, &str)]) -> Loaded {
    sources(text, env).load().unwrap()
}

fn faults(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    sources(text, env).load().unwrap_err().0.iter().map(ToString::to_string).collect()
}

fn origin(loaded: &Loaded, section: &str, key: &str) -> String {
    let found = loaded.resolved.iter().find(|r| r.section == section && r.key == key);
    found.unwrap_or_else(|| panic!("no {section}.{key}")).origin.to_string()
}

/// The repository's own `proxy.toml`.
fn documented() -> &'static str {
    include_str!("../../../../proxy.toml")
}

#[test]
fn proxy_toml_shows_every_setting_with_its_default() {
    let shown = load(documented(), &[]);
    let default = load(ONE, &[]);
    // The values written there are the real defaults.
    assert_eq!(shown.settings, Settings { upstreams: shown.settings.upstreams.clone(), ..default.settings.clone() });
    let values = |loaded: &Loaded| -> Vec<(String, Option<String>)> {
        loaded.resolved.iter().map(|r| (format!("{}.{}", r.section, r.key), r.value.clone())).collect()
    };
    assert_eq!(values(&shown), values(&default));

    // Every setting stands in it, and not as a default that happens to be read: as a line of its own section.
    let with_keys = load(documented(), &[("LIMPID_KEYS__TEAM_A__ENV", "TEAM_A_KEY")]);
    for setting in with_keys.resolved.iter().filter(|r| r.is_setting) {
        let header = format!("[{}]", setting.section.replace("team_a", "team-a"));
        let section = documented().split_once(&header).unwrap_or_else(|| panic!("no {header}")).1;
        let section = section.split("\n[").next().unwrap().split("\n# [").next().unwrap();
        let stands = section.lines().any(|line| {
            line.strip_prefix("# ")
                .unwrap_or(line)
                .strip_prefix(setting.key)
                .is_some_and(|rest| rest.starts_with(" = "))
        });
        assert!(stands, "{header} {}", setting.key);
    }
}

/// A certificate that nothing uses.
const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/settings/testdata/ca.pem");

/// Settings whose default is to be absent, or to follow from others: what is written there is an example.
const EXAMPLES: [&str; 30] = [
    "request_body_timeout",
    "hosts",
    "without_model",
    "capture_sample",
    "tls_ca_file",
    "headers_timeout",
    "first_token_timeout",
    "idle_timeout",
    "websocket_idle_timeout",
    "api_key_env",
    "worker_threads",
    "key_hash_secret",
    "region",
    "host",
    "path_prefix",
    "rewrite_prefix",
    "env",
    "project",
    "file",
    "endpoint",
    "url",
    "rotate_size",
    "rotate_age",
    "ca_file",
    "client_certificate_file",
    "client_key_file",
    "max_span_text",
    "max_log_text",
    "max_span_attributes",
    "max_log_attributes",
];

#[test]
fn proxy_toml_is_valid_with_every_line_taken_in() {
    let text: String = documented()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => format!("{}\n", rest.replace("/etc/limpid/ca.pem", CA_FILE)),
            _ => format!("{line}\n"),
        })
        .collect();
    let loaded = load(&text, &[("TEAM_A_KEY", "sk-1"), ("OPENAI_API_KEY", "sk-2")]);
    assert_eq!(loaded.warnings, []);
    let default = load(ONE, &[]);
    for setting in loaded.resolved.iter().filter(|r| r.is_setting) {
        let name = format!("{}.{}", setting.section, setting.key);
        assert!(matches!(setting.origin, Origin::File { .. }), "{name} is not in the file");
        if !EXAMPLES.contains(&setting.key)
            && !["prices.", "labels.", "redactions."].iter().any(|s| setting.section.starts_with(s))
        {
            let real = default.resolved.iter().find(|r| r.section == setting.section && r.key == setting.key);
            assert_eq!(setting.value, real.unwrap().value, "{name}");
        }
    }
}

#[test]
fn proxy_toml_leaves_the_standard_variables_in_force() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_SERVICE_NAME", "x"),
    ];
    let (shown, bare) = (load(documented(), &env), load(ONE, &env));
    assert_eq!(shown.settings.telemetry, bare.settings.telemetry);
    assert_eq!(&*shown.settings.telemetry.service_name, "x");
}

fn is_setting(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap();
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    ["[keys.", "[labels.", "[prices.", "[redactions."].iter().any(|s| line.starts_with(s))
        || (line.contains(" = ") && key.bytes().all(named))
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let text = format!("[server]\nlisten = \"127.0.0.1:1\"\nheader_timeout = \"1s\"\ndrain_timeout = \"2s\"\n{ONE}");
    let mut sources =
        sources(&text, &[("LIMPID_SERVER__LISTEN", "127.0.0.1:2"), ("LIMPID_SERVER__HEADER_TIMEOUT", "3s")]);
    sources.flags.listen = Some("127.0.0.1:3".into());
    let loaded = sources.load().unwrap();
    let server = &loaded.settings.server;
    assert_eq!(server.listen.port(), 3);
    assert_eq!((server.header_timeout, server.drain_timeout), (Duration::from_secs(3), Duration::from_secs(2)));
    assert_eq!(origin(&loaded, "server", "listen"), "--listen");
    assert_eq!(origin(&loaded, "server", "header_timeout"), "LIMPID_SERVER__HEADER_TIMEOUT");
    assert_eq!(origin(&loaded, "server", "drain_timeout"), "proxy.toml:4");
    assert_eq!(origin(&loaded, "server", "max_head_bytes"), "default");
}

#[test]
fn an_upstream_flag_alone_is_enough_and_overrides_the_default_one() {
    let flags = Flags { upstream: Some("https://api.openai.com".into()), ..Flags::default() };
    let alone = Sources { flags: flags.clone(), ..Sources::default() }.load().unwrap();
    assert_eq!(&*alone.settings.upstreams[0].provider, "openai");
    assert_eq!(origin(&alone, "upstreams.default", "provider"), "by the URL's host");
    let over = Sources { flags, ..sources(&format!("{ONE}region = \"eu\"\n"), &[]) }.load().unwrap();
    assert_eq!(over.settings.upstreams[0].url.host(), "api.openai.com");
    assert_eq!(over.settings.upstreams[0].region.as_deref(), Some("eu"));
}

#[test]
fn variables_reach_named_sections_and_make_new_ones() {
    let text = "[upstreams.vLLM-A]\nurl = \"http://a:1\"\nmodels = [\"x\"]\n";
    let loaded = load(
        text,
        &[
            ("LIMPID_UPSTREAMS__VLLM_A__REGION", "1"),
            ("LIMPID_UPSTREAMS__NEW__URL", "http://b:2/base"),
            ("LIMPID_UPSTREAMS__NEW__MODELS", "[\"gpt-*\", \"o3\"]"),
            ("LIMPID_EXCHANGE_LOG__FILE", ""),
        ],
    );
    let [new, vllm] = loaded.settings.upstreams.as_slice() else { panic!("two upstreams") };
    assert_eq!((&*vllm.name, vllm.region.as_deref()), ("vLLM-A", Some("1")));
    assert_eq!(new.serves.models, [ModelPattern::Prefix("gpt-".into()), ModelPattern::Exact("o3".into())]);
    assert_eq!(loaded.settings.exchange_log.file, None);
}

#[test]
fn every_fault_is_told_in_one_run_with_its_line() {
    let text = r#"
[sever]
[server]
listen = "localhost"
lisen = "x"
header_timeout = "0s"
max_head_bytes = 100
[admin]
enabled = 1
[observe]
max_event_bytes = "1 MiBi"
[record]
queue = 0
[telemetry]
protocol = "http/xml"
sample_ratio = 2
[log]
level = "loud"
[insight]
recent = -1
"#;
    assert_eq!(
        faults(
            text,
            &[("LIMPID_SERVER__DRAIN_TIMOUT", "1s"), ("LIMPID_FOO", "1"), ("LIMPID_PORT", "tcp://10.0.0.1:1")]
        ),
        [
            "proxy.toml:2: unknown section `sever`, limpid has no such section, did you mean [server]?",
            "proxy.toml:4: server.listen = \"localhost\", that is not an IP address with a port, write an address and a \
             port such as \"127.0.0.1:4800\" (all interfaces: \"0.0.0.0:4800\")",
            "proxy.toml:5: unknown setting `server.lisen`, [server] has no such key, did you mean `listen`?",
            "proxy.toml:6: server.header_timeout = \"0s\", no time at all would fail everything, write a duration such \
             as \"10s\"",
            "proxy.toml:7: server.max_head_bytes = 100, the least is 8192, write a number from 8192 to 16777216",
            "proxy.toml:9: admin.enabled = 1, a number is not a yes or no, write true or false",
            "proxy.toml:11: observe.max_event_bytes = \"1 MiBi\", that is not a size, write a number of bytes, or a \
             size such as \"64KiB\" or \"8MiB\"",
            "proxy.toml:13: record.queue = 0, the least is 1, write a number from 1 to 1000000",
            "proxy.toml:15: telemetry.protocol = \"http/xml\", there is no such choice, write \"http/protobuf\", \
             \"http/json\" or \"grpc\"",
            "proxy.toml:16: telemetry.sample_ratio = 2, it is not from 0 to 1, write a share such as 0.1",
            "proxy.toml:18: log.level = \"loud\", there is no such choice, write \"error\", \"warn\", \"info\", \
             \"debug\" or \"trace\"",
            "proxy.toml:20: insight.recent = -1, the number is negative or too large, write a whole number such as 1000",
            "LIMPID_FOO: unknown variable `LIMPID_FOO`, it has no place: LIMPID_<SECTION>__<KEY>, or \
             LIMPID_UPSTREAMS__<NAME>__<KEY>, unset it, or spell it as a setting, such as LIMPID_SERVER__LISTEN",
            "LIMPID_SERVER__DRAIN_TIMOUT: unknown setting `server.drain_timout`, [server] has no such key, did you mean \
             `LIMPID_SERVER__DRAIN_TIMEOUT`?",
        ]
    );
}

#[test]
fn usage_is_not_asked_for_where_asking_does_harm() {
    let with = |url: &str, ask: &str| format!("[upstreams.x]\nurl = \"{url}\"\nask_for_usage = {ask}\n");
    let settings = load(&with("https://api.openai.com", "true"), &[]).settings;
    assert!(settings.upstreams[0].ask_for_usage && !load(ONE, &[]).settings.upstreams[0].ask_for_usage);
    for (url, ask, part) in [
        ("https://api.mistral.ai", "true", "upstreams.x.ask_for_usage = true, Mistral refuses"),
        ("https://openrouter.ai/api", "true", "upstreams.x.ask_for_usage = true, OpenRouter tells"),
        ("http://127.0.0.1", "\"yes\"", "upstreams.x.ask_for_usage = \"yes\", a string is not a yes or no"),
    ] {
        let found = faults(&with(url, ask), &[]);
        assert!(found.len() == 1 && found[0].starts_with("proxy.toml:3: ") && found[0].contains(part), "{found:?}");
    }
    load(&with("https://api.mistral.ai", "false"), &[]);
}

#[test]
fn a_missing_upstream_is_told_unless_it_may_only_be_misspelt() {
    let missing = "settings: no upstream, there is nowhere to send requests, run limpid --upstream http://127.0.0.1:8000, \
                   or write [upstreams.default] with a url";
    assert_eq!(faults("", &[]), [missing]);
    assert_eq!(faults("[upstreams]\n", &[]), [missing]);
    assert_eq!(faults("[server]\nlisten = 1\n", &[]).len(), 2);
    for text in ["[upstream.a]\nurl = \"http://a\"\n", "no_such = 1\n", "upstreams = 1\n", "[upstreams.a]\nurl = 1\n"] {
        let got = faults(text, &[]);
        assert!(got.len() == 1 && got[0].starts_with("proxy.toml:"), "{got:?}");
    }
    assert!(faults("[upstream.a]\nurl = \"http://a\"\n", &[])[0].ends_with("did you mean [upstreams]?"));
    assert_eq!(faults("upstream = [\n", &[]).len(), 1);
}

#[test]
fn syntax_errors_have_their_line() {
    let got = faults("[server]\nlisten = \n[admin\nenabled = true\n", &[]);
    assert!(got.len() >= 2, "{got:?}");
    assert!(got[0].starts_with("proxy.toml:2: this is not TOML, "), "{got:?}");
    assert!(got[1].starts_with("proxy.toml:3: "), "{got:?}");
    let twice = faults("[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", &[]);
    assert!(twice[0].starts_with("proxy.toml:3: this is not TOML, duplicate key"), "{twice:?}");
}

#[test]
fn an_upstream_that_is_limpid_itself_is_refused() {
    for (listen, url, here) in [
        ("127.0.0.1:4800", "http://127.0.0.1:4800/v1", true),
        ("127.0.0.1:4800", "http://LOCALHOST:4800", true),
        ("0.0.0.0:4800", "http://127.0.0.1:4800", true),
        ("[::1]:80", "http://[::1]", true),
        ("127.0.0.1:4800", "http://127.0.0.1:8000", false),
        ("127.0.0.1:4800", "http://10.0.0.7:4800", false),
        ("127.0.0.1:0", "http://127.0.0.1:4800", false),
    ] {
        let text = format!("[server]\nlisten = \"{listen}\"\n[upstreams.a]\nurl = \"{url}\"\n");
        let told = sources(&text, &[]).load().map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(told.is_err_and(|e| e.contains("limpid would forward to itself")), here, "{listen} {url}");
    }
}

#[test]
fn upstreams_that_match_alike_are_refused() {
    let pair = |a: &str, b: &str| {
        let text = format!("[upstreams.a]\nurl = \"http://a\"\n{a}\n[upstreams.b]\nurl = \"http://b\"\n{b}\n");
        sources(&text, &[]).load().map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(pair("", "").unwrap_err().starts_with("proxy.toml:4: upstreams.a and upstreams.b, neither has a host"));
    assert!(pair("host = \"X.example\"", "host = \"x.example\"").unwrap_err().contains("both match"));
    assert!(pair("path_prefix = \"/p/\"", "path_prefix = \"/p\"").unwrap_err().contains("both match"));
    assert!(pair("models = [\"m\", \"n\"]", "models = [\"o\", \"m\"]").unwrap_err().contains("both match"));
    assert_eq!(pair("", "models = [\"m\"]"), Ok(()));
    assert_eq!(pair("models = [\"m*\"]", "models = [\"m\"]"), Ok(()));
}

#[test]
fn upstreams_are_held_to_their_rules() {
    let fault = |lines: &str| faults(&format!("[upstreams.a]\n{lines}\n"), &[]).join("\n");
    for (lines, part) in [
        ("", "[upstreams.a] has no `url`, that setting has no default"),
        ("url = \"ftp://a\"", "it must begin with http:// or https://"),
        ("url = \"http://a/?q=1\"", "must not carry a query"),
        ("url = \"http://a/#f\"", "must not carry a fragment"),
        ("url = \"http://a:99999\"", "its port is not from 1 to 65535"),
        ("url = \"http://a:0\"", "its port is not from 1 to 65535"),
        ("url = \"http://a/x/v1/chat/completions\"", "the URL of one endpoint"),
        ("url = \"http://a/x/v1/chat/completions\"", "write \"http://a/x/v1\""),
        ("url = \"http://a\"\nrewrite_prefix = \"/x\"", "there is no path_prefix that it could replace"),
        ("url = \"http://a\"\npath_prefix = \"x\"", "that is not the beginning of a path"),
        ("url = \"http://a\"\nhost = \"a:80\"", "no scheme, port, path or wildcard"),
        ("url = \"http://a\"\nmodels = [\"a*b\"]", "a `*` stands only at the end"),
        ("url = \"http://a\"\nmodels = [\"\"]", "in one of its entries it is empty"),
        ("url = \"http://a\"\nprovider = \"Open AI\"", "a provider's name has small letters"),
        ("url = \"http://a\"\nconnect_timeout = \"0s\"", "no time at all"),
    ] {
        assert!(fault(lines).contains(part), "{lines}: {}", fault(lines));
    }
    assert!(faults("[upstreams]\nurl = \"http://a\"\n", &[])[0].contains("upstreams.NAME"));
    let list = faults("[[upstreams]]\nurl = \"http://a\"\n", &[]);
    assert!(list.len() == 1 && list[0].contains("a list is not a section, write [upstreams.NAME]"), "{list:?}");
    let good = load("[upstreams.a]\nurl = \"http://[::1]:8000/base\"\npool_idle_timeout = \"0s\"\n", &[]);
    assert_eq!((good.settings.upstreams[0].url.host(), good.settings.upstreams[0].url.port()), ("::1", 8000));
}

#[test]
fn routing_names_an_upstream_that_is_there() {
    let routing = |lines: &str| sources(&format!("{ONE}[routing]\n{lines}\n"), &[]).load().map(|l| l.settings.routing);
    let read = routing("unknown_model = \"reject\"\nwithout_model = \"default\"\nlookahead_bytes = \"1MiB\"").unwrap();
    assert_eq!((read.unknown_model, read.without_model.as_deref()), (UnknownModel::Reject, Some("default")));
    assert_eq!((read.lookahead_bytes, read.lookahead_budget_bytes), (1 << 20, 256 << 20));
    let fault = |lines: &str| routing(lines).unwrap_err().to_string();
    assert!(fault("without_model = \"x\"").contains("there is no such upstream, write one of default"));
    assert!(fault("unknown_model = \"maybe\"").contains("write \"default\" or \"reject\""));
}

#[test]
fn what_a_base_path_makes_of_a_request_is_shown() {
    for (url, sent) in [
        ("http://a/v1", Some("goes up as /v1/chat/completions")),
        ("http://a/openai/v1/", Some("goes up as /openai/v1/chat/completions")),
        ("http://a/api", Some("goes up as /api/v1/chat/completions")),
        ("http://a/", None),
    ] {
        let loaded = load(&format!("[upstreams.a]\nurl = \"{url}\"\n"), &[]);
        let line = loaded.resolved.iter().find(|r| r.key == "/v1/chat/completions");
        assert_eq!(line.and_then(|r| r.value.as_deref()), sent, "{url}");
    }
}

#[test]
fn no_fault_or_line_holds_a_secret() {
    let text = r#"
[upstreams.a]
url = "http://user:hush@a"
[keys.k]
env = "sk-hush"
[telemetry]
endpoint = "http://me:hush@b"
headers = { "x-api-key" = "hush\n" }
"#;
    let got = faults(text, &[("OTEL_EXPORTER_OTLP_HEADERS", "hush")]);
    assert_eq!(got.len(), 4, "{got:?}");
    assert!(!got.join("\n").contains("hush"), "{got:?}");

    let text = format!("{ONE}[telemetry]\nheaders = {{ \"x-api-key\" = \"hush\" }}\n[keys.k]\nenv = \"K\"\n");
    let loaded = load(&text, &[("K", "hush"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
    assert!(!format!("{loaded:?}").contains("hush"));
    assert_eq!(loaded.settings.keys[0].value.as_ref().map(Secret::expose), Some("hush"));
}

#[test]
fn a_key_whose_variable_is_not_set_is_a_warning() {
    let loaded = load(&format!("{ONE}[keys.k]\nenv = \"K\"\n"), &[("K", "")]);
    assert_eq!(loaded.settings.keys[0].value, None);
    assert_eq!(
        loaded.warnings[0].to_string(),
        "proxy.toml:3: keys.k.env = \"K\", that variable is not set, so requests with this key show under a hash, \
         set K, or take the section out"
    );
    let twins = format!("{ONE}[keys.a]\nenv = \"A\"\n[keys.b]\nenv = \"B\"\n");
    assert!(faults(&twins, &[("A", "same"), ("B", "same")])[0].contains("both variables hold the same key"));
}

#[test]
fn listeners_must_not_share_an_address() {
    let same = |port| format!("{ONE}[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:{port}\"\n");
    assert!(faults(&same(9), &[])[0].contains("two listeners cannot share one address"));
    assert!(sources(&same(0), &[]).load().is_ok());
    assert!(sources(&same(9), &[("LIMPID_ADMIN__ENABLED", "false")]).load().is_ok());
}

#[test]
fn standard_variables_hold_where_the_file_is_silent() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:9/in"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,x-b=a%20b"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_SERVICE_NAME", "edge"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,zone=z1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    let loaded = load(ONE, &env);
    assert_eq!(loaded.warnings, []);
    let t = &loaded.settings.telemetry;
    let (traces, metrics) = (t.traces.as_ref().unwrap(), t.metrics.as_ref().unwrap());
    assert_eq!((traces.endpoint.as_str(), traces.protocol), ("http://t:9/in", Protocol::HttpProtobuf));
    assert_eq!((metrics.endpoint.as_str(), metrics.protocol), ("http://c:4318/", Protocol::Grpc));
    assert_eq!(traces.headers.get("x-b").map(Secret::expose), Some("a b"));
    assert_eq!((traces.timeout, t.metric_interval), (Duration::from_millis(2500), Duration::from_secs(5)));
    assert_eq!((&*t.service_name, t.spans.queue, t.sample_ratio), ("edge", 99, 0.25));
    assert_eq!(t.resource.get("zone").map(|z| &**z), Some("z1"));
    assert_eq!(origin(&loaded, "telemetry", "timeout"), "OTEL_EXPORTER_OTLP_TIMEOUT");

    let file = format!("{ONE}[telemetry]\nendpoint = \"http://f:1\"\nprotocol = \"http/protobuf\"\ntimeout = \"1s\"\n");
    let t = load(&file, &env).settings.telemetry;
    assert_eq!(t.traces.as_ref().unwrap().endpoint, "http://f:1/v1/traces");
    assert_eq!(t.metrics.as_ref().unwrap().endpoint, "http://f:1/v1/metrics");
    assert_eq!(t.metrics.unwrap().timeout, Duration::from_secs(1));
}

#[test]
fn standard_variables_that_limpid_cannot_use_are_warnings() {
    let loaded = load(
        ONE,
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c:4318"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/v1/metrics"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_SERVICE_NAME", " "),
        ],
    );
    let warned: Vec<_> = loaded.warnings.iter().map(|w| w.at.to_string()).collect();
    assert_eq!(warned, ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"]);
    let t = &loaded.settings.telemetry;
    assert_eq!((t.traces.as_ref(), &*t.service_name), (None, "limpid"));
    assert_eq!(t.metrics.as_ref().map(|m| m.endpoint.as_str()), Some("http://m:1/v1/metrics"));
}

#[test]
fn each_standard_variable_of_the_export_does_what_its_specification_says() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "True"),
        ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l:1/in"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "4000"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "30000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "3000"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "7"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "70"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "50"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_PROPAGATORS", "tracecontext,none"),
    ];
    let loaded = load(ONE, &env);
    assert_eq!(loaded.warnings, []);
    let t = &loaded.settings.telemetry;
    let of = |e: &Option<Export>| {
        let e = e.clone().unwrap();
        (e.endpoint, e.protocol, e.compression, e.timeout.as_secs())
    };
    assert_eq!(of(&t.traces), ("https://c:4317".into(), Protocol::Grpc, Compression::Gzip, 4));
    assert_eq!(of(&t.metrics), ("http://c:4317".into(), Protocol::Grpc, Compression::None, 3));
    assert_eq!(of(&t.logs), ("http://l:1/in".into(), Protocol::HttpJson, Compression::Gzip, 9));
    let waiting = Waiting { queue: 7, batch: 512, delay: Duration::from_millis(70) };
    assert_eq!((t.log_records, t.spans.queue), (waiting, 2048));
    assert_eq!((t.temporality, t.histograms), (Temporality::Delta, Histograms::Exponential));
    assert_eq!((t.span_text, t.log_text, t.span_attributes, t.log_attributes), (Some(100), Some(50), Some(20), None));
    assert_eq!(t.propagators, [Propagator::TraceContext]);

    let with = |more: (&'static str, &'static str)| {
        load(ONE, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), more]).settings.telemetry
    };
    let default = with(("X", "1"));
    assert!(default.traces.is_some() && default.metrics.is_some() && default.logs.is_none());
    let off = with(("OTEL_SDK_DISABLED", "true"));
    assert!(off.traces.is_none() && off.metrics.is_none());
    assert!(with(("OTEL_METRICS_EXPORTER", "prometheus")).metrics.is_none());
    let file = format!("{ONE}[telemetry]\nendpoint = \"c:9\"\nlogs = true\n");
    assert_eq!(load(&file, &[]).settings.telemetry.logs.unwrap().endpoint, "https://c:9/v1/logs");
}

#[test]
fn a_standard_variable_that_does_not_read_is_one_warning() {
    for (variable, value) in [
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_PROPAGATORS", "carrier-pigeon"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "deflate"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hush"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "soon"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "hdr"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "none"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_RESOURCE_ATTRIBUTES", "zone"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/no/such/file.pem"),
    ] {
        let loaded = load(ONE, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1"), (variable, value)]);
        let warned: Vec<_> = loaded.warnings.iter().map(|w| w.at.to_string()).collect();
        assert_eq!(warned, [variable]);
        assert!(!loaded.warnings[0].to_string().contains("hush"));
    }
}

#[test]
fn certificates_that_cannot_work_are_faults() {
    let file = format!(
        "{ONE}[telemetry]\nendpoint = \"https://c:1\"\nclient_key_file = \"k.pem\"\n\
                        ca_file = \"/no/such/file.pem\"\n[exchange_log]\nrotate_size = 10\nrotate_age = \"1s\"\n"
    );
    let got = faults(&file, &[]);
    assert_eq!(got.len(), 4, "{got:?}");
    assert!(got.iter().any(|f| f.contains("telemetry.ca_file") && f.contains("it cannot be read")), "{got:?}");
    assert!(got.iter().any(|f| f.contains("there is no client_certificate_file to it")), "{got:?}");
    assert!(got.iter().any(|f| f.contains("the least is 256KiB")), "{got:?}");
    assert!(got.iter().any(|f| f.contains("the least is a minute")), "{got:?}");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let missing = std::env::temp_dir().join("limpid-no-such-file.toml");
    let faults = Sources::gather(Some(&missing), Env::new(), Flags::default()).unwrap_err();
    assert!(faults.to_string().contains("limpid-no-such-file.toml: the settings file cannot be read"), "{faults}");
}

#[test]
fn an_upstreams_key_comes_from_its_variable_and_shows_nowhere() {
    let text = format!("{ONE}api_key_env = \"UP_KEY\"\n");
    let loaded = load(&text, &[("UP_KEY", "sk-canary")]);
    assert_eq!(loaded.settings.upstreams[0].api_key.as_ref().map(Secret::expose), Some("sk-canary"));
    assert!(!format!("{loaded:?}").contains("canary"));
    for env in [&[][..], &[("UP_KEY", "")], &[("UP_KEY", "sk\ncanary")]] {
        let faults = sources(&text, env).load().unwrap_err().to_string();
        assert!(faults.contains("upstreams.default.api_key_env = \"UP_KEY\""), "{faults}");
        assert!(!faults.contains("canary"), "{faults}");
    }
}

#[test]
fn a_file_of_authorities_is_read_at_the_start_and_must_hold_some() {
    let at = |path: &str| format!("{ONE}tls_ca_file = {path:?}\n");
    let loaded = load(&at(CA_FILE), &[]);
    let found = loaded.settings.upstreams[0].tls_authorities.as_ref();
    assert_eq!(format!("{found:?}"), "Some(1 certificate authorities)");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (path, why) in [(manifest, "no certificate"), ("/nowhere/ca.pem", "cannot be read"), ("/dev/zero", "4 MiB")] {
        let told = faults(&at(path), &[]);
        assert!(told.len() == 1 && told[0].contains("tls_ca_file") && told[0].contains(why), "{told:?}");
    }
}

#[test]
fn http2_has_three_choices() {
    assert_eq!(load(ONE, &[]).settings.upstreams[0].http2, UpstreamHttp2::Auto);
    assert_eq!(load(&format!("{ONE}http2 = \"always\"\n"), &[]).settings.upstreams[0].http2, UpstreamHttp2::Always);
    assert!(faults(&format!("{ONE}http2 = true\n"), &[])[0].contains("http2"));
}

#[test]
fn own_prices_are_read_without_a_float() {
    let text = format!(
        "{ONE}[prices.a]\nmodels = [\"m*\"]\ninput = 0.1\noutput = \"0.3000000000001\"\nrequest = \"0.005\"\naudio_minute = 0.006\n\
         [prices.gpu]\nupstreams = [\"default\"]\ngpu_hour_usd = 2.5\ntokens_per_hour = 36_000_000\ncached_input = 0\n"
    );
    let loaded = load(&text, &[]);
    let prices = |i: usize| -> Vec<(&str, String)> {
        loaded.settings.prices[i].prices.iter().map(|(unit, usd)| (*unit, usd.to_string())).collect()
    };
    let text = |s: &str| s.to_owned();
    assert_eq!(
        prices(0),
        [("input", text("0.1")), ("output", text("0.3")), ("request", text("5000")), ("audio_ms", text("0.1"))]
    );
    assert_eq!(
        prices(1),
        [("cached_input", text("0")), ("input", text("0.069444444444")), ("output", text("0.069444444444"))]
    );
    let how = loaded.resolved.iter().find(|r| r.section == "prices.gpu" && r.key == "tokens").unwrap();
    assert_eq!(how.value.as_deref(), Some("2.5 USD / 36000000 tokens = 0.069444444444 USD per million"));
    assert!(!loaded.resolved.iter().any(|r| r.section == "prices.a" && r.key == "gpu_hour_usd"), "not set, not shown");
}

#[test]
fn each_bad_price_is_one_fault() {
    for (entry, part) in [
        ("input = \"1\"", "prices.x, it names neither models nor upstreams"),
        ("models = [\"m\"]", "prices.x, it has no price, add input"),
        ("models = [\"m\"]\ninput = -1", "prices.x.input = -1, that is not an amount"),
        ("models = [\"m\"]\ninput = 0.1234567890123456", "only 15 digits of a bare number are exact"),
        ("models = [\"m\"]\ninput = \"cheap\"", "prices.x.input = \"cheap\", that is not an amount"),
        ("models = [\"m\"]\ncached_input = 1", "cached_input is a part of input, which has no price"),
        ("models = [\"m\"]\nrequest = 19", "prices.x.request = 19, that is too much"),
        ("models = [\"a*b\"]\ninput = 1", "a `*` stands only at the end"),
        ("models = [\"m\"]\ninptu = 1\noutput = 1", "did you mean `input`?"),
        ("upstreams = [\"nope\"]\ninput = 1", "there is no such upstream, name one of default"),
        ("models = [\"m\"]\ngpu_hour_usd = 1", "gpu_hour_usd without a throughput"),
        ("models = [\"m\"]\ntokens_per_hour = 1", "a throughput without gpu_hour_usd"),
        ("models = [\"m\"]\ngpu_hour_usd = 1\ntokens_per_hour = 0", "no tokens at all have no price"),
        (
            "models = [\"m\"]\ngpu_hour_usd = 1\ntokens_per_hour = 1\noutput_tokens_per_hour = 1",
            "counts input and output already",
        ),
        ("models = [\"m\"]\ngpu_hour_usd = 1\ntokens_per_hour = 1\ninput = 1", "gives a price of input too"),
        ("models = [\"m\"]\ngpu_hour_usd = 1000\ntokens_per_hour = 1", "more than 18 million USD"),
        ("models = [\"m\"]\ninput = 1\n[prices.y]\nmodels = [\"M\"]\ninput = 2", "both price the same"),
    ] {
        let found = faults(&format!("{ONE}[prices.x]\n{entry}\n"), &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part), "{found:?}");
    }
}

#[test]
fn a_discount_is_a_share() {
    let with = |discount: &str| format!("{ONE}discount = {discount}\n");
    for (text, shown) in [("\"20%\"", "20%"), ("0.125", "12.5%"), ("0", "0%"), ("\"100%\"", "100%")] {
        assert_eq!(load(&with(text), &[]).settings.upstreams[0].discount.to_string(), shown);
    }
    for text in ["20", "1", "1.5", "\"-5%\"", "\"120%\"", "true"] {
        let found = faults(&with(text), &[]);
        assert!(found.len() == 1 && found[0].contains("upstreams.default.discount"), "{found:?}");
    }
}

#[test]
fn the_conventions_and_what_goes_upstream_of_a_trace() {
    let of = |text: &str, env: &[(&str, &str)]| {
        let loaded = load(&format!("{ONE}[telemetry]\n{text}"), env);
        let shown = loaded.resolved.iter().find(|r| r.key == "trace context upstream").unwrap();
        let t = &loaded.settings.telemetry;
        (t.semconv.as_str(), t.propagate.as_str(), shown.value.clone().unwrap())
    };
    let as_it_came = |semconv, why: &str| (semconv, "as-is", format!("as it came{why}"));
    assert_eq!(of("", &[]), as_it_came("v1.41", ""));
    let opted = [("OTEL_SEMCONV_STABILITY_OPT_IN", "http, gen_ai_latest_experimental")];
    assert_eq!(of("", &opted), as_it_came("latest", ""));
    assert_eq!(of("semconv = \"v1.41\"", &opted), as_it_came("v1.41", ""));
    // A span that nobody exports must not become a parent.
    let child = "propagate = \"child\"\n";
    assert_eq!(of(child, &[]), as_it_came("v1.41", ": no spans are exported that could be a parent"));
    let exported = format!("{child}endpoint = \"http://127.0.0.1:4318\"");
    assert_eq!(of(&exported, &[]).1, "child");
    let baggage = [("OTEL_PROPAGATORS", "baggage")];
    assert_eq!(of(&exported, &baggage), as_it_came("v1.41", ": OTEL_PROPAGATORS has no tracecontext"));
    assert_eq!(
        faults(&format!("{ONE}[telemetry]\nsemconv = \"1.41\"\npropagate = \"ignore\""), &[]),
        [
            "proxy.toml:4: telemetry.semconv = \"1.41\", there is no such choice, write \"v1.41\" or \"latest\"",
            "proxy.toml:5: telemetry.propagate = \"ignore\", there is no such choice, \
             write \"as-is\", \"child\" or \"always\"",
        ]
    );
}

#[test]
fn probes_are_in_whole_seconds() {
    let settings = load(&format!("{ONE}tcp_keepalive = \"0s\"\nhttp2_ping_interval = \"0s\"\n"), &[]).settings;
    let only = &settings.upstreams[0];
    assert_eq!((only.tcp_keepalive, only.http2_ping_interval), (Duration::ZERO, Duration::ZERO));
    assert_eq!((settings.server.tcp_keepalive, settings.server.request_body_timeout), (Duration::from_secs(60), None));
    for bad in ["500ms", "10h"] {
        assert!(faults(&format!("{ONE}tcp_keepalive = \"{bad}\"\n"), &[])[0].contains("tcp_keepalive"));
    }
}

#[test]
fn what_is_no_propagator_of_limpids_is_told_and_the_others_hold() {
    for (value, told) in [("b3,tracecontext", "b3 and b3multi"), ("tracecontext,carrier-pigeon", "a name in it")] {
        let loaded = load(ONE, &[("OTEL_PROPAGATORS", value)]);
        assert_eq!(loaded.settings.telemetry.propagators, [Propagator::TraceContext]);
        assert_eq!(loaded.warnings.len(), 1, "{value}");
        assert!(loaded.warnings[0].what.contains(told) && loaded.warnings[0].to_string().contains("OTEL_PROPAGATORS"));
    }
}

#[test]
fn a_level_in_the_settings_wins_over_rust_log_and_check_shows_which() {
    let shown = |file: &str, env: &[(&'static str, &'static str)]| {
        let loaded = load(file, env);
        let line = loaded.resolved.iter().find(|r| r.key == "lines written").unwrap().clone();
        assert_eq!(line.value.as_deref(), Some(&*loaded.settings.log.filter));
        (loaded.settings.log.filter, line.origin.to_string(), loaded.warnings.len())
    };
    let level = format!("{ONE}[log]\nlevel = \"error\"\n");
    let (filter, origin, _) = shown(&level, &[("RUST_LOG", "trace")]);
    assert_eq!(filter, "warn,limpid=error");
    assert!(origin.contains("wins over RUST_LOG"), "{origin}");
    let (filter, origin, _) = shown(ONE, &[("RUST_LOG", "hyper=debug")]);
    assert_eq!(filter, "hyper=debug");
    assert!(origin.contains("RUST_LOG"), "{origin}");
    let (filter, _, warnings) = shown(ONE, &[("RUST_LOG", "limpid=loud=er")]);
    assert_eq!((&*filter, warnings), ("warn,limpid=info", 1));
}
