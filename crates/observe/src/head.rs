//! What a response's head tells of limits.
//!
//! | field | of | told as |
//! |---|---|---|
//! | `retry-after` | RFC 9110 §10.2.3 | seconds, or a date |
//! | `retry-after-ms`, `x-ms-retry-after-ms` | OpenAI, Azure | milliseconds; finer, so they win |
//! | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` | OpenAI, Groq, Azure, vLLM's gateways | counts; `6m0s`, `12ms` |
//! | the same with `req-minute`, `requests-day`, `tokens-minute` | Mistral, Cerebras | counts, seconds |
//! | `x-ratelimit-{limit,remaining,reset}`, `ratelimit-…` | OpenRouter, IETF drafts | requests; seconds or an epoch |
//! | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}` | Anthropic | counts; RFC 3339 |
//!
//! Azure writes -1 or 0 where it does not know: a limit that is not above 0 says that nothing of its budget is known, and
//! a negative count is none. A wait counts only on an answer that is none yet (a status of 300 or more). What does not
//! parse is absent, and of a field that stands twice the first counts. Nothing is allocated unless a field is there.

use std::time::{Duration, SystemTime};

use limpid_core::{RateLimit, RateLimits};

/// Reads the fields of a response's head, names in lower case; `now` is asked only where a date is told.
pub fn rate_limits<'a>(
    status: u16,
    fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    now: impl Fn() -> SystemTime,
) -> Option<Box<RateLimits>> {
    let mut read = Reader { told: None, unknown: [false; 4], waits: [None; 3], now };
    for (name, value) in fields {
        // Nearly all names end here.
        let Some((b'r' | b'x' | b'a', _)) = name.as_bytes().split_first() else { continue };
        if let Some(field) = Field::of(name)
            && let Ok(text) = std::str::from_utf8(value)
        {
            read.field(field, text.trim());
        }
    }
    read.done(status)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// In milliseconds, in Azure's milliseconds, in seconds: the first that is there counts.
    Wait(usize),
    /// A budget's bound.
    Bound(Budget, Bound),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    Requests,
    Tokens,
    Input,
    Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Limit,
    Remaining,
    Reset,
}

impl Field {
    fn of(name: &str) -> Option<Field> {
        match name {
            "retry-after-ms" => return Some(Field::Wait(0)),
            "x-ms-retry-after-ms" => return Some(Field::Wait(1)),
            "retry-after" => return Some(Field::Wait(2)),
            _ => {}
        }
        if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
            let (budget, bound) = rest.rsplit_once('-')?;
            return Some(Field::Bound(Budget::of(budget)?, Bound::of(bound)?));
        }
        let rest = name.strip_prefix("x-").unwrap_or(name).strip_prefix("ratelimit-")?;
        let (bound, budget) = rest.split_once('-').unwrap_or((rest, "requests"));
        Some(Field::Bound(Budget::of(budget)?, Bound::of(bound)?))
    }
}

impl Budget {
    fn of(text: &str) -> Option<Budget> {
        Some(match text {
            "requests" | "requests-day" | "requests-minute" | "req-minute" => Budget::Requests,
            "tokens" | "tokens-minute" => Budget::Tokens,
            "input-tokens" | "tokens-prompt" => Budget::Input,
            "output-tokens" | "tokens-generated" => Budget::Output,
            _ => return None,
        })
    }

    fn slot(self, told: &mut RateLimits) -> &mut RateLimit {
        match self {
            Budget::Requests => &mut told.requests,
            Budget::Tokens => &mut told.tokens,
            Budget::Input => &mut told.input_tokens,
            Budget::Output => &mut told.output_tokens,
        }
    }
}

impl Bound {
    fn of(text: &str) -> Option<Bound> {
        match text {
            "limit" => Some(Bound::Limit),
            "remaining" => Some(Bound::Remaining),
            "reset" => Some(Bound::Reset),
            _ => None,
        }
    }
}

struct Reader<F> {
    told: Option<Box<RateLimits>>,
    /// Budgets whose limit says that it is not known.
    unknown: [bool; 4],
    waits: [Option<Duration>; 3],
    now: F,
}

impl<F: Fn() -> SystemTime> Reader<F> {
    fn field(&mut self, field: Field, text: &str) {
        match field {
            Field::Wait(at) => {
                let told = match at {
                    2 => seconds(text).or_else(|| self.until(httpdate::parse_http_date(text).ok()?)),
                    _ => seconds(text).map(|ms| ms / 1000),
                };
                if let Some(wait) = self.waits.get_mut(at) {
                    *wait = wait.or(told);
                }
            }
            Field::Bound(budget, bound) => self.bound(budget, bound, text),
        }
    }

    fn bound(&mut self, budget: Budget, bound: Bound, text: &str) {
        let reset = if bound == Bound::Reset { self.reset(text) } else { None };
        let slot = budget.slot(self.told.get_or_insert_default());
        match bound {
            Bound::Limit => match text.parse::<i64>() {
                Ok(..=0) => self.unknown[budget as usize] = true,
                _ => slot.limit = slot.limit.or_else(|| text.parse().ok()),
            },
            Bound::Remaining => slot.remaining = slot.remaining.or_else(|| text.parse().ok()),
            Bound::Reset => slot.reset = slot.reset.or(reset),
        }
    }

    /// `6m0s`, seconds, an epoch in seconds or milliseconds, or RFC 3339.
    fn reset(&self, text: &str) -> Option<Duration> {
        const EPOCH_S: Duration = Duration::from_secs(1_000_000_000);
        const EPOCH_MS: Duration = Duration::from_secs(100_000_000_000);
        match seconds(text) {
            Some(number) if number >= EPOCH_MS => self.until(SystemTime::UNIX_EPOCH.checked_add(number / 1000)?),
            Some(number) if number >= EPOCH_S => self.until(SystemTime::UNIX_EPOCH.checked_add(number)?),
            Some(number) => Some(number),
            None => written_out(text).or_else(|| self.until(humantime::parse_rfc3339_weak(text).ok()?)),
        }
    }

    /// From now to `then`; zero if it is over. A date more than a hundred years away is none.
    fn until(&self, then: SystemTime) -> Option<Duration> {
        const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
        let wait = then.duration_since((self.now)()).unwrap_or_default();
        (wait < CENTURY).then_some(wait)
    }

    fn done(mut self, status: u16) -> Option<Box<RateLimits>> {
        let wait = self.waits.into_iter().flatten().next().filter(|_| status >= 300);
        if let Some(wait) = wait {
            self.told.get_or_insert_default().retry_after = Some(wait);
        }
        let mut told = self.told?;
        for budget in [Budget::Requests, Budget::Tokens, Budget::Input, Budget::Output] {
            if self.unknown[budget as usize] {
                *budget.slot(&mut told) = RateLimit::default();
            }
        }
        (*told != RateLimits::default()).then_some(told)
    }
}

/// A plain number of seconds, with or without a fraction.
fn seconds(text: &str) -> Option<Duration> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(['e', 'E']) {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// A duration as Go writes it: `1h2m3.5s`, `12ms`.
fn written_out(mut text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut sum = Duration::ZERO;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(digits);
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(letters);
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?;
        sum = sum.checked_add(part)?;
        text = rest;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
