//! Who takes part, and with which settings.
//!
//! Everyone gets as many threads as there are cores, no access log, no buffering of replies, a pool of kept connections
//! to the backend that does not run out, and as many connections as the descriptors allow. Who is not installed is left
//! out, with the reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::Failure;
use crate::load::Target;
use crate::process::{Process, Warden};

/// What contenders are started with.
pub(crate) struct Site {
    pub(crate) warden: Rc<Warden>,
    pub(crate) work: PathBuf,
    pub(crate) backend: u16,
    pub(crate) otlp: u16,
    /// Connections that one process can hold, client's and backend's side together.
    pub(crate) connections: u64,
}

/// One of those compared.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) version: String,
    kind: Kind,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Direct,
    Limpid,
    LimpidPinned,
    LimpidUnobserving,
    Nginx,
    NginxPinned,
    HaProxy,
    Envoy,
    Caddy,
    Traefik,
    LiteLlm,
}

/// How one is started, where that differs from the usual.
#[derive(Default)]
pub(crate) struct Setup {
    /// The backend is spoken to in HTTP/2, with prior knowledge.
    pub(crate) h2c: bool,
    /// limpid's settings, as `proxy.toml` has them; they name the upstreams.
    pub(crate) settings: Option<String>,
    /// Further variables of its environment.
    pub(crate) env: Vec<(String, String)>,
}

/// A contender that runs.
pub(crate) struct Running {
    /// None: the backend itself.
    pub(crate) process: Option<Process>,
    pub(crate) target: Target,
    /// limpid's second listener.
    pub(crate) admin: Option<u16>,
}

/// Those that are installed, and why the others are not.
pub(crate) fn find(peers: &Path) -> (Vec<Contender>, Vec<String>) {
    let limpid = std::env::var_os("LIMPID").map_or_else(|| env!("CARGO_BIN_EXE_limpid").into(), PathBuf::from);
    let mut all = vec![
        Contender { name: "direct".into(), version: String::new(), kind: Kind::Direct, program: PathBuf::new() },
        Contender::of("limpid", Kind::Limpid, limpid.clone(), "--version"),
        Contender::of("limpid, pinned", Kind::LimpidPinned, limpid.clone(), "--version"),
        Contender::of("limpid, unobserving", Kind::LimpidUnobserving, limpid, "--version"),
    ];
    let also = std::env::var("ALSO").unwrap_or_default();
    for path in also.split(':').filter(|path| !path.is_empty()) {
        all.push(Contender::of(path, Kind::Limpid, path.into(), "--version"));
    }
    let mut left_out = Vec::new();
    for (name, program, kind, flag) in [
        ("nginx", "nginx", Kind::Nginx, "-v"),
        ("nginx, pinned", "nginx", Kind::NginxPinned, "-v"),
        ("HAProxy", "haproxy", Kind::HaProxy, "-v"),
        ("Envoy", "envoy", Kind::Envoy, "--version"),
        ("Caddy", "caddy", Kind::Caddy, "version"),
        ("Traefik", "traefik", Kind::Traefik, "version"),
        ("LiteLLM", "litellm", Kind::LiteLlm, "--version"),
    ] {
        match installed(peers, program) {
            Some(path) => all.push(Contender::of(name, kind, path, flag)),
            None => left_out.push(format!("{name} is left out: no {program} in {} or on the PATH", peers.display())),
        }
    }
    if let Ok(only) = std::env::var("PROXIES") {
        let wanted: Vec<_> = only.split(',').map(str::trim).collect();
        // A comma parts the names, so that of `limpid, unobserving` is its second half.
        let is = |one: &Contender, name: &str| {
            one.name.eq_ignore_ascii_case(name)
                || one.name.rsplit(", ").next().is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        all.retain(|one| one.kind == Kind::Direct || wanted.iter().any(|name| is(one, name)));
        left_out.clear();
    }
    (all, left_out)
}

fn installed(peers: &Path, program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(peers.to_owned())
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

impl Contender {
    fn of(name: &str, kind: Kind, program: PathBuf, flag: &str) -> Contender {
        let version = version(&program, flag);
        Contender { name: name.to_owned(), version, kind, program }
    }

    /// Whether it is the backend itself.
    pub(crate) fn is_direct(&self) -> bool {
        self.kind == Kind::Direct
    }

    /// Whether it is far too slow for any but the smallest plan.
    pub(crate) fn is_slow(&self) -> bool {
        self.kind == Kind::LiteLlm
    }

    /// Whether it is limpid with everything on.
    pub(crate) fn is_observing(&self) -> bool {
        self.kind == Kind::Limpid
    }

    /// Whether it is limpid or nginx, in the plain variants.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Limpid | Kind::LimpidUnobserving | Kind::Nginx)
    }

    /// Whether it can speak HTTP/2 without TLS to the backend, or is that itself.
    pub(crate) fn speaks_h2c(&self) -> bool {
        matches!(self.kind, Kind::Direct | Kind::Limpid | Kind::LimpidUnobserving | Kind::Envoy)
    }

    /// Starts it, on a port of its own.
    pub(crate) async fn start(&self, site: &Site) -> Result<Running, Failure> {
        self.start_with(site, &Setup::default()).await
    }

    /// Starts it so.
    pub(crate) async fn start_with(&self, site: &Site, setup: &Setup) -> Result<Running, Failure> {
        let exact = self.kind != Kind::LiteLlm;
        if self.kind == Kind::Direct {
            return Ok(Running { process: None, target: Target { port: site.backend, exact }, admin: None });
        }
        let (port, admin) = (free_port()?, free_port()?);
        let work = site.work.join(format!("{port}"));
        std::fs::create_dir_all(&work)?;
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Limpid => limpid(&mut command, site, setup, port, admin, Some(&work))?,
            Kind::LimpidPinned => {
                limpid(&mut command, site, setup, port, admin, Some(&work))?;
                command.env("LIMPID_SERVER__PIN_WORKERS", "true");
            }
            Kind::LimpidUnobserving | Kind::Direct => limpid(&mut command, site, setup, port, admin, None)?,
            Kind::Nginx => nginx(&mut command, site, port, &work, "")?,
            Kind::NginxPinned => nginx(&mut command, site, port, &work, "worker_cpu_affinity auto; ")?,
            Kind::HaProxy => haproxy(&mut command, site, port, &work)?,
            Kind::Envoy => envoy(&mut command, site, port, &work, setup.h2c)?,
            Kind::Caddy => caddy(&mut command, site, port, &work)?,
            Kind::Traefik => traefik(&mut command, site, port, &work)?,
            Kind::LiteLlm => litellm(&mut command, site, port, &work)?,
        }
        let patience = Duration::from_secs(if self.is_slow() { 180 } else { 20 });
        let process = Process::start(&site.warden, &mut command, port, &work.join("log"), patience).await;
        let process = process.map_err(|why| format!("{}: {why}", self.name))?;
        let admin = matches!(self.kind, Kind::Limpid | Kind::LimpidPinned | Kind::LimpidUnobserving).then_some(admin);
        Ok(Running { process: Some(process), target: Target { port, exact }, admin })
    }
}

/// A port of the loopback that nobody has; it is not held, so another could take it before it is used.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The first number with a dot that a program says of itself.
fn version(program: &Path, flag: &str) -> String {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c)));
    let versions = words.map(|word| word.trim_start_matches('v'));
    versions
        .filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .next()
        .unwrap_or_default()
}

/// `log`: everything on, with OTLP to the sink; none: a relay that looks at nothing and tells nobody.
fn limpid(
    command: &mut Command,
    site: &Site,
    setup: &Setup,
    port: u16,
    admin: u16,
    log: Option<&Path>,
) -> Result<(), Failure> {
    command.arg("serve");
    if let Some(settings) = &setup.settings {
        let file = site.work.join(format!("{port}.toml"));
        std::fs::write(&file, settings)?;
        command.arg("--config").arg(file);
    } else {
        command.args(["--upstream", &format!("http://127.0.0.1:{}", site.backend)]);
    }
    if setup.h2c {
        command.env("LIMPID_UPSTREAMS__DEFAULT__HTTP2", "always");
    }
    command
        .args(["--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
        .envs(setup.env.iter().map(|(name, value)| (name, value)))
        .env("LIMPID_LOG__LEVEL", "warn")
        .env("LIMPID_SERVER__DRAIN_TIMEOUT", "0s");
    match log {
        Some(work) => command
            .arg("--exchange-log")
            .arg(work.join("exchanges.jsonl"))
            .env("LIMPID_TELEMETRY__ENDPOINT", format!("http://127.0.0.1:{}", site.otlp))
            .env("LIMPID_TELEMETRY__PROTOCOL", "http/protobuf")
            .env("LIMPID_TELEMETRY__SAMPLE_RATIO", "1.0")
            .env("LIMPID_TELEMETRY__SPAN_DELAY", "500ms")
            .env("LIMPID_TELEMETRY__METRIC_INTERVAL", "5s"),
        None => command.env("LIMPID_OBSERVE__ENABLED", "false"),
    };
    Ok(())
}

fn nginx(command: &mut Command, site: &Site, port: u16, work: &Path, more: &str) -> Result<(), Failure> {
    let (backend, connections, file) = (site.backend, site.connections, work.join("nginx.conf"));
    let (workers, work) = (cores(), work.display());
    let text = format!(
        "daemon off; worker_processes {workers}; {more}pid {work}/pid; error_log {work}/error.log;
events {{ worker_connections {connections}; }}
http {{ access_log off; client_body_temp_path {work}/b; proxy_temp_path {work}/p;
fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
keepalive_requests 100000000; tcp_nodelay on;
upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://backend; proxy_http_version 1.1;
proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 1h; }} }} }}\n"
    );
    std::fs::write(&file, text)?;
    command.arg("-c").arg(file);
    Ok(())
}

fn haproxy(command: &mut Command, site: &Site, port: u16, work: &Path) -> Result<(), Failure> {
    let (file, maxconn) = (work.join("haproxy.cfg"), site.connections / 2 - 100);
    let (backend, threads) = (site.backend, cores());
    let text = format!(
        "global\n  nbthread {threads}\n  maxconn {maxconn}\n\
         defaults\n  mode http\n  maxconn {maxconn}\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  \
         option http-no-delay\n  http-reuse always\n\
         frontend f\n  bind 127.0.0.1:{port} backlog 4096\n  default_backend b\n\
         backend b\n  server s 127.0.0.1:{backend}\n"
    );
    std::fs::write(&file, text)?;
    command.arg("-db").arg("-f").arg(file);
    Ok(())
}

fn envoy(command: &mut Command, site: &Site, port: u16, work: &Path, h2c: bool) -> Result<(), Failure> {
    let (backend, file) = (site.backend, work.join("envoy.json"));
    let manager = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "stream_idle_timeout": "0s", "generate_request_id": false,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes":
            [{"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config":
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    });
    let limits = serde_json::json!({"max_connections": 1_000_000, "max_pending_requests": 1_000_000,
        "max_requests": 1_000_000});
    let address = |port| serde_json::json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    // It sends streams before it has read how many the backend takes, and loses those beyond: so it is told.
    let (protocol, options) = if h2c {
        ("http2_protocol_options", serde_json::json!({"max_concurrent_streams": crate::h2c::STREAMS}))
    } else {
        ("http_protocol_options", serde_json::json!({}))
    };
    let protocol = serde_json::json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {protocol: options}}});
    let text = serde_json::json!({"static_resources": {
        "listeners": [{"name": "in", "address": address(port), "filter_chains": [{"filters":
            [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
        "clusters": [{"name": "backend", "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": protocol,
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints":
                [{"endpoint": {"address": address(backend)}}]}]}}],
    }});
    std::fs::write(&file, text.to_string())?;
    command.arg("-c").arg(file).args(["--concurrency", &cores().to_string(), "--log-level", "error"]);
    command.arg("--disable-hot-restart");
    Ok(())
}

fn caddy(command: &mut Command, site: &Site, port: u16, work: &Path) -> Result<(), Failure> {
    let (backend, file) = (site.backend, work.join("Caddyfile"));
    let text = format!(
        "{{\n  admin off\n  auto_https off\n  persist_config off\n  log {{\n    level ERROR\n  }}\n}}\n\
         http://:{port} {{\n  bind 127.0.0.1\n  reverse_proxy 127.0.0.1:{backend} {{\n    flush_interval -1\n    \
         transport http {{\n      keepalive_idle_conns 1024\n      keepalive_idle_conns_per_host 256\n    }}\n  }}\n}}\n"
    );
    std::fs::write(&file, text)?;
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", work).env("XDG_DATA_HOME", work).env("XDG_CONFIG_HOME", work);
    Ok(())
}

fn traefik(command: &mut Command, site: &Site, port: u16, work: &Path) -> Result<(), Failure> {
    // JSON is YAML, and Traefik wants YAML or TOML.
    let (backend, file) = (site.backend, work.join("routes.yml"));
    let text = serde_json::json!({"http": {
        "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "backend", "entryPoints": ["in"]}},
        "services": {"backend": {"loadBalancer": {"servers": [{"url": format!("http://127.0.0.1:{backend}")}]}}},
    }});
    std::fs::write(&file, text.to_string())?;
    command.arg(format!("--entryPoints.in.address=127.0.0.1:{port}"));
    command.arg("--serversTransport.maxIdleConnsPerHost=256");
    command.arg(format!("--providers.file.filename={}", file.display()));
    command.args(["--log.level=ERROR", "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]);
    Ok(())
}

fn litellm(command: &mut Command, site: &Site, port: u16, work: &Path) -> Result<(), Failure> {
    let file = work.join("litellm.yml");
    let api_base = format!("http://127.0.0.1:{}/v1", site.backend);
    let text = serde_json::json!({
        "model_list": [{"model_name": "bench",
            "litellm_params": {"model": "openai/bench", "api_base": api_base, "api_key": "sk-bench"}}],
        // It checks no key, as the others do not; it listens on the loopback only.
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": true},
    });
    std::fs::write(&file, text.to_string())?;
    command.arg("--config").arg(file).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--num_workers", "1", "--telemetry", "False"]);
    // Its price list, from the package instead of from the net.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR").current_dir(work);
    Ok(())
}
