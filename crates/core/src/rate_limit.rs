//! What a response's head tells of limits: how long to wait, and how much is left of what.
//!
//! Providers tell it in headers of their own; `observe` reads them. One fixed structure holds all of it, so that a
//! hostile head cannot make a record grow. A bound that a provider does not tell, or tells as `-1`, is absent.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// One budget: so many units in a window of the provider's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimit {
    /// The most there can be.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: Option<u64>,
    /// Until it is full again, from the moment of the response's head.
    pub reset: Option<Duration>,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// How long to wait before the next try, from the moment of the response's head.
    pub retry_after: Option<Duration>,
    /// Requests.
    pub requests: RateLimit,
    /// Tokens, input and output together.
    pub tokens: RateLimit,
    /// Input tokens (Anthropic).
    pub input_tokens: RateLimit,
    /// Output tokens (Anthropic).
    pub output_tokens: RateLimit,
}

impl RateLimit {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        *self == RateLimit::default()
    }
}

impl RateLimits {
    /// The budgets of which something is known, by name.
    pub fn known(&self) -> impl Iterator<Item = (&'static str, &RateLimit)> {
        let all = [
            ("requests", &self.requests),
            ("tokens", &self.tokens),
            ("input_tokens", &self.input_tokens),
            ("output_tokens", &self.output_tokens),
        ];
        all.into_iter().filter(|(_, limit)| !limit.is_empty())
    }
}

/// The record's `rate_limits`: budgets by name; `retry_after` is a member of its own.
impl Serialize for RateLimits {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.known())
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut out = s.serialize_struct("limit", 3)?;
        match &self.limit {
            Some(n) => out.serialize_field("limit", n)?,
            None => out.skip_field("limit")?,
        }
        match &self.remaining {
            Some(n) => out.serialize_field("remaining", n)?,
            None => out.skip_field("remaining")?,
        }
        match self.reset {
            Some(reset) => out.serialize_field("reset_s", &seconds(reset))?,
            None => out.skip_field("reset_s")?,
        }
        out.end()
    }
}

/// Seconds with millisecond digits.
pub(crate) fn seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_told() {
        let told = RateLimits {
            retry_after: Some(Duration::from_secs(2)),
            requests: RateLimit { limit: Some(60), remaining: Some(0), reset: Some(Duration::from_micros(12_400)) },
            output_tokens: RateLimit { remaining: Some(7), ..RateLimit::default() },
            ..RateLimits::default()
        };
        let want = serde_json::json!({
            "requests": {"limit": 60, "remaining": 0, "reset_s": 0.012}, "output_tokens": {"remaining": 7}
        });
        assert_eq!(serde_json::to_value(told).unwrap(), want);
    }
}
