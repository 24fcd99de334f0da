//! Recorded exchanges with real servers, against what is known of them from elsewhere.
//!
//! Those of `tests/fixtures/streams`, whose expectations `tests/real/record_fixtures.py` derived without limpid; and, if
//! `LIMPID_STREAMS` names a folder of the same layout, those in it.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails the test")]
#![expect(clippy::print_stderr, reason = "says how much was compared")]

mod recording;

use limpid_core::{Observation, Source, Tick};
use limpid_observe::RequestObserver;
use recording::{Recording, timeless};
use serde_json::Value;

fn recordings() -> Vec<Recording> {
    let mut all = recording::committed();
    if let Some(more) = std::env::var_os("LIMPID_STREAMS") {
        all.extend(recording::read(more.as_ref()));
    }
    all
}

/// Observes the decoded body byte by byte, so that a tick is an event's index among those with data.
fn observe_events(recording: &Recording) -> Option<Observation> {
    let mut observer = recording.observer(None)?;
    for byte in decoded(recording) {
        let index = observer.observation().events;
        observer.on_bytes(&[byte], Tick(index));
    }
    observer.finish(Tick(observer.observation().events));
    Some(observer.into_observation())
}

fn decoded(recording: &Recording) -> Vec<u8> {
    if recording.header("content-encoding").as_deref() != Some("gzip") {
        return recording.body.clone();
    }
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&*recording.body), &mut plain).unwrap();
    plain
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
    let all = recordings();
    let (mut differences, mut checked, mut compared) = (Vec::new(), 0, 0);
    for recording in &all {
        let Some(seen) = observe_events(recording) else { continue };
        let want = recording.expected();
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
    if let Some(error) = want.get("error") {
        let text = |name: &str| error[name].as_str().map(Box::from);
        let got = seen.error.clone().map(|e| (e.kind, e.code));
        claims.equal("error", got, Some((text("kind"), text("code"))));
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

#[test]
fn no_split_of_a_recording_changes_its_observation() {
    let all = recordings();
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
        if size <= 3000 || recording.committed {
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
    for recording in &recordings() {
        let request = recording.request();
        let want = recording.expected();
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
