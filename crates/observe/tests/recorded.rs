//! Recorded exchanges with real servers, against what is known of them.
//!
//! Opt-in: `LIMPID_STREAMS` names a folder with one folder a recording (`response.meta.json`, `response.body`,
//! `reads.json`, `expected.json`). Without it both tests say that they skipped and pass.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails the test")]
#![expect(clippy::print_stderr, reason = "says what was skipped, and how much was compared")]

use std::path::{Path, PathBuf};

use limpid_core::{Endpoint, Observation, Source, Tick};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use serde_json::Value;

struct Recording {
    name: String,
    dir: PathBuf,
    meta: Value,
    body: Vec<u8>,
}

fn recordings(test: &str) -> Option<Vec<Recording>> {
    let Some(root) = std::env::var_os("LIMPID_STREAMS") else {
        eprintln!("SKIPPED {test}: LIMPID_STREAMS is not set, no recordings were compared");
        return None;
    };
    let mut all: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|dir| dir.join("expected.json").exists())
        .map(|dir| Recording {
            name: dir.file_name().unwrap().to_string_lossy().into_owned(),
            meta: json(&dir.join("response.meta.json")),
            body: std::fs::read(dir.join("response.body")).unwrap_or_default(),
            dir,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!all.is_empty(), "LIMPID_STREAMS names a folder without recordings");
    Some(all)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Recording {
    fn header(&self, name: &str) -> Option<String> {
        let headers = self.meta["headers"].as_array()?;
        let found = headers.iter().find(|h| h[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))?;
        found[1].as_str().map(str::to_owned)
    }

    fn observer(&self) -> Option<ResponseObserver> {
        let (content_type, content_encoding) = (self.header("content-type"), self.header("content-encoding"));
        let head = ResponseHead {
            endpoint: Endpoint::from_name(self.meta["endpoint"].as_str()?).unwrap(),
            status: self.meta["status"].as_u64()?.try_into().unwrap(),
            content_type: content_type.as_deref(),
            content_encoding: content_encoding.as_deref(),
        };
        Some(ResponseObserver::new(&head, Limits::default()))
    }

    /// Feeds the body in pieces that end at `cuts`; each piece comes a tick after the one before.
    fn observe(&self, cuts: impl IntoIterator<Item = usize>) -> Option<Observation> {
        let mut observer = self.observer()?;
        let (mut from, mut tick) = (0, 0);
        for to in cuts.into_iter().chain([self.body.len()]) {
            observer.on_bytes(&self.body[from..to], Tick(tick));
            (from, tick) = (to, tick + 1);
        }
        observer.finish(Tick(tick));
        Some(observer.into_observation())
    }

    /// Observes the decoded body event by event, so that a tick is an event's index among those with data.
    fn observe_events(&self) -> Option<Observation> {
        let plain = self.decoded();
        let content_type = self.header("content-type");
        let head = ResponseHead {
            endpoint: Endpoint::from_name(self.meta["endpoint"].as_str()?).unwrap(),
            status: self.meta["status"].as_u64()?.try_into().unwrap(),
            content_type: content_type.as_deref(),
            content_encoding: None,
        };
        let mut observer = ResponseObserver::new(&head, Limits::default());
        for byte in plain {
            let index = observer.observation().events;
            observer.on_bytes(&[byte], Tick(index));
        }
        observer.finish(Tick(observer.observation().events));
        Some(observer.into_observation())
    }

    fn decoded(&self) -> Vec<u8> {
        if self.header("content-encoding").as_deref() != Some("gzip") {
            return self.body.clone();
        }
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&*self.body), &mut plain).unwrap();
        plain
    }
}

/// Compares claims and collects what differs.
struct Claims<'a> {
    name: &'a str,
    differences: &'a mut Vec<String>,
    checked: usize,
}

impl Claims<'_> {
    #[expect(clippy::needless_pass_by_value, reason = "the callers read better without references")]
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, want: T) {
        self.checked += 1;
        if got != want {
            self.differences.push(format!("{}: {what}: observed {got:?}, expected {want:?}", self.name));
        }
    }
}

/// The claim is wrong by the recordings' own definition ("the response body is an event stream"): the body is one.
const MISLABELLED: &[(&str, &str)] = &[("llamacpp-native-completion-stream", "streamed")];

#[test]
fn observations_agree_with_what_is_known_of_each_recording() {
    let Some(all) = recordings("observations_agree_with_what_is_known_of_each_recording") else { return };
    let (mut differences, mut checked, mut compared) = (Vec::new(), 0, 0);
    for recording in &all {
        let Some(seen) = recording.observe_events() else { continue };
        let want = json(&recording.dir.join("expected.json"));
        let mut claims = Claims { name: &recording.name, differences: &mut differences, checked: 0 };
        compare(&seen, &want, &mut claims);
        compared += 1;
        checked += claims.checked;
    }
    eprintln!("{compared} of {} recordings with a response compared, {checked} claims", all.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

fn compare(seen: &Observation, want: &Value, claims: &mut Claims<'_>) {
    let number = |name: &str| want.get(name).and_then(Value::as_u64);
    if let Some(streamed) = want.get("streamed").and_then(Value::as_bool)
        && !MISLABELLED.contains(&(claims.name, "streamed"))
    {
        claims.equal("streamed", seen.streamed, streamed);
    }
    if let Some(n) = number("data_events") {
        claims.equal("data_events", seen.events, n);
    }
    if let Some(n) = number("token_events") {
        claims.equal("token_events", seen.token_events, n);
    }
    if let Some(n) = number("tokens_in_first_token_event") {
        claims.equal("tokens_in_first_token_event", seen.first_event_tokens, Some(n));
    }
    let marks = [
        ("first_token_event_index", seen.marks.first_token),
        ("last_token_event_index", seen.marks.last_token),
        ("first_content_event_index", seen.marks.first_content),
    ];
    for (name, mark) in marks {
        if let Some(index) = want.get(name) {
            claims.equal(name, mark.map(|t| t.0), index.as_u64());
        }
    }
    if let Some(model) = want["model"].get("responded") {
        claims.equal("model", seen.model.as_deref(), model.as_str());
    }
    if let Some(terminal) = want.get("terminal").and_then(Value::as_bool) {
        claims.equal("terminal", seen.terminal, terminal);
    }
    compare_finish(seen, want, claims);
    if let Some(usage) = want.get("usage") {
        compare_usage(seen, usage, claims);
    }
    if let Some(timings) = want.get("timings") {
        compare_timings(seen, timings, claims);
    }
    if want["refusal"]["verdict"] == "none" {
        claims.equal("refusal", seen.refusal, None);
    }
    let went_well = want["outcome"]["category"] == "ok";
    if went_well {
        claims.equal("error", seen.error.clone(), None);
        claims.equal("fault", seen.fault, None);
    }
}

fn compare_finish(seen: &Observation, want: &Value, claims: &mut Claims<'_>) {
    let got: Vec<_> = seen.finish_reasons.iter().map(|f| &*f.reason).collect();
    if let Some(reasons) = want.get("finish_reasons").and_then(Value::as_array) {
        claims.equal("finish_reasons", got.clone(), reasons.iter().map(|r| r.as_str().unwrap()).collect());
    }
    if let Some(status) = want.get("response_status") {
        let reason = want.get("incomplete_reason").unwrap_or(status);
        claims.equal("response_status", got, reason.as_str().into_iter().collect());
    }
}

fn compare_usage(seen: &Observation, want: &Value, claims: &mut Claims<'_>) {
    let reported = seen.usage.as_ref().filter(|u| u.source == Source::Reported);
    claims.equal("usage.source", reported.is_some(), want["source"] == "reported");
    let Some(usage) = reported else { return };
    let members = [
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cached_input_tokens", usage.cached_input_tokens),
        ("cache_write_input_tokens", usage.cache_write_input_tokens),
        ("reasoning_output_tokens", usage.reasoning_output_tokens),
    ];
    for (name, got) in members {
        if let Some(n) = want.get(name) {
            claims.equal(name, got, n.as_u64());
        }
    }
}

/// llama.cpp's counts stand in where it reports no usage.
fn compare_timings(seen: &Observation, want: &Value, claims: &mut Claims<'_>) {
    let Some(usage) = seen.usage.as_ref().filter(|u| u.source == Source::Exact) else { return };
    let n = |name: &str| want[name].as_u64();
    claims.equal("timings.predicted_n", usage.output_tokens, n("predicted_n"));
    claims.equal("timings.cache_n", usage.cached_input_tokens, n("cache_n"));
    claims.equal("timings.prompt_n", usage.input_tokens, Some(n("prompt_n").unwrap() + n("cache_n").unwrap()));
}

/// What is left when the times are taken away.
fn timeless(mut seen: Observation) -> Observation {
    let marks = &mut seen.marks;
    for mark in [
        &mut marks.first_byte,
        &mut marks.first_event,
        &mut marks.first_token,
        &mut marks.first_content,
        &mut marks.last_token,
    ] {
        *mark = mark.map(|_| Tick(0));
    }
    seen.stall = seen.stall.map(|_| std::time::Duration::ZERO);
    let gaps = seen.gaps.count();
    assert_eq!(gaps, seen.token_events.saturating_sub(1));
    seen.gaps = limpid_core::GapHistogram::default();
    seen
}

#[test]
fn no_split_of_a_recording_changes_its_observation() {
    let Some(all) = recordings("no_split_of_a_recording_changes_its_observation") else { return };
    let mut splits = 0;
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 16).unwrap()
    };
    for recording in &all {
        let Some(whole) = recording.observe([]).map(timeless) else { continue };
        let size = recording.body.len();
        let mut check = |cuts: Vec<usize>| {
            let seen = recording.observe(cuts.iter().copied()).map(timeless);
            assert_eq!(seen.as_ref(), Some(&whole), "{}: cut at {cuts:?}", recording.name);
            splits += 1;
        };
        check((0..size).collect());
        if size <= 3000 {
            (0..size).for_each(|cut| check(vec![cut]));
        } else {
            for _ in 0..200 {
                let mut cuts: Vec<_> = (0..=next() % 6).map(|_| next() % size).collect();
                cuts.sort_unstable();
                check(cuts);
            }
        }
    }
    eprintln!("{splits} splits compared");
}

#[test]
fn the_requested_model_is_found_in_each_recorded_request() {
    let Some(all) = recordings("the_requested_model_is_found_in_each_recorded_request") else { return };
    for recording in &all {
        let request = json(&recording.dir.join("request.json"));
        let want = json(&recording.dir.join("expected.json"));
        let Some(body) = request.get("body").filter(|b| b.is_object()) else { continue };
        let mut observer = RequestObserver::new(1 << 20);
        for byte in body.to_string().bytes() {
            observer.feed(&[byte]);
        }
        assert!(observer.model_settled(), "{}", recording.name);
        let facts = observer.facts();
        assert_eq!(facts.model.as_deref(), body["model"].as_str(), "{}", recording.name);
        assert_eq!(facts.model.as_deref(), want["model"]["requested"].as_str(), "{}", recording.name);
        assert_eq!(facts.stream, body["stream"].as_bool(), "{}", recording.name);
    }
}
