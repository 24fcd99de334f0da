//! The command line.
//!
//! `serve` is the default: `limpid --upstream URL` is `limpid serve --upstream URL`. Help is written to teach: every
//! command has an example that runs as it stands. A command that ends by itself gives an [`Output`], so that tests see
//! what a terminal would. Exit codes: 0 done, 1 a fault of the input or settings, 2 a wrong command line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use limpid_core::{Ending, Endpoint};

use crate::settings::{Env, Faults, Flags, Loaded, Sources};

/// Measures LLM inference from the side: relays every byte untouched, and tells latency, tokens, refusals, failures and
/// price.
#[derive(Debug, Parser)]
#[command(
    name = "limpid",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  limpid --upstream http://127.0.0.1:8000   in front of a vLLM
  limpid --config proxy.toml                with settings
  limpid demo                               see it at work without a backend
  limpid check                              what the settings come to, and why

Clients then use http://127.0.0.1:4800/v1 as base URL; the dashboard is at
http://127.0.0.1:4801/. Any setting can be given as LIMPID_<SECTION>__<KEY>.
Exit codes: 0 done, 1 a fault of the input or settings, 2 a wrong command line."
)]
pub struct Cli {
    /// What to do; without one, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// `serve`'s, where there is no command.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy (the default).
    #[command(after_help = "\
Example:
  limpid serve --upstream http://127.0.0.1:8000 --exchange-log -
  curl http://127.0.0.1:4800/v1/models           in another terminal

The dashboard is then at http://127.0.0.1:4801/.")]
    Serve(Box<ServeArgs>),
    /// Run a simulated backend, the proxy, mixed traffic and the dashboard in one process.
    #[command(after_help = "\
Example:
  limpid demo --seconds 20        ends by itself; without --seconds, at Ctrl-C

A summary comes at the end. Settings apply as LIMPID_<SECTION>__<KEY>.")]
    Demo(DemoArgs),
    /// Run the simulated backend alone.
    #[command(after_help = "\
Examples:
  limpid sim --ttft 200ms --gap 20ms --tokens 100
  limpid sim --fault cut_off:20                  breaks off after 20 chunks
  limpid sim --set '{\"stall_after\":10,\"stall_ms\":3000}'

A request can ask for more by its model (sim-fast, sim-slow, sim-flaky, …) or
its body's \"sim\" member, whose names are those of --set. Faults: status:N,
rate_limited:S, quota, context_length, content_filter, in_stream_error:N,
cut_off:N, truncate:N, never_answer, hang_up, stall_forever:N, junk:N.")]
    Sim(Box<SimArgs>),
    /// Validate the settings and print what they come to.
    #[command(after_help = "\
Example:
  limpid check --config proxy.toml

Prints every setting with its value and where it came from (file line, variable,
flag or default), secrets masked. With faults: exit code 1 and a line
`file:line: what, why, mend` for each. A variable of [keys] that is not set is a
warning: its requests still pass, under a hash.")]
    Check(SettingsArgs),
    /// Feed a recorded response to the observer and print the settled record.
    #[command(after_help = "\
Examples:
  limpid inspect --endpoint chat --content-type text/event-stream reply.sse
  curl -sN … | limpid inspect --endpoint chat --request request.json
  limpid inspect --endpoint messages --status 529 error.json

Nothing goes over the network. A recording has no clock, so the record has no
times; all else is what the running proxy would record.")]
    Inspect(InspectArgs),
    /// Tell the price of a model, or of a usage, with each part explained.
    #[command(after_help = "\
Examples:
  limpid price gpt-4o-mini
  limpid price claude-sonnet-4-5 --provider anthropic \\
    --usage '{\"input_tokens\":1000,\"output_tokens\":200,\"cached_input_tokens\":60}'
  limpid price llama-70b --config proxy.toml --upstream vllm-a

The members of a usage are those of the exchange log: input_tokens (all of them,
cached ones included), output_tokens, cached_input_tokens,
cache_write_input_tokens, cache_write_1h_input_tokens, audio_input_tokens,
image_input_tokens, reasoning_output_tokens, audio_output_tokens,
audio_ms, web_searches.")]
    Price(PriceArgs),
}

/// What settings come from.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// The settings file; without it ./proxy.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The backend's URL: sets the upstream named `default`; alone, it needs no file.
    // Checked as a setting, not here: clap would quote it, with a password in it.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Where clients connect [default: 127.0.0.1:4800].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Where health, metrics, API and dashboard are [default: 127.0.0.1:4801].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub admin: Option<SocketAddr>,
    /// Append one JSON line for each finished exchange to FILE; `-` is standard output.
    #[arg(long, value_name = "FILE|-")]
    pub exchange_log: Option<String>,
}

/// `limpid serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// What settings come from.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Once it listens, write {"data":"ip:port","admin":"ip:port"} to FILE; for ports chosen by the system (port 0).
    #[arg(long, value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,
}

/// `limpid demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// End after so many seconds; without it, at Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// Where clients could connect [default: 127.0.0.1:4800].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Where the dashboard is [default: 127.0.0.1:4801].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub admin: Option<SocketAddr>,
    /// Open the dashboard in the browser.
    #[arg(long)]
    pub open: bool,
}

/// `limpid sim`.
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// Where it listens.
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:4802")]
    pub listen: SocketAddr,
    /// From the request to the first token [default: 50ms].
    #[arg(long, value_name = "TIME")]
    pub ttft: Option<humantime::Duration>,
    /// Between chunks [default: 10ms].
    #[arg(long, value_name = "TIME")]
    pub gap: Option<humantime::Duration>,
    /// A random delay of each chunk, at most so much (and at most the gap).
    #[arg(long, value_name = "TIME")]
    pub jitter: Option<humantime::Duration>,
    /// Output tokens of a reply [default: 50].
    #[arg(long, value_name = "N")]
    pub tokens: Option<u32>,
    /// Tokens in one chunk [default: 1].
    #[arg(long, value_name = "N")]
    pub tokens_per_chunk: Option<u32>,
    /// Reasoning tokens before the text [default: 0].
    #[arg(long, value_name = "N")]
    pub reasoning_tokens: Option<u32>,
    /// When token counts are reported: `never`, `if_asked`, `always` or `continuous` [default: `if_asked`].
    #[arg(long, value_name = "MODE", value_parser = named::<limpid_sim::UsageMode>)]
    pub usage: Option<limpid_sim::UsageMode>,
    /// What the reply is: `text`, `tool_call`, `refusal` or `refusal_text` [default: `text`].
    #[arg(long, value_name = "KIND", value_parser = named::<limpid_sim::Output>)]
    pub output: Option<limpid_sim::Output>,
    /// What goes wrong in every reply, such as `status:503` or `cut_off:20`; see below.
    #[arg(long, value_name = "FAULT")]
    pub fault: Option<limpid_sim::Fault>,
    /// Close the connection after each reply although keep-alive was said, as llama.cpp does.
    #[arg(long)]
    pub close_after_reply: bool,
    /// Anything else of the schedule, as JSON with the names of a request's "sim" member; the flags win over it.
    #[arg(long, value_name = "JSON", value_parser = json::<limpid_sim::Overrides>)]
    pub set: Option<limpid_sim::Overrides>,
    /// For what is random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// `limpid inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// The API that was called.
    #[arg(long, value_name = "NAME", value_parser = endpoints())]
    pub endpoint: Endpoint,
    /// The response's status; without it 200, or none where nothing came: an empty body that did not `end`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub status: Option<u16>,
    /// The response's Content-Type; without it, guessed from the body (event stream, NDJSON or JSON).
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// The response's Content-Encoding: gzip, deflate, br or zstd.
    #[arg(long, value_name = "CODING")]
    pub content_encoding: Option<String>,
    /// How the body ended.
    #[arg(long, value_name = "HOW", default_value = "end", value_parser = endings())]
    pub ending: Ending,
    /// The upstream's provider (openai, anthropic, …); it chooses the prices.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// The request as JSON: method, path, headers (an object, or pairs), and body (JSON) or `body_text`.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// Take this settings file's patterns of refusals, own prices and discounts into account.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The upstream of that file which replied, with its provider, prices and discount; without it the only one, if
    /// there is one.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub upstream: Option<String>,
    /// The response's body; `-`, or nothing, is standard input.
    #[arg(value_name = "FILE|-", default_value = "-")]
    pub body: PathBuf,
}

/// `limpid price`.
#[derive(Debug, Clone, Args)]
pub struct PriceArgs {
    /// The model's name, as a reply tells it.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The provider; without it the model's maker is looked for.
    #[arg(long, value_name = "P")]
    pub provider: Option<String>,
    /// Price this usage; its members are those of the exchange log.
    #[arg(long, value_name = "JSON")]
    pub usage: Option<String>,
    /// The service tier that served it, such as flex, priority or batch.
    #[arg(long, value_name = "TIER")]
    pub tier: Option<String>,
    /// Take the own prices and discounts of this settings file into account.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The upstream of that file which serves it, with its provider and discount; without it the only one, if there is one.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub upstream: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl Cli {
    /// The command, `serve` where none is named.
    pub fn chosen(self) -> Command {
        self.command.unwrap_or(Command::Serve(Box::new(self.serve)))
    }
}

impl SettingsArgs {
    /// Resolves the settings, or tells every fault.
    pub fn load(&self, env: Env) -> Result<Loaded, Faults> {
        let flags = Flags {
            upstream: self.upstream.clone(),
            listen: self.listen.map(|a| a.to_string()),
            admin: self.admin.map(|a| a.to_string()),
            exchange_log: self.exchange_log.clone(),
        };
        Sources::gather(self.config.as_deref(), env, flags)?.load()
    }

    /// The settings file that is read.
    pub fn file(&self) -> Option<&Path> {
        let default = Path::new(crate::settings::DEFAULT_FILE);
        self.config.as_deref().or(default.exists().then_some(default))
    }
}

/// What a command that ends by itself leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// The exit code.
    pub code: u8,
}

impl Output {
    /// It worked.
    pub fn done(stdout: String) -> Output {
        Output { stdout, ..Output::default() }
    }

    /// A fault of the input, in one line.
    pub fn fault(message: impl std::fmt::Display) -> Output {
        Output { stderr: format!("limpid: {message}\n"), code: 1, ..Output::default() }
    }

    /// Prints it as far as that goes within a second: a command that ran on must end, whether somebody reads or not.
    pub fn print_in_time(self) -> ExitCode {
        let (code, (printed, ended)) = (self.code, std::sync::mpsc::channel());
        let output = std::sync::Arc::new(self);
        let of_thread = std::sync::Arc::clone(&output);
        let printing = std::thread::Builder::new().spawn(move || {
            of_thread.print();
            let _nobody_waits = printed.send(());
        });
        if printing.is_ok() {
            let _in_time_or_not = ended.recv_timeout(std::time::Duration::from_secs(1));
        } else {
            // That there is no thread may be the very fault that is to be told.
            output.print();
        }
        ExitCode::from(code)
    }

    /// Prints it. A reader that has gone (`limpid check | head`) is no fault.
    pub fn print(&self) -> ExitCode {
        let _ = std::io::stdout().lock().write_all(self.stdout.as_bytes());
        let _ = std::io::stderr().lock().write_all(self.stderr.as_bytes());
        ExitCode::from(self.code)
    }
}

/// A name could stand for several addresses, so only numbers name a listener.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:4800")
}

fn endpoints() -> impl TypedValueParser<Value = Endpoint> {
    let names = PossibleValuesParser::new(Endpoint::ALL.iter().map(|e| e.as_str()));
    names.try_map(|name| Endpoint::from_name(&name).ok_or("no such endpoint"))
}

/// A recording has these endings; a shutdown leaves none.
fn endings() -> impl TypedValueParser<Value = Ending> {
    let names = PossibleValuesParser::new([Ending::End, Ending::UpstreamError, Ending::ClientGone].map(Ending::as_str));
    names.try_map(|name| Ending::from_name(&name).ok_or("no such ending"))
}

/// A value by the name that JSON has for it.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::Value::from(name))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}
