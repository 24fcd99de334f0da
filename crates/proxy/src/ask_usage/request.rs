//! Asking: a streamed request gets `stream_options.include_usage: true` by a splice of a few bytes.
//!
//! The rest of the body stays as it is, byte for byte: blanks, the order of members, how numbers are written. What the
//! client says of it itself counts, a `false` too. Where the body could be read in two ways (a member that stands
//! twice), or where asking would bring more than can be taken out again, it is left alone.

use std::ops::Range;

use super::json::members;

const MEMBER: &str = ",\"stream_options\":{\"include_usage\":true}";
const OBJECT: &str = "{\"include_usage\":true}";
const FIRST_OPTION: &str = "\"include_usage\":true,";
const ONLY_OPTION: &str = "\"include_usage\":true";

/// What to do with a request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The bytes at `cut` give way to `insert`; then it asks.
    Ask {
        /// Where; empty where nothing gives way.
        cut: Range<usize>,
        /// What is put there.
        insert: &'static str,
    },
    /// Nothing: no stream is asked for, or the client says itself whether it wants the usage.
    Nothing,
    /// It is no JSON object.
    NotJson,
    /// It could be read in two ways, or asking would change more of the reply than can be undone: `stream` or
    /// `stream_options` stands twice or is of an odd type, `continuous_usage_stats` is set (vLLM would put counts in every
    /// event), or there are `data_sources` (Azure refuses the two together).
    Unclear,
}

/// What is known of the body's members.
#[derive(Default)]
struct Found {
    stream: Option<Range<usize>>,
    options: Option<Range<usize>>,
    twice: bool,
    data_sources: bool,
    /// Where the last member ends. A new one goes there, so that errors which tell a place in the body tell the same.
    end: usize,
}

/// Finds out how a chat or completions request can ask for its usage.
pub(crate) fn plan(body: &[u8]) -> Plan {
    let mut found = Found::default();
    let seen = members(body, |name, at| {
        found.end = at.end;
        match name {
            "stream" => found.twice |= found.stream.replace(at).is_some(),
            "stream_options" => found.twice |= found.options.replace(at).is_some(),
            "data_sources" => found.data_sources = true,
            _ => {}
        }
    });
    if seen.is_none() {
        return Plan::NotJson;
    }
    let text = |at: &Range<usize>| body.get(at.clone()).unwrap_or_default();
    let Some(stream) = &found.stream else { return Plan::Nothing };
    match text(stream) {
        _ if found.twice => return Plan::Unclear,
        b"true" if found.data_sources => return Plan::Unclear,
        b"true" => {}
        b"false" | b"null" => return Plan::Nothing,
        _ => return Plan::Unclear,
    }
    match found.options {
        None => Plan::Ask { cut: found.end..found.end, insert: MEMBER },
        Some(at) if text(&at) == b"null" => Plan::Ask { cut: at, insert: OBJECT },
        Some(at) => in_options(text(&at), at.start),
    }
}

/// The same for `stream_options`, which stands at `start`.
fn in_options(options: &[u8], start: usize) -> Plan {
    let (mut said, mut continuous, mut empty) = (false, false, true);
    let seen = members(options, |name, at| {
        empty = false;
        said |= name == "include_usage";
        continuous |= name == "continuous_usage_stats" && options.get(at) != Some(b"false");
    });
    let inside = start + 1..start + 1;
    match seen {
        None => Plan::Unclear,
        Some(()) if said => Plan::Nothing,
        Some(()) if continuous => Plan::Unclear,
        Some(()) => Plan::Ask { cut: inside, insert: if empty { ONLY_OPTION } else { FIRST_OPTION } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<String, Plan> {
        match plan(body.as_bytes()) {
            Plan::Ask { cut, insert } => Ok(format!("{}{insert}{}", &body[..cut.start], &body[cut.end..])),
            other => Err(other),
        }
    }

    #[test]
    fn the_member_is_put_in_and_nothing_else_changes() {
        for (body, want) in [
            (r#"{"stream":true}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (
                "{ \"stream\" : true ,\n\t\"n\": 1.50e0, \"n\": 2 }\n ",
                "{ \"stream\" : true ,\n\t\"n\": 1.50e0, \"n\": 2,\"stream_options\":{\"include_usage\":true} }\n ",
            ),
            (r#"{"str\u0065am":true}"#, r#"{"str\u0065am":true,"stream_options":{"include_usage":true}}"#),
            (
                r#"{"messages":[{"stream_options":null}],"stream":true,"stream_options":null}"#,
                r#"{"messages":[{"stream_options":null}],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options": {} ,"stream":true}"#,
                r#"{"stream_options": {"include_usage":true} ,"stream":true}"#,
            ),
            (
                r#"{"stream_options":{ "include_obfuscation":false},"stream":true}"#,
                r#"{"stream_options":{"include_usage":true, "include_obfuscation":false},"stream":true}"#,
            ),
            (
                r#"{"stream":true,"stream\u005foptions":{"x":{"include_usage":false},"continuous_usage_stats":false}}"#,
                r#"{"stream":true,"stream\u005foptions":{"include_usage":true,"x":{"include_usage":false},"continuous_usage_stats":false}}"#,
            ),
        ] {
            assert_eq!(asked(body).as_deref(), Ok(want));
            let value: serde_json::Value = serde_json::from_str(want).unwrap();
            assert_eq!(value["stream_options"]["include_usage"], true);
            assert_eq!(asked(want), Err(Plan::Nothing), "asking twice asks once");
        }
    }

    #[test]
    fn what_the_client_says_counts() {
        for body in [
            "{}",
            r#"{"stream":false}"#,
            r#"{"stream":null,"stream_options":{}}"#,
            r#"{"messages":[{"stream":true}]}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            r#"{"stream":true,"stream_options":{"include\u005fusage":false}}"#,
            r#"{"stream":true,"stream_options":{"continuous_usage_stats":true,"include_usage":true}}"#,
        ] {
            assert_eq!(plan(body.as_bytes()), Plan::Nothing, "{body}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_left_alone() {
        for body in [
            r#"{"stream":true,"stream":false}"#,
            r#"{"stream":true,"stream_options":{},"stream_options":null}"#,
            r#"{"stream":true,"stream_options":{},"stream\u005foptions":{}}"#,
            r#"{"stream":true,"stream_options":[]}"#,
            r#"{"stream":true,"stream_options":"include_usage"}"#,
            r#"{"stream":true,"stream_options":{"continuous_usage_stats":true}}"#,
            r#"{"stream":1}"#,
            r#"{"stream":"true"}"#,
            r#"{"stream":true,"data_sources":[]}"#,
        ] {
            assert_eq!(plan(body.as_bytes()), Plan::Unclear, "{body}");
        }
        for body in
            ["", "[]", "null", "{\"stream\":true", "\u{feff}{\"stream\":true}", "{\"stream\":true}x", "{\"t\":NaN}"]
        {
            assert_eq!(plan(body.as_bytes()), Plan::NotJson, "{body}");
        }
    }
}
