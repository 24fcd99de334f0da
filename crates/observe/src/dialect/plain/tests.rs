//! The short way beside the long one: both read the same events, and must have seen the same.

use limpid_core::{Endpoint, KeptText, TextBudget, Tick};
use proptest::prelude::*;

use super::super::Dialect;
use super::*;
use crate::reply_text::ReplyText;

/// Two readers of one stream, of which one parses everything.
struct Pair {
    short: (Dialect, Seen),
    long: (Dialect, Seen),
    taken: usize,
    now: u64,
}

fn seen() -> Seen {
    let budget = TextBudget::new(1 << 20);
    let mut seen = Seen::default();
    let text = || Some(KeptText::new(1 << 16, &budget));
    let mut reply = ReplyText::default();
    (reply.text, reply.content) = (text(), text());
    seen.reply = Some(reply);
    seen
}

/// What is kept for counting, and for the content.
fn kept(seen: &mut Seen) -> Option<[Option<Vec<u8>>; 2]> {
    let ReplyText { text, content, .. } = seen.reply.take()?;
    Some([text, content].map(|text| text?.get().ok().map(<[u8]>::to_vec)))
}

impl Pair {
    fn new(endpoint: Endpoint) -> Pair {
        Pair { short: (Dialect::of(endpoint), seen()), long: (Dialect::of(endpoint), seen()), taken: 0, now: 0 }
    }

    fn event(&mut self, text: &str, named_error: bool) {
        self.now += 1_000;
        for (_, seen) in [&mut self.short, &mut self.long] {
            seen.read_at(Tick(self.now));
        }
        let (dialect, seen) = &mut self.short;
        let before = (seen.observation.clone(), dialect.plain.token(text).is_some());
        self.taken += usize::from(dialect.plain.piece.is_some() && before.1);
        let short = dialect.event(text, named_error, seen);
        let (dialect, long_seen) = &mut self.long;
        let long = dialect.api.event(text, named_error, long_seen).map(drop);
        assert_eq!(short, long, "{text}");
        assert_eq!(seen.observation, long_seen.observation, "after {text}");
    }

    fn end(mut self) -> usize {
        assert_eq!(kept(&mut self.short.1), kept(&mut self.long.1), "the text that was kept");
        self.taken
    }
}

/// Deltas of each kind, whose token is `@`.
const DELTAS: [(Endpoint, &str); 15] = [
    (
        Endpoint::Chat,
        r#"{"id":"c","object":"chat.completion.chunk","created":1795336069,"model":"m","choices":[{"index":0,"delta":{"content":"@"},"logprobs":null,"finish_reason":null}]}"#,
    ),
    (
        Endpoint::Chat,
        r#"{"id":"c","created":7,"model":"m","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"usage":null,"obfuscation":"aB3"}"#,
    ),
    (
        Endpoint::Chat,
        r#"{"choices":[{"content_filter_results":{"hate":{"filtered":true}},"delta":{"content":"@"},"index":1}],"created": 12, "id":"","model":""}"#,
    ),
    (
        Endpoint::Chat,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"@"},"finish_reason":"stop"}]}"#,
    ),
    (Endpoint::Chat, r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@"}}]}}]}"#),
    (
        Endpoint::Chat,
        r#"{"choices":[{"index":0,"delta":{"content":"@","refusal":null}}],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#,
    ),
    (Endpoint::Chat, r#"{"choices":[{"index":0,"delta":{"refusal":"@"}}]}"#),
    (Endpoint::Chat, r#"{"choices":[{"index":0,"delta":{"content":"@"}},{"index":1,"delta":{"content":"b"}}]}"#),
    (Endpoint::Chat, r#"{"choices":[{"index":0,"delta":{"content":""},"text":"@"}]}"#),
    (
        Endpoint::Completions,
        r#"{"id":"c","created":5,"model":"m","choices":[{"index":0,"text":"@","finish_reason":null}]}"#,
    ),
    (
        Endpoint::Responses,
        r#"{"type":"response.output_text.delta","sequence_number":15,"item_id":"i","delta":"@","obfuscation":"x y"}"#,
    ),
    (Endpoint::Responses, r#"{"type":"response.function_call_arguments.delta","sequence_number":9,"delta":"@"}"#),
    (Endpoint::Messages, r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#),
    (
        Endpoint::Messages,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"@"}}"#,
    ),
    (
        Endpoint::Generate,
        r#"{"model":"m","created_at":"2026-11-22T08:00:00Z","message":{"role":"assistant","content":"@"},"done":false}"#,
    ),
];

/// The insides of strings: plain, escaped, broken.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ a-zA-Zé😀\u{2028}\u{7f}]{1,8}",
        2 => prop::sample::select(vec![
            r"\n", r#"\"}"#, r"\\", r"\u00e9", r"\ud83d", r"\ud83d\ude00", r"\/", r#"\"created\":12,"#, r#"\"created"#,
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "", "\\", r"\x", r"\u12", r"\u+123", "\n", "\u{1}", "\"", r#"","refusal":"no"#, r#"","content":"b"#, r#"\\""#, "\",\"created\":\"",
        ]).prop_map(str::to_owned),
    ]
}

/// What happens to an event on its way: nothing, mostly.
#[derive(Debug, Clone)]
enum Change {
    None,
    /// A member's number.
    Number(&'static str, String),
    /// Another text in the place of one.
    Replace(&'static str, &'static str),
    /// One byte, printable.
    Byte(prop::sample::Index, u8),
    /// Up to here.
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let name = prop::sample::select(vec!["\"created\":", "\"sequence_number\":", "\"index\":"]);
    let number = prop_oneof![3 => "[1-9][0-9]{0,10}", 1 => "0[0-9]{0,3}|-?[0-9]\\.[0-9]|1e5|\"7\"|[0-9]{25}|null|"];
    let swap = prop::sample::select(vec![
        ("\"aB3\"", "\"q\""),
        ("\"x y\"", "\"\\u0041\""),
        ("08:00:00Z", "08:00:01.5Z"),
        ("\"finish_reason\":null", "\"finish_reason\":\"length\""),
        ("\"model\":\"m\"", "\"model\":\"n\""),
        ("\"done\":false", "\"done\":true"),
        ("default", "flex"),
        ("{\"", "{\"error\":{\"message\":\"x\"},\""),
        ("\"created\"", "\"usage\""),
    ]);
    prop_oneof![
        8 => Just(Change::None),
        3 => (name, number).prop_map(|(name, number)| Change::Number(name, number)),
        2 => swap.prop_map(|(from, to)| Change::Replace(from, to)),
        1 => (any::<prop::sample::Index>(), 0x20..0x7fu8).prop_map(|(at, byte)| Change::Byte(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
    ]
}

fn changed(event: &str, change: &Change) -> String {
    match change {
        Change::None => event.to_owned(),
        Change::Number(name, number) => match event.split_once(name) {
            Some((before, after)) => {
                let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
                format!("{before}{name}{number}{rest}")
            }
            None => event.to_owned(),
        },
        Change::Replace(from, to) => event.replacen(from, to, 1),
        Change::Byte(at, byte) => {
            let mut bytes = event.as_bytes().to_vec();
            bytes[at.index(event.len())] = *byte;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Change::Cut(at) => {
            let at = at.index(event.len());
            String::from_utf8_lossy(&event.as_bytes()[..at]).into_owned()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn both_ways_see_the_same(
        first in prop::sample::select(DELTAS.to_vec()),
        others in prop::collection::vec((any::<prop::sample::Index>(), token(), change(), prop::bool::weighted(0.03)), 1..24),
    ) {
        let mut pair = Pair::new(first.0);
        let same_api: Vec<&str> = DELTAS.iter().filter(|d| d.0 == first.0).map(|d| d.1).collect();
        for (which, token, change, named_error) in &others {
            // Mostly the first kind of delta, for the short way needs two alike.
            let other = which.index(same_api.len() * 4);
            let delta = same_api.get(other).copied().unwrap_or(first.1);
            pair.event(&changed(&delta.replacen('@', token, 1), change), *named_error);
        }
        pair.end();
    }
}

#[test]
fn the_second_delta_of_each_kind_is_not_parsed() {
    for (at, (endpoint, delta)) in DELTAS.iter().enumerate() {
        let mut pair = Pair::new(*endpoint);
        for token in ["a", "b", "c\\n", "d"] {
            let delta = delta.replacen('@', token, 1).replace("1795336069", &format!("17953360{}", 10 + token.len()));
            pair.event(&delta.replace("aB3", token).replace("08:00:00", &format!("08:00:0{}", token.len())), false);
        }
        // Its members of usage, refusals, other choices and empty contents want to be read.
        let parsed = (5..9).contains(&at);
        assert_eq!(pair.end(), if parsed { 0 } else { 3 }, "{delta}");
    }
}

#[test]
fn another_event_in_between_wants_the_next_one_parsed() {
    let delta = DELTAS[0].1;
    let mut pair = Pair::new(Endpoint::Chat);
    pair.event(&delta.replace('@', "a"), false);
    pair.event(&delta.replace('@', ""), false);
    pair.event(&delta.replace('@', "a"), false);
    assert_eq!(pair.taken, 0);
    pair.event(&delta.replace('@', "b"), true);
    assert_eq!(pair.short.1.observation.error.as_ref().map(|_| ()), Some(()));
}

#[test]
fn a_long_event_is_not_kept() {
    let delta = DELTAS[0].1.replacen("\"id\":\"c\"", &format!("\"id\":\"{}\"", "c".repeat(MOST_BYTES)), 1);
    let mut pair = Pair::new(Endpoint::Chat);
    for _ in 0..3 {
        pair.event(&delta.replace('@', "a"), false);
    }
    assert_eq!((pair.end(), pair_capacity(&delta)), (0, 0));
}

fn pair_capacity(delta: &str) -> usize {
    let mut pair = Pair::new(Endpoint::Chat);
    pair.event(&delta.replace('@', "a"), false);
    pair.short.0.plain.text.capacity()
}

/// The streams of this repository, and those of the folder that `LIMPID_STREAMS` names.
#[test]
fn recorded_streams_are_seen_the_same() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/streams");
    let (mut streams, mut events, mut taken) = (0, 0, 0);
    let mut folders: Vec<_> = std::fs::read_dir(fixtures).unwrap().map(|e| e.unwrap().path()).collect();
    folders.extend(std::env::var_os("LIMPID_STREAMS").map(std::path::PathBuf::from));
    for dir in folders.iter().flat_map(|f| std::fs::read_dir(f).unwrap()).map(|e| e.unwrap().path()) {
        let body = std::fs::read(dir.join("response.body")).unwrap_or_default();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let endpoint = [
            ("responses", Endpoint::Responses),
            ("messages", Endpoint::Messages),
            ("completions", Endpoint::Completions),
            ("gemini", Endpoint::GenerateContent),
            ("generate", Endpoint::Generate),
            ("ollama", Endpoint::Generate),
        ];
        let endpoint = endpoint.into_iter().find(|(part, _)| name.contains(part)).map_or(Endpoint::Chat, |e| e.1);
        let mut pair = Pair::new(endpoint);
        streams += 1;
        for line in String::from_utf8_lossy(&body).lines() {
            let line = line.strip_prefix("data:").unwrap_or(line).trim();
            if line.starts_with('{') {
                pair.event(line, false);
                events += 1;
            }
        }
        taken += pair.end();
    }
    assert!(streams > 70 && events > 400, "{streams} streams of {events} events");
    assert!(taken > events / 10, "{taken} of {events} were not parsed");
}
