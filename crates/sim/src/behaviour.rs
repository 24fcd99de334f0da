//! How the simulated backend behaves: the schedule, what it reports, and what goes wrong.

use std::fmt;
use std::str::FromStr;

use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::Schedule;

/// Whether token counts are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageMode {
    /// Nowhere.
    Never,
    /// As the real API does: chat and completions streams only with `stream_options.include_usage` (cumulative on each
    /// chunk with `continuous_usage_stats`), all else always.
    #[default]
    IfAsked,
    /// In every reply: chat and completions streams get the usage chunk unasked.
    Always,
    /// Chat and completions streams carry cumulative usage on each chunk, and the usage chunk; all else as `Always`.
    Continuous,
}

/// The finish reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// What fits: `length` where `max_tokens` cut the reply, `tool_calls` after a tool call, else `stop`.
    #[default]
    Auto,
    /// The natural end.
    Stop,
    /// Out of tokens.
    Length,
    /// A content filter stopped the reply (`refusal` on Anthropic's API, which has no filter reason).
    ContentFilter,
}

/// What the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Text.
    #[default]
    Text,
    /// A call of the function `look_up`, its arguments streamed; at least 2 tokens. In dialects without tools: text.
    ToolCall,
    /// A refusal in the dialect's own structure (`delta.refusal`, `response.refusal.delta`, `stop_reason: refusal`);
    /// plain text where it has none. At most 8 tokens.
    Refusal,
    /// The same words as plain text.
    RefusalText,
}

/// The content coding of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// Identity.
    #[default]
    None,
    /// gzip, flushed after each event; only for requests whose `accept-encoding` names gzip.
    Gzip,
}

/// What goes wrong. `after` counts token chunks that are sent first.
///
/// The text form, in JSON and on the command line, is the name and, after a colon, its number: `quota`, `status:503`,
/// `rate_limited:7`, `cut_off:20`. The number may be left out: then 500, 1 second, or after 1 chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Fault {
    /// `status:N`: this error status (400 to 599) with the API's error body, at the time of the head.
    Status(u16),
    /// `rate_limited:S`: 429 and `retry-after: S` seconds.
    RateLimited {
        /// Seconds.
        retry_after: u32,
    },
    /// `quota`: 429 `insufficient_quota`; 402 on Anthropic's API.
    Quota,
    /// `context_length`: 400, the prompt is too long.
    ContextLength,
    /// `content_filter`: 400, the prompt was filtered (Azure's shape).
    ContentFilter,
    /// `in_stream_error:N`: an error event in the 200, then a clean end. Not streamed: a 500.
    InStreamError {
        /// Token chunks before it.
        after: u32,
    },
    /// `cut_off:N`: the connection is closed in mid-body. Not streamed: after half of the announced bytes.
    CutOff {
        /// Token chunks before it.
        after: u32,
    },
    /// `truncate:N`: the body ends cleanly, without finish, usage or end marker. Not streamed: half the JSON.
    TruncateCleanly {
        /// Token chunks before it.
        after: u32,
    },
    /// `never_answer`: no response head, ever; the connection stays open.
    NeverAnswer,
    /// `hang_up`: the connection is closed without a response.
    HangUp,
    /// `stall_forever:N`: bytes stop, the connection stays open. Not streamed: nothing after the head.
    StallForever {
        /// Token chunks before it.
        after: u32,
    },
    /// `junk:N`: one event that is not JSON, then all goes on. Not streamed: a body that is not JSON.
    Junk {
        /// Token chunks before it.
        after: u32,
    },
}

impl Fault {
    fn parts(self) -> (&'static str, Option<u32>) {
        match self {
            Fault::Status(status) => ("status", Some(u32::from(status))),
            Fault::RateLimited { retry_after } => ("rate_limited", Some(retry_after)),
            Fault::Quota => ("quota", None),
            Fault::ContextLength => ("context_length", None),
            Fault::ContentFilter => ("content_filter", None),
            Fault::InStreamError { after } => ("in_stream_error", Some(after)),
            Fault::CutOff { after } => ("cut_off", Some(after)),
            Fault::TruncateCleanly { after } => ("truncate", Some(after)),
            Fault::NeverAnswer => ("never_answer", None),
            Fault::HangUp => ("hang_up", None),
            Fault::StallForever { after } => ("stall_forever", Some(after)),
            Fault::Junk { after } => ("junk", Some(after)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, Some(number)) => write!(f, "{name}:{number}"),
            (name, None) => f.write_str(name),
        }
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.to_string()
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (
                name,
                Some(number.parse::<u32>().map_err(|_| format!("fault `{text}`: not a number after the colon"))?),
            ),
            None => (text, None),
        };
        let after = number.unwrap_or(1);
        let fault = match name {
            "status" => {
                let status = number.unwrap_or(500);
                let status = u16::try_from(status).ok().filter(|s| (400..=599).contains(s));
                Fault::Status(status.ok_or_else(|| format!("fault `{text}`: a status from 400 to 599"))?)
            }
            "rate_limited" => Fault::RateLimited { retry_after: after },
            "quota" => Fault::Quota,
            "context_length" => Fault::ContextLength,
            "content_filter" => Fault::ContentFilter,
            "in_stream_error" => Fault::InStreamError { after },
            "cut_off" => Fault::CutOff { after },
            "truncate" => Fault::TruncateCleanly { after },
            "never_answer" => Fault::NeverAnswer,
            "hang_up" => Fault::HangUp,
            "stall_forever" => Fault::StallForever { after },
            "junk" => Fault::Junk { after },
            _ => return Err(format!("unknown fault `{name}`")),
        };
        match (number, fault.parts().1) {
            (Some(_), None) => Err(format!("fault `{name}` takes no number")),
            _ => Ok(fault),
        }
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(text: String) -> Result<Fault, String> {
        text.parse()
    }
}

/// Reads the names that JSON uses, for command lines; the error lists them.
fn named<'a, T: Deserialize<'a>>(name: &'a str) -> Result<T, String> {
    let deserializer: StrDeserializer<'a, serde::de::value::Error> = name.into_deserializer();
    T::deserialize(deserializer).map_err(|e| e.to_string())
}

impl FromStr for UsageMode {
    type Err = String;

    fn from_str(name: &str) -> Result<UsageMode, String> {
        named(name)
    }
}

impl FromStr for Finish {
    type Err = String;

    fn from_str(name: &str) -> Result<Finish, String> {
        named(name)
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(name: &str) -> Result<Output, String> {
        named(name)
    }
}

impl FromStr for Coding {
    type Err = String;

    fn from_str(name: &str) -> Result<Coding, String> {
        named(name)
    }
}

/// Everything about how one request is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// What comes when.
    pub schedule: Schedule,
    /// Whether token counts are reported.
    pub usage: UsageMode,
    /// The finish reason.
    pub finish: Finish,
    /// What the output is.
    pub output: Output,
    /// What goes wrong, if anything.
    pub fault: Option<Fault>,
    /// The content coding.
    pub coding: Coding,
    /// Say keep-alive and close the connection after the reply, as llama.cpp does. HTTP/1.1 only.
    pub close_after_reply: bool,
    /// Bytes of `obfuscation` in each token event of chat and Responses, as OpenAI pads them: size says nothing of
    /// tokens. At most 65,536. Default 0: none.
    pub padding: u32,
    /// Flush after each event, so that one event is one write (and one transfer chunk). Off, events that are due at
    /// once may share a write: cheaper, for load tests. Default true.
    pub one_write_per_event: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            schedule: Schedule::default(),
            usage: UsageMode::default(),
            finish: Finish::default(),
            output: Output::default(),
            fault: None,
            coding: Coding::default(),
            close_after_reply: false,
            padding: 0,
            one_write_per_event: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        assert_eq!("if_asked".parse(), Ok(UsageMode::IfAsked));
        assert_eq!("tool_call".parse(), Ok(Output::ToolCall));
        assert_eq!("content_filter".parse(), Ok(Finish::ContentFilter));
        assert!("brotli".parse::<Coding>().unwrap_err().contains("`none` or `gzip`"));
    }

    #[test]
    fn faults_read_what_they_print_and_refuse_the_rest() {
        for text in ["status:503", "rate_limited:7", "quota", "cut_off:20", "never_answer", "stall_forever:0", "junk:3"]
        {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        assert_eq!("cut_off".parse(), Ok(Fault::CutOff { after: 1 }));
        for text in ["", "status:200", "status:x", "quota:3", "explode", "cut_off:-1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
