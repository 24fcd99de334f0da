use limpid_core::Endpoint;
use proptest::prelude::*;

use super::scan::string_end;
use super::*;
use crate::dialect::{Dialect, body, error_body};
use crate::seen::Seen;

/// Members that some dialect reads, and one that none does.
const NAMES: [&str; 48] = [
    "id",
    "model",
    "choices",
    "index",
    "delta",
    "message",
    "content",
    "role",
    "refusal",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "audio",
    "data",
    "text",
    "finish_reason",
    "logprobs",
    "token_ids",
    "usage",
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "input_token_details",
    "cached_tokens",
    "reasoning_tokens",
    "error",
    "code",
    "type",
    "object",
    "service_tier",
    "prompt_filter_results",
    "filtered",
    "x_groq",
    "timings",
    "predicted_n",
    "candidates",
    "parts",
    "usageMetadata",
    "promptTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "content_block",
    "details",
    "unread",
];

const WORDS: [&str; 10] = ["null", "true", "false", "0", "-0", "12", "1.5e3", "\"\"", "\"stop\"", r#""a\nb\u00e9""#];
const ODD: [&str; 11] =
    ["01", "1.", "-", "nul", "\"\\ud800\"", "\"\\x\"", "\"\t\"", "NaN", "[", "", "18446744073709551616"];

fn leaf() -> impl Strategy<Value = String> {
    let string = "[ -!#-\\[\\]-~é😀]{0,20}".prop_map(|text| format!("\"{text}\""));
    prop_oneof![
        6 => string,
        6 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => proptest::sample::select(&ODD[..]).prop_map(str::to_owned),
    ]
}

/// Text that is nearly always JSON, of shapes that dialects nearly know.
fn document() -> impl Strategy<Value = String> {
    let value = leaf().prop_recursive(5, 60, 8, |inner| {
        let name = prop_oneof![
            30 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
            1 => Just("m\\u006fdel".to_owned()),
        ];
        let member =
            (name, inner.clone(), "[ \n]{0,2}").prop_map(|(name, value, s)| format!("{s}\"{name}\"{s}:{s}{value}{s}"));
        prop_oneof![
            4 => proptest::collection::vec(member, 0..9).prop_map(|all| format!("{{{}}}", all.join(","))),
            1 => proptest::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
        ]
    });
    // Now and then a byte is lost or doubled.
    (value, any::<proptest::sample::Index>(), 0..12u8).prop_map(|(mut text, at, what)| {
        let at = at.index(text.len().max(1));
        if what < 2 && text.is_char_boundary(at) && text.get(at..=at).is_some() {
            let byte = text.remove(at);
            (0..what * 2).for_each(|_| text.insert(at, byte));
        }
        text
    })
}

const ENDPOINTS: [Endpoint; 10] = [
    Endpoint::Chat,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::Generate,
    Endpoint::GenerateContent,
    Endpoint::Audio,
    Endpoint::Images,
    Endpoint::Embeddings,
    Endpoint::Other,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1500)))]

    /// Whatever the scan reads is asserted to be what serde reads, in [`Scanner::whole`].
    #[test]
    fn both_ways_read_the_same(text in document()) {
        for endpoint in ENDPOINTS {
            let (mut dialect, mut seen) = (Dialect::of(endpoint), Seen::default());
            let done = dialect.event(&text, false, &mut seen);
            prop_assert_eq!(done.is_err(), endpoint != Endpoint::Embeddings && endpoint != Endpoint::Other
                && serde_json::from_str::<IgnoredAny>(&text).is_err());
            let _ = body(&dialect, &text, &mut seen);
            let _ = error_body(&text, &mut seen);
        }
        let _ = Dialect::of_session(Endpoint::Realtime).event(&text, false, &mut Seen::default());
        // What has no shape is taken or not as serde takes it.
        let mut raw = Raw::default();
        prop_assert_eq!(Scanner::whole(&text, &mut raw).is_ok(), serde_json::from_str::<Raw<'_>>(&text).is_ok());
    }

    #[test]
    fn a_string_ends_where_a_walk_byte_by_byte_says(bytes in "[a\"\\\\/nu0-9é\u{1}\u{1f} !#\\[\\]\u{7f}]{0,30}") {
        prop_assert_eq!(string_end(bytes.as_bytes(), 0), slow_string_end(bytes.as_bytes()));
    }
}

fn slow_string_end(text: &[u8]) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (0, false);
    loop {
        match text.get(at)? {
            b'"' => return Some((at, escaped)),
            b'\\' => {
                escaped = true;
                at += match text.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                    b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return None,
                };
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

#[test]
fn what_is_no_json_is_not_taken() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for (text, taken) in [
        ("", false),
        (" ", false),
        ("{}", true),
        (" { } ", true),
        ("{} x", false),
        ("{,}", false),
        ("{\"a\":1,}", false),
        ("{\"a\" 1}", false),
        ("{a:1}", false),
        ("{\"a\":1]", false),
        ("[1,]", false),
        ("[,1]", false),
        ("[1 2]", false),
        ("[1,2", false),
        ("00", false),
        ("-0", true),
        ("-", false),
        ("+1", false),
        ("1.", false),
        (".5", false),
        ("1.5E-3", true),
        ("1e", false),
        ("0x1", false),
        ("truE", false),
        ("nulll", false),
        ("\"a", false),
        ("\"\\", false),
        ("\"\\u12\"", false),
        ("\"\\u12G4\"", false),
        ("\"\\ud800\"", true),
        ("\"a\u{7f}é\"", true),
        ("\"\n\"", false),
        ("\u{feff}{}", false),
        (&deep(64), true),
    ] {
        let mut raw = Raw::default();
        assert_eq!(Scanner::whole(text, &mut raw).is_ok(), taken, "{text}");
        assert_eq!(serde_json::from_str::<Raw<'_>>(text).is_ok(), taken, "{text}");
    }
    // Left to serde, which has no such bound where nothing is read.
    assert_eq!(Scanner::whole(&deep(65), &mut Raw::default()), Err(Unusual));
    assert!(parse::<Raw<'_>>(&deep(5000)).unwrap().is_some());
    assert!(parse::<Option<Raw<'_>>>(&format!("{}null", deep(70))).is_err());
}

members! {
    struct Shape<'a> {
        one: Leaf<'a>,
        kind: Option<Raw<'a>> = "type" | "sort",
        many: Few<Raw<'a>>,
        inner: Option<Loose<Inner<'a>>>,
    }
}

members! {
    struct Inner<'a> {
        count: Leaf<'a>,
    }
}

#[test]
fn an_unusual_text_is_read_all_the_same() {
    for (text, usual, shaped) in [
        (r#"{"one":1,"type":"x","many":[1,2],"inner":{"count":3}}"#, true, true),
        (r#"{"one":1,"type":"x","sort":"y"}"#, false, false),
        (r#"{"one":1,"one":2}"#, false, false),
        (r#"{"\u006fne":1}"#, false, true),
        (r#"{"many":{}}"#, false, false),
        (r#"{"many":null,"inner":5}"#, true, true),
        (r#"{"inner":{"count":3,"count":4}}"#, false, true),
        ("[1]", false, true),
        ("5", false, false),
    ] {
        let mut shape = Shape::default();
        assert_eq!(Scanner::whole(text, &mut shape).is_ok(), usual, "{text}");
        assert_eq!(parse::<Shape<'_>>(text).unwrap().is_some(), shaped, "{text}");
    }
    let shape = parse::<Shape<'_>>(r#"{"\u006fne":1,"inner":{"count":3}}"#).unwrap().unwrap();
    assert_eq!(shape.one.and_then(Raw::count), Some(1));
    assert_eq!(shape.inner.unwrap().0.unwrap().count.and_then(Raw::count), Some(3));
    assert!(shape.kind.is_none() && shape.many.is_empty());
}

#[test]
fn counts_are_whole_and_not_negative() {
    for (text, count) in [
        ("0", Some(0)),
        ("12", Some(12)),
        ("1000000000000", Some(1_000_000_000_000)),
        ("1000000000001", None),
        ("9999999999999999999", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("12.0", Some(12)),
        ("1e3", Some(1000)),
        ("12.5", None),
        ("-1", None),
        ("\"12\"", None),
        ("null", None),
    ] {
        assert_eq!(serde_json::from_str::<Raw<'_>>(text).unwrap().count(), count, "{text}");
    }
}
