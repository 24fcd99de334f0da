//! `limpid inspect`: a recorded response through the observer and the settlement, to the record that they make of it.
//!
//! The record is that of the running proxy, less what a recording cannot tell. A recorded body has no clock: it is fed
//! at one moment, and every mark, gap and duration that would come of that is left out of the record, and so are the
//! trace (unless the request carried one), the attempts, and what no `--request` tells. `id` and `started_at` are those
//! of the inspection, whose date also chooses the prices; `bytes.response` is the body's real size.
//!
//! Without `--config` refusals and prices are judged as with no settings. With it the file's patterns, own prices and
//! discounts hold too.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use limpid_core::{
    ByteCounts, Caller, Ending, Endpoint, ExchangeId, ExchangeRecord, GapHistogram, KeptText, Observation,
    RelayFailure, RequestFacts, StreamMarks, TextBudget, TextGone, Tick, Timeline, UpstreamInfo,
};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use limpid_route::{KeyNames, ModelIn, classify, model_in};
use limpid_settle::tokens::Texts;
use limpid_settle::{Settler, Unsettled};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::{InspectArgs, Output};
use crate::price_cmd;
use crate::settings::{Env, Observe, Tokens};
use crate::wiring;

/// Inspects at `now`. Exit code 1 for a file that cannot be read, a `--request` that does not read, settings with faults
/// and an unknown upstream.
pub fn run(args: &InspectArgs, stdin: &mut dyn Read, env: Env, now: SystemTime) -> Output {
    let judge = match Judge::new(args, env) {
        Ok(judge) => judge,
        Err(fault) => return fault,
    };
    let request = match args.request.as_deref().map(Request::read).transpose() {
        Ok(request) => request.unwrap_or_default(),
        Err(fault) => return Output::fault(fault),
    };
    let body = match read_body(&args.body, stdin) {
        Ok(body) => body,
        Err(e) => return Output::fault(format_args!("cannot read {}: {e}", args.body.display())),
    };
    let nothing_came = body.is_empty() && args.ending != Ending::End;
    let status = args.status.or((!nothing_came).then_some(200));
    let (seen, reply) = status.map(|status| observe(args, status, &body)).unwrap_or_default();
    let mut exchange = unsettled(args, status, &request, seen, body.len() as u64, now);
    exchange.upstream = judge.upstream;
    exchange.estimate(&Texts {
        request: request.kept(),
        reply: reply.as_ref().map_or(Err(TextGone::NotKept), KeptText::get),
    });
    let record = judge.settler.record(exchange);
    match print(&record, &request) {
        Ok(text) => Output::done(text),
        Err(e) => Output::fault(format_args!("the record cannot be written: {e}")),
    }
}

/// Who settles, and whose reply it is.
struct Judge {
    settler: Settler,
    upstream: Option<Arc<UpstreamInfo>>,
}

impl Judge {
    fn new(args: &InspectArgs, env: Env) -> Result<Judge, Output> {
        let named = |name: &str, provider: &str| upstream_of(name, args.provider.as_deref().unwrap_or(provider));
        let Some(path) = &args.config else {
            let upstream = args.provider.as_deref().map(|provider| named("", provider));
            return Ok(Judge { settler: Settler::embedded(), upstream });
        };
        let settings = price_cmd::load(path, env)?;
        let of_file = price_cmd::upstream(&settings, path, args.upstream.as_deref(), args.provider.as_deref())?;
        let upstream = of_file.map(|u| named(&u.name, &u.provider));
        Ok(Judge {
            settler: Settler::new(wiring::prices(&settings)).with_texts(settings.refusals.rules()),
            upstream: upstream.or_else(|| args.provider.as_deref().map(|provider| named("", provider))),
        })
    }
}

fn read_body(path: &Path, stdin: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut body = Vec::new();
    stdin.read_to_end(&mut body)?;
    Ok(body)
}

/// What was seen, and what is kept of it for an estimate.
fn observe(args: &InspectArgs, status: u16, body: &[u8]) -> (Observation, Option<KeptText>) {
    let head = ResponseHead {
        endpoint: args.endpoint,
        status,
        content_type: args.content_type.as_deref().or_else(|| guess_type(args.endpoint, body)),
        content_encoding: args.content_encoding.as_deref(),
    };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    observer.keep_text(KeptText::new(Tokens::MAX_TEXT_BYTES, &TextBudget::new(Tokens::MAX_TEXT_BYTES)));
    observer.on_bytes(body, Tick(0));
    observer.finish(Tick(0));
    let text = observer.take_text();
    (observer.into_observation(), text)
}

/// What the body looks like. A compressed one looks like nothing: then only `--content-type` helps.
fn guess_type(endpoint: Endpoint, body: &[u8]) -> Option<&'static str> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let lines = || text.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    match text.first()? {
        b'{' if endpoint == Endpoint::Generate && lines().nth(1).is_some_and(|l| l.starts_with(b"{")) => {
            Some("application/x-ndjson")
        }
        b'{' | b'[' => Some("application/json"),
        b':' => Some("text/event-stream"),
        _ => {
            let fields = ["data:", "event:", "id:", "retry:"];
            fields.iter().any(|f| text.starts_with(f.as_bytes())).then_some("text/event-stream")
        }
    }
}

fn unsettled(
    args: &InspectArgs,
    status: Option<u16>,
    request: &Request,
    seen: Observation,
    bytes: u64,
    now: SystemTime,
) -> Unsettled {
    let facts = request.facts();
    let caller = request.caller();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Unsettled {
        id: ExchangeId::from_parts(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX), 0),
        started_at: now,
        endpoint: args.endpoint,
        method: request.method.as_deref().unwrap_or_default().into(),
        path: request.path.as_deref().unwrap_or_default().split('?').next().unwrap_or_default().into(),
        status,
        answered_by_limpid: false,
        upstream: None,
        trace_id: caller.trace.map_or(0, |t| t.trace_id),
        span_id: 0,
        caller,
        labels: Vec::new(),
        request: facts,
        attempts: 0,
        bytes: ByteCounts { request: request.bytes().unwrap_or(0), response: bytes },
        timeline: Timeline::default(),
        ending: args.ending,
        // How the running proxy would have met it: the connection closed before a response head.
        failure: (status.is_none() && args.ending == Ending::UpstreamError).then_some(RelayFailure::ResetBeforeHeaders),
        labelled_stream: false,
        answered: status.is_some(),
        rate_limits: None,
        // A recording has no clock: its marks mean nothing.
        observation: Observation { marks: StreamMarks::default(), stall: None, gaps: GapHistogram::default(), ..seen },
        unestimated: None,
    }
}

/// An upstream of which no more is known: by its name in the settings, or none, and its provider the prices are chosen.
fn upstream_of(name: &str, provider: &str) -> Arc<UpstreamInfo> {
    Arc::new(UpstreamInfo { name: name.into(), provider: provider.into(), region: None, address: "".into(), port: 0 })
}

/// The record, a member a line, without those that a recording cannot tell.
fn print(record: &ExchangeRecord, request: &Request) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(record)?;
    let Members(members) = serde_json::from_str(&text)?;
    let unknown = |name: &str| match name {
        "timing" | "span_id" | "attempts" | "upstream" => true,
        "trace_id" => record.caller.trace.is_none(),
        "method" => request.method.is_none(),
        "path" => request.path.is_none(),
        _ => false,
    };
    let lines: Vec<String> = members
        .into_iter()
        .filter(|(name, _)| !unknown(name))
        .map(|(name, value)| match (name, request.bytes()) {
            ("bytes", None) => format!("  \"bytes\": {{\"response\":{}}}", record.bytes.response),
            _ => format!("  \"{name}\": {value}"),
        })
        .collect();
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
}

/// The members of an object in their order, unread.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A recorded request. Other members are ignored: recorders add their own.
#[derive(Debug, Default, Deserialize)]
struct Request {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Headers,
    /// A JSON body, as it stands in the file.
    body: Option<Box<RawValue>>,
    /// Any other body.
    body_text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Headers {
    Pairs(Vec<(String, String)>),
    Object(std::collections::BTreeMap<String, String>),
}

impl Default for Headers {
    fn default() -> Self {
        Headers::Pairs(Vec::new())
    }
}

impl Request {
    fn read(path: &Path) -> Result<Request, String> {
        let file = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {file}: {e}"))?;
        serde_json::from_str(&text).map_err(|e| format!("{file} is not a request in JSON: {e}"))
    }

    fn facts(&self) -> RequestFacts {
        let mut observer = RequestObserver::new(Observe::MAX_REQUEST_BYTES);
        observer.feed(self.text().unwrap_or_default().as_bytes());
        let mut facts = observer.facts().clone();
        let method = self.method.as_deref().and_then(|m| m.parse().ok()).unwrap_or(Method::POST);
        let target = self.path.as_deref().unwrap_or_default();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if let ModelIn::Head(name) = model_in(classify(&method, path), &method, path, query) {
            facts.model = Some(name.as_ref().into());
        }
        facts
    }

    fn text(&self) -> Option<&str> {
        self.body.as_deref().map(RawValue::get).or(self.body_text.as_deref())
    }

    /// The body, as far as the running proxy would have kept it for an estimate.
    fn kept(&self) -> Result<&[u8], TextGone> {
        match self.text() {
            None => Err(TextGone::NotKept),
            Some(text) if text.len() > Tokens::MAX_TEXT_BYTES => Err(TextGone::TooLarge),
            Some(text) => Ok(text.as_bytes()),
        }
    }

    /// What the fields say of the caller. A key is neither named (there are no settings) nor hashed (the running proxy's
    /// hash has a secret of its own).
    fn caller(&self) -> Caller {
        let pairs: Vec<(&String, &String)> = match &self.headers {
            Headers::Pairs(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
            Headers::Object(object) => object.iter().collect(),
        };
        let fields: HeaderMap = pairs
            .into_iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
            })
            .collect();
        Caller { key: None, ..KeyNames::of_this_start().identify(&fields) }
    }

    /// The body's size: as the fields announced it, or that of a text. JSON may have been laid out anew.
    fn bytes(&self) -> Option<u64> {
        let announced = match &self.headers {
            Headers::Pairs(pairs) => pairs.iter().find(|(n, _)| is_length(n)).map(|(_, v)| v),
            Headers::Object(object) => object.iter().find(|(n, _)| is_length(n)).map(|(_, v)| v),
        };
        let announced = announced.and_then(|v| v.trim().parse().ok());
        announced.or_else(|| self.body_text.as_ref().map(|text| text.len() as u64))
    }
}

fn is_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length")
}
