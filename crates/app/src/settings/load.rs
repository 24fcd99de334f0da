//! From file, environment and flags to [`Settings`].
//!
//! Flags win over the environment, which wins over the file, which wins over the defaults; value by value. All faults
//! of all sections are found in one run, except that a file which is not TOML gives its syntax errors alone.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::capture::{self, Capture, Redaction};
use super::env::{Env, NAMED, insert, lay_over};
use super::faults::{Fault, Faults, Origin, nearest};
use super::keys::{self, Key};
use super::labels::{self, Label};
use super::prices::{self, PriceEntry};
use super::reader::{Reader, Report, Resolved, table_of};
use super::tree::{self, Item, Table};
use super::upstreams::{self, Upstream};
use super::{
    Admin, ExchangeLog, Insight, Log, Observe, Record, Refusals, Routing, Server, Settings, Telemetry, Tokens,
};

/// The file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "proxy.toml";

/// The sections, in the order of `proxy.toml`.
const SECTIONS: [&str; 17] = [
    "server",
    "admin",
    "upstreams",
    "routing",
    "keys",
    "labels",
    "prices",
    "observe",
    "tokens",
    "capture",
    "redactions",
    "refusals",
    "record",
    "exchange_log",
    "telemetry",
    "insight",
    "log",
];

/// All that settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The settings file's name, for faults, and its text. Absent where there is none.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub env: Env,
    /// The command line.
    pub flags: Flags,
}

/// The flags that are settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--upstream`: the URL of the upstream named `default`.
    pub upstream: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--exchange-log`.
    pub exchange_log: Option<String>,
}

/// Settings that hold, and how they came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every setting with its value and origin, by section, in the order of `proxy.toml`.
    pub resolved: Vec<Resolved>,
    /// What is odd but does no harm; to be logged.
    pub warnings: Vec<Fault>,
}

impl Sources {
    /// Reads the file: `config`, or else `proxy.toml` in the working directory if it is there.
    pub fn gather(config: Option<&Path>, env: Env, flags: Flags) -> Result<Sources, Faults> {
        let path = config.unwrap_or(Path::new(DEFAULT_FILE));
        let file = match std::fs::read_to_string(path) {
            Ok(text) => Some((path.to_owned(), text)),
            Err(e) if config.is_none() && e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                let file = Arc::from(path.to_string_lossy());
                return Err(Faults(vec![Fault {
                    at: Origin::File { file, line: 0 },
                    what: "the settings file cannot be read".to_owned(),
                    why: e.to_string(),
                    mend: "name a readable file with --config".to_owned(),
                }]));
            }
        };
        Ok(Sources { file, env, flags })
    }

    /// Resolves them to settings that hold, or tells every fault.
    pub fn load(&self) -> Result<Loaded, Faults> {
        let mut report = Report::default();
        let mut tree = match &self.file {
            Some((path, text)) => tree::parse(text, &Arc::from(path.to_string_lossy())).map_err(Faults::sorted)?,
            None => Table::new(),
        };
        lay_over(&mut tree, &self.env, &mut report);
        self.flags.lay_over(&mut tree);
        let settings = read(tree, &self.env, &mut report);
        match settings {
            Some(settings) if report.faults.is_empty() => {
                Ok(Loaded { settings, resolved: report.resolved, warnings: report.warnings })
            }
            _ => Err(Faults::sorted(report.faults)),
        }
    }
}

impl Flags {
    fn lay_over(&self, tree: &mut Table) {
        let flags: [(&Option<String>, &'static str, &[&str]); 4] = [
            (&self.upstream, "--upstream", &["upstreams", "default", "url"]),
            (&self.listen, "--listen", &["server", "listen"]),
            (&self.admin, "--admin", &["admin", "listen"]),
            (&self.exchange_log, "--exchange-log", &["exchange_log", "file"]),
        ];
        for (value, flag, path) in flags {
            if let Some(text) = value {
                let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
                insert(tree, &path, Item::from_text(text, Origin::Flag(flag)));
            }
        }
    }
}

/// `None` only after a fault.
fn read(tree: Table, env: &Env, report: &mut Report) -> Option<Settings> {
    let told = report.faults.len();
    let mut sections = Sections::of(tree, report);
    let bad_sections = report.faults.len() > told;
    let server = Server::read(sections.reader("server", report));
    let admin = Admin::read(sections.reader("admin", report));
    let told = report.faults.len();
    let upstreams = sections.named("upstreams", report, |name, r| Upstream::read(name, env, r));
    let bad_upstreams = report.faults.len() > told;
    // A misspelt section, or an upstream with a fault, may be the one that is missing.
    if upstreams.is_empty() && !bad_sections && !bad_upstreams {
        report.faults.push(Fault {
            at: Origin::Default,
            what: "no upstream".to_owned(),
            why: "there is nowhere to send requests".to_owned(),
            mend: "run limpid --upstream http://127.0.0.1:8000, or write [upstreams.default] with a url".to_owned(),
        });
    }
    let settings = Settings {
        server,
        admin,
        upstreams,
        routing: Routing::read(sections.reader("routing", report)),
        keys: sections.named("keys", report, |name, r| Key::read(name, env, r)),
        labels: sections.named("labels", report, Label::read),
        prices: sections.named("prices", report, PriceEntry::read),
        observe: Observe::read(sections.reader("observe", report)),
        tokens: Tokens::read(sections.reader("tokens", report)),
        capture: Capture::read(sections.reader("capture", report)),
        redactions: sections.named("redactions", report, Redaction::read),
        refusals: Refusals::read(sections.reader("refusals", report)),
        record: Record::read(sections.reader("record", report)),
        exchange_log: ExchangeLog::read(sections.reader("exchange_log", report)),
        telemetry: Telemetry::read(env, sections.reader("telemetry", report)),
        insight: Insight::read(sections.reader("insight", report)),
        log: Log::read(env, sections.reader("log", report)),
    };
    check_together(&settings, report);
    (!settings.upstreams.is_empty()).then_some(settings)
}

/// What no section can see alone.
fn check_together(settings: &Settings, report: &mut Report) {
    let mut r = Reader::new("settings".to_owned(), Table::new(), Origin::Default, report);
    upstreams::refuse_twins(&settings.upstreams, &mut r);
    upstreams::refuse_loops(&settings.upstreams, settings.server.listen, &mut r);
    settings.routing.check(&settings.upstreams, &mut r);
    keys::refuse_twins(&settings.keys, &mut r);
    capture::check_together(settings, &mut r);
    labels::refuse_many(&settings.labels, &mut r);
    prices::check_together(&settings.prices, &settings.upstreams, &mut r);
    let (data, admin) = (settings.server.listen, settings.admin.listen);
    if settings.admin.enabled && data == admin && data.port() != 0 {
        let what = format!("server.listen and admin.listen = \"{data}\"");
        r.fault(Origin::Default, what, "two listeners cannot share one address", "give one of them another port");
    }
}

struct Sections {
    found: BTreeMap<&'static str, (Table, Origin)>,
}

impl Sections {
    /// Takes the sections out of the tree; what is left of it is unknown.
    fn of(mut tree: Table, report: &mut Report) -> Sections {
        let mut found = BTreeMap::new();
        for name in SECTIONS {
            if let Some(item) = tree.remove(name) {
                let header = if NAMED.contains(&name) { format!("{name}.NAME") } else { name.to_owned() };
                let mend = format!("write [{header}] on a line of its own and the settings below it");
                if let Some(table) = table_of(item, name, &mend, report) {
                    found.insert(name, table);
                }
            }
        }
        for (name, item) in tree {
            let mend = match nearest(&name, SECTIONS) {
                Some(near) if matches!(item.origin, Origin::Env(_)) => format!("did you mean the section `{near}`?"),
                Some(near) => format!("did you mean [{near}]?"),
                None => format!("take it out, or write one of {}", SECTIONS.join(", ")),
            };
            let what = format!("unknown section `{name}`");
            report.faults.push(Fault { at: item.origin, what, why: "limpid has no such section".to_owned(), mend });
        }
        Sections { found }
    }

    fn reader<'a>(&mut self, name: &'static str, report: &'a mut Report) -> Reader<'a> {
        let (table, origin) = self.found.remove(name).unwrap_or((Table::new(), Origin::Default));
        Reader::new(name.to_owned(), table, origin, report)
    }

    /// Reads each table of a section whose tables have names.
    fn named<T>(
        &mut self,
        section: &'static str,
        report: &mut Report,
        read: impl Fn(&str, Reader<'_>) -> Option<T>,
    ) -> Vec<T> {
        let (tables, _) = self.found.remove(section).unwrap_or((Table::new(), Origin::Default));
        let mut all = Vec::new();
        for (name, item) in tables {
            let full = format!("{section}.{name}");
            let mend = format!("give it a name of your choice: [{section}.NAME]");
            if let Some((table, origin)) = table_of(item, &full, &mend, report) {
                all.extend(read(&name, Reader::new(full, table, origin, report)));
            }
        }
        all
    }
}
