//! What a request may override, and the presets that a model's name picks.
//!
//! Order: the server's behaviour, then the preset, then the request's `"sim"` member; each replaces single members.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::behaviour::{Behaviour, Coding, Fault, Finish, Output, UsageMode};
use crate::rng::Rng;
use crate::schedule::{Jitter, Schedule};

/// The longest duration that can be asked for, ms: an hour.
const MAX_MS: f64 = 3_600_000.0;
/// The most tokens that can be asked for, of each kind.
const MAX_TOKENS: u32 = 1_000_000;
/// The most padding of an event, bytes.
const MAX_PADDING: u32 = 65_536;
/// The most tokens in one chunk.
const MAX_PER_CHUNK: u32 = 4_096;

/// The request body's `"sim"` member: single members of [`Behaviour`] and [`Schedule`], where their meaning and
/// defaults stand. Durations are milliseconds, fractions allowed, at most an hour. Serializes to the same JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// [`Schedule::headers`], ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_ms: Option<f64>,
    /// [`Schedule::preamble`], ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preamble_ms: Option<f64>,
    /// [`Schedule::ttft`], ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// [`Schedule::gap`], ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<f64>,
    /// [`Schedule::tail`], ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_ms: Option<f64>,
    /// [`Jitter::Uniform`]'s `max`, ms; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<f64>,
    /// [`Jitter::Uniform`]'s `seed`; 0 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_seed: Option<u64>,
    /// [`Schedule::stall`]'s number of chunks; needs `stall_ms`, 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_after: Option<u32>,
    /// [`Schedule::stall`]'s length, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<f64>,
    /// [`Schedule::tokens`], at most a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    /// [`Schedule::tokens_per_chunk`], 1 to 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_chunk: Option<u32>,
    /// [`Schedule::reasoning_tokens`], at most a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u32>,
    /// [`Schedule::reasoning_hidden`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_hidden: Option<bool>,
    /// [`Schedule::input_tokens`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u32>,
    /// [`Schedule::cached_input_tokens`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u32>,
    /// [`Behaviour::usage`]: `never`, `if_asked`, `always`, `continuous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageMode>,
    /// [`Behaviour::finish`]: `auto`, `stop`, `length`, `content_filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// [`Behaviour::output`]: `text`, `tool_call`, `refusal`, `refusal_text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// [`Behaviour::fault`] in its text form, such as `cut_off:20`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// [`Behaviour::coding`]: `none`, `gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coding: Option<Coding>,
    /// [`Behaviour::close_after_reply`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_after_reply: Option<bool>,
    /// [`Behaviour::padding`], bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding: Option<u32>,
    /// [`Behaviour::one_write_per_event`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_write_per_event: Option<bool>,
}

/// An override is out of range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOverride {
    /// The member of `"sim"`.
    pub member: &'static str,
    /// What it may be.
    pub expected: &'static str,
}

impl fmt::Display for InvalidOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sim.{}: expected {}", self.member, self.expected)
    }
}

impl std::error::Error for InvalidOverride {}

impl Overrides {
    /// Replaces in `behaviour` what is given here. On an error some members may have been replaced.
    pub fn apply(&self, behaviour: &mut Behaviour) -> Result<(), InvalidOverride> {
        self.apply_times(&mut behaviour.schedule)?;
        self.apply_counts(&mut behaviour.schedule)?;
        set(&mut behaviour.usage, self.usage);
        set(&mut behaviour.finish, self.finish);
        set(&mut behaviour.output, self.output);
        set(&mut behaviour.coding, self.coding);
        set(&mut behaviour.close_after_reply, self.close_after_reply);
        set(&mut behaviour.one_write_per_event, self.one_write_per_event);
        if self.padding.is_some_and(|n| n > MAX_PADDING) {
            return Err(InvalidOverride { member: "padding", expected: "at most 65536" });
        }
        set(&mut behaviour.padding, self.padding);
        if self.fault.is_some() {
            behaviour.fault = self.fault;
        }
        Ok(())
    }

    fn apply_times(&self, schedule: &mut Schedule) -> Result<(), InvalidOverride> {
        set(&mut schedule.headers, millis("headers_ms", self.headers_ms)?);
        set(&mut schedule.preamble, millis("preamble_ms", self.preamble_ms)?);
        set(&mut schedule.ttft, millis("ttft_ms", self.ttft_ms)?);
        set(&mut schedule.gap, millis("gap_ms", self.gap_ms)?);
        set(&mut schedule.tail, millis("tail_ms", self.tail_ms)?);
        match (millis("jitter_ms", self.jitter_ms)?, self.jitter_seed) {
            (Some(max), seed) => schedule.jitter = Jitter::Uniform { seed: seed.unwrap_or(0), max },
            (None, Some(_)) => return Err(InvalidOverride { member: "jitter_seed", expected: "jitter_ms beside it" }),
            (None, None) => {}
        }
        match (millis("stall_ms", self.stall_ms)?, self.stall_after) {
            (Some(pause), after) => schedule.stall = Some((after.unwrap_or(1), pause)),
            (None, Some(_)) => return Err(InvalidOverride { member: "stall_after", expected: "stall_ms beside it" }),
            (None, None) => {}
        }
        Ok(())
    }

    fn apply_counts(&self, schedule: &mut Schedule) -> Result<(), InvalidOverride> {
        set(&mut schedule.tokens, tokens("tokens", self.tokens)?);
        set(&mut schedule.reasoning_tokens, tokens("reasoning_tokens", self.reasoning_tokens)?);
        set(&mut schedule.reasoning_hidden, self.reasoning_hidden);
        set(&mut schedule.cached_input_tokens, self.cached_input_tokens);
        if self.input_tokens.is_some() {
            schedule.input_tokens = self.input_tokens;
        }
        if self.tokens_per_chunk.is_some_and(|n| n == 0 || n > MAX_PER_CHUNK) {
            return Err(InvalidOverride { member: "tokens_per_chunk", expected: "1 to 4096" });
        }
        set(&mut schedule.tokens_per_chunk, self.tokens_per_chunk);
        Ok(())
    }
}

fn set<T>(member: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *member = value;
    }
}

fn millis(member: &'static str, value: Option<f64>) -> Result<Option<Duration>, InvalidOverride> {
    match value {
        Some(ms) if !(0.0..=MAX_MS).contains(&ms) => {
            Err(InvalidOverride { member, expected: "milliseconds from 0 to 3600000" })
        }
        other => Ok(other.map(|ms| Duration::from_secs_f64(ms / 1e3))),
    }
}

fn tokens(member: &'static str, value: Option<u32>) -> Result<Option<u32>, InvalidOverride> {
    match value {
        Some(n) if n > MAX_TOKENS => Err(InvalidOverride { member, expected: "at most 1000000" }),
        other => Ok(other),
    }
}

/// The model names that pick a preset, and what each does. Any other name beginning with `sim-` is answered with 404,
/// as a backend answers a model that it does not have.
pub const PRESETS: &[(&str, &str)] = &[
    ("sim-fast", "first token after 5 ms, then one every 2 ms"),
    ("sim-slow", "first token after 800 ms, then one every 60 ms"),
    ("sim-reasoning", "60 reasoning tokens before the text"),
    ("sim-chunky", "4 tokens a chunk, a chunk every 40 ms"),
    ("sim-stalling", "a pause of 3 s after 10 chunks"),
    ("sim-tools", "a tool call"),
    ("sim-refusing", "a refusal"),
    ("sim-flaky", "every third request or so fails: 429, 500, 503, an in-stream error, a cut"),
];

/// The preset of that name for request number `n` of a server with `seed`.
pub(crate) fn preset(model: &str, seed: u64, n: u64) -> Option<Overrides> {
    let none = Overrides::default();
    Some(match model {
        "sim-fast" => Overrides { ttft_ms: Some(5.0), gap_ms: Some(2.0), ..none },
        "sim-slow" => Overrides { ttft_ms: Some(800.0), gap_ms: Some(60.0), ..none },
        "sim-reasoning" => Overrides { ttft_ms: Some(300.0), gap_ms: Some(15.0), reasoning_tokens: Some(60), ..none },
        "sim-chunky" => Overrides { gap_ms: Some(40.0), tokens_per_chunk: Some(4), ..none },
        "sim-stalling" => Overrides { stall_after: Some(10), stall_ms: Some(3_000.0), ..none },
        "sim-tools" => Overrides { output: Some(Output::ToolCall), ..none },
        "sim-refusing" => Overrides { output: Some(Output::Refusal), ..none },
        "sim-flaky" => Overrides { fault: flaky(seed, n), ..none },
        _ => return None,
    })
}

fn flaky(seed: u64, n: u64) -> Option<Fault> {
    match Rng::nth(seed, n).next_u64() % 15 {
        0 => Some(Fault::RateLimited { retry_after: 2 }),
        1 => Some(Fault::Status(500)),
        2 => Some(Fault::Status(503)),
        3 => Some(Fault::InStreamError { after: 10 }),
        4 => Some(Fault::CutOff { after: 10 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(json: &str) -> Result<Behaviour, String> {
        let overrides: Overrides = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let mut behaviour = Behaviour::default();
        overrides.apply(&mut behaviour).map_err(|e| e.to_string())?;
        Ok(behaviour)
    }

    #[test]
    fn members_replace_single_values() {
        let b = applied(r#"{"ttft_ms": 12.5, "tokens": 7, "usage": "never", "fault": "cut_off:3"}"#).unwrap();
        assert_eq!(b.schedule.ttft, Duration::from_micros(12_500));
        assert_eq!(b.schedule.gap, Schedule::default().gap);
        assert_eq!((b.schedule.tokens, b.usage), (7, UsageMode::Never));
        assert_eq!(b.fault, Some(Fault::CutOff { after: 3 }));
    }

    #[test]
    fn unknown_and_out_of_range_members_are_refused() {
        for (json, said) in [
            (r#"{"tfft_ms": 1}"#, "unknown field `tfft_ms`"),
            (r#"{"ttft_ms": -1}"#, "sim.ttft_ms"),
            (r#"{"gap_ms": 1e9}"#, "sim.gap_ms"),
            (r#"{"tokens": 1000001}"#, "sim.tokens"),
            (r#"{"padding": 70000}"#, "sim.padding"),
            (r#"{"tokens_per_chunk": 0}"#, "sim.tokens_per_chunk"),
            (r#"{"stall_after": 3}"#, "sim.stall_after"),
            (r#"{"jitter_seed": 3}"#, "sim.jitter_seed"),
            (r#"{"fault": "explode"}"#, "unknown fault `explode`"),
            (r#"{"usage": "perhaps"}"#, "unknown variant"),
        ] {
            let error = applied(json).unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
    }

    #[test]
    fn every_listed_preset_exists_and_is_valid() {
        for (name, _) in PRESETS {
            preset(name, 1, 1).unwrap().apply(&mut Behaviour::default()).unwrap();
        }
        assert_eq!(preset("sim-other", 1, 1), None);
        let faults = (0..300).filter(|n| flaky(9, *n).is_some()).count();
        assert!((60..140).contains(&faults), "{faults}");
    }
}
