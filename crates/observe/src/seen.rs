//! The observation while it grows, and the few rules that every dialect shares: what a token event does to the marks,
//! which of several values wins, how long a kept string may be.

use std::time::Duration;

use limpid_core::{FinishReason, Observation, PicoUsd, RefusalKind, RefusalSignal, ReportedError, Source, Tick, Usage};

use crate::json::Leaf;
use crate::opening;
use crate::reply_text::{Piece, ReplyText};

/// Finish reasons kept.
const MOST_FINISH_REASONS: usize = 128;
/// Names such as the model's.
const NAME_BYTES: usize = 256;
/// Codes such as a finish reason.
const CODE_BYTES: usize = 64;

/// Generated output of one event.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Output {
    /// There is output of any kind.
    pub(crate) any: bool,
    /// There is visible text.
    pub(crate) text: bool,
    /// There is reasoning whose tokens the usage counts.
    pub(crate) reasoning: bool,
    /// How many tokens it is, where that is told; read for the first token event alone.
    pub(crate) tokens: Option<u64>,
}

impl Output {
    /// Visible text.
    pub(crate) const TEXT: Output = Output { any: true, text: true, reasoning: false, tokens: None };
    /// Reasoning.
    pub(crate) const REASONING: Output = Output { any: true, text: false, reasoning: true, tokens: None };
    /// Anything else that the model wrote: a tool's name or arguments, audio.
    pub(crate) const OTHER: Output = Output { any: true, text: false, reasoning: false, tokens: None };

    /// Joins another piece of the same event if it is there.
    pub(crate) fn add(&mut self, there: bool, kind: Output) {
        if there {
            self.any |= kind.any;
            self.text |= kind.text;
            self.reasoning |= kind.reasoning;
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What was seen so far.
    pub(crate) observation: Observation,
    now: Tick,
    /// What the reader cost since the last token event.
    waited: Duration,
    /// All that was generated, if it is kept.
    pub(crate) reply: Option<ReplyText>,
}

impl Seen {
    /// A read came at `at`.
    pub(crate) fn read_at(&mut self, at: Tick) {
        self.now = at;
        self.observation.marks.first_byte.get_or_insert(at);
    }

    /// The moment of what follows, without a byte.
    pub(crate) fn set_now(&mut self, at: Tick) {
        self.now = at;
    }

    /// A slow reader held up the next read.
    pub(crate) fn reader_waited(&mut self, waited: Duration) {
        self.waited = self.waited.saturating_add(waited);
    }

    /// An event was decoded.
    pub(crate) fn event(&mut self) {
        self.observation.events += 1;
        self.observation.marks.first_event.get_or_insert(self.now);
    }

    /// No token event was seen yet, so that counting its tokens is worth while.
    pub(crate) fn awaits_first_token(&self) -> bool {
        self.observation.marks.first_token.is_none()
    }

    /// The event carries this output. Only for streams.
    pub(crate) fn output(&mut self, output: Output) {
        if !output.any {
            return;
        }
        let seen = &mut self.observation;
        seen.token_events += 1;
        seen.reasoning_streamed |= output.reasoning;
        if output.text {
            seen.marks.first_content.get_or_insert(self.now);
        }
        match seen.marks.last_token.replace(self.now) {
            None => {
                seen.marks.first_token = Some(self.now);
                seen.first_event_tokens = output.tokens.filter(|n| *n > 0);
            }
            Some(last) => {
                let gap = self.now.since(last).saturating_sub(self.waited);
                seen.gaps.record(gap);
                seen.stall = Some(seen.stall.map_or(gap, |s| s.max(gap)));
            }
        }
        self.waited = Duration::ZERO;
    }

    /// The first choice says this, visibly.
    pub(crate) fn says(&mut self, text: Leaf<'_>) {
        if let Some(raw) = text.filter(|_| !self.observation.opening.is_full()) {
            opening::add(&mut self.observation.opening, raw);
        }
    }

    /// The choice of this index generated this.
    pub(crate) fn keep(&mut self, choice: u32, piece: Piece, text: Leaf<'_>) {
        if let Some(reply) = &mut self.reply {
            reply.add(choice, piece, text);
        }
    }

    /// Something was generated that is no text.
    pub(crate) fn generated_more_than_text(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.more_than_text();
        }
    }

    /// The reply's `model`: the first that is not empty (Azure's first frame has an empty one).
    pub(crate) fn model(&mut self, model: &str) {
        keep_first(&mut self.observation.model, model);
    }

    /// Whether the model's name is known, so that it need not be read again.
    pub(crate) fn has_model(&self) -> bool {
        self.observation.model.is_some()
    }

    /// The reply's `id`: the first that is not empty.
    pub(crate) fn response_id(&mut self, id: &str) {
        keep_first(&mut self.observation.response_id, id);
    }

    /// Whether the id is known.
    pub(crate) fn has_response_id(&self) -> bool {
        self.observation.response_id.is_some()
    }

    /// The tier: the last, for early events may repeat the request's wish.
    pub(crate) fn service_tier(&mut self, tier: &str) {
        if !tier.is_empty() && self.observation.service_tier.as_deref() != Some(tier) {
            self.observation.service_tier = Some(cut(tier, CODE_BYTES));
        }
    }

    /// The fingerprint of the backend's configuration: the first that is not empty.
    pub(crate) fn system_fingerprint(&mut self, fingerprint: &str) {
        if self.observation.system_fingerprint.is_none() && !fingerprint.is_empty() {
            self.observation.system_fingerprint = Some(cut(fingerprint, CODE_BYTES));
        }
    }

    /// Whether it is known.
    pub(crate) fn has_system_fingerprint(&self) -> bool {
        self.observation.system_fingerprint.is_some()
    }

    /// A choice of this index was seen.
    pub(crate) fn choice(&mut self, index: u32) {
        self.observation.choices_seen = self.observation.choices_seen.max(index.saturating_add(1));
    }

    /// A choice's finish reason: the last one of an index wins.
    pub(crate) fn finish(&mut self, index: u32, reason: &str) {
        if reason.is_empty() {
            return;
        }
        let reasons = &mut self.observation.finish_reasons;
        match reasons.binary_search_by_key(&index, |f| f.index) {
            Ok(at) => {
                if let Some(known) = reasons.get_mut(at).filter(|f| &*f.reason != reason) {
                    known.reason = cut(reason, CODE_BYTES);
                }
            }
            Err(at) if reasons.len() < MOST_FINISH_REASONS => {
                reasons.insert(at, FinishReason { index, reason: cut(reason, CODE_BYTES) });
            }
            Err(_) => {}
        }
    }

    /// Token counts. What the backend reports as usage beats what its timings tell.
    pub(crate) fn usage(&mut self, usage: Usage) {
        let known = self.observation.usage.as_ref().map(|u| u.source);
        if usage.source == Source::Reported || known != Some(Source::Reported) {
            if usage.input_tokens.is_some() && usage.output_tokens.is_some() {
                self.reply = self.reply.take().and_then(ReplyText::counted);
            }
            self.observation.usage = Some(usage);
        }
    }

    /// Token counts of one more response of a session. A count that one response leaves out is not known for all.
    pub(crate) fn add_usage(&mut self, more: Usage) {
        let both = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
        let sum = match self.observation.usage.take() {
            None => more,
            Some(so_far) => Usage {
                input_tokens: both(so_far.input_tokens, more.input_tokens),
                output_tokens: both(so_far.output_tokens, more.output_tokens),
                cached_input_tokens: both(so_far.cached_input_tokens, more.cached_input_tokens),
                cache_write_input_tokens: both(so_far.cache_write_input_tokens, more.cache_write_input_tokens),
                cache_write_1h_input_tokens: both(so_far.cache_write_1h_input_tokens, more.cache_write_1h_input_tokens),
                audio_input_tokens: both(so_far.audio_input_tokens, more.audio_input_tokens),
                image_input_tokens: both(so_far.image_input_tokens, more.image_input_tokens),
                reasoning_output_tokens: both(so_far.reasoning_output_tokens, more.reasoning_output_tokens),
                audio_output_tokens: both(so_far.audio_output_tokens, more.audio_output_tokens),
                audio_ms: both(so_far.audio_ms, more.audio_ms),
                web_searches: both(so_far.web_searches, more.web_searches),
                source: so_far.source,
                input_source: None,
                output_source: None,
                method: None,
            },
        };
        self.observation.usage = Some(sum);
    }

    /// The counts turned out to be those of one choice among several.
    pub(crate) fn forget_usage(&mut self) {
        self.observation.usage = None;
    }

    /// The provider's own price: the last.
    pub(crate) fn cost(&mut self, cost: PicoUsd) {
        self.observation.reported_cost = Some(cost);
    }

    /// The dialect's end marker.
    pub(crate) fn terminal(&mut self) {
        self.observation.terminal = true;
    }

    /// Another response of a session began: what was the end is none.
    pub(crate) fn running(&mut self) {
        self.observation.terminal = false;
    }

    /// An error: the first.
    pub(crate) fn error(&mut self, error: ReportedError) {
        let seen = &mut self.observation;
        if seen.streamed {
            seen.marks.error.get_or_insert(self.now);
        }
        seen.error.get_or_insert(error);
    }

    /// A sign of a refusal: the first.
    pub(crate) fn refusal(&mut self, source: &'static str, kind: RefusalKind) {
        self.observation.refusal.get_or_insert(RefusalSignal { source, kind });
    }
}

fn keep_first(slot: &mut Option<Box<str>>, value: &str) {
    if slot.is_none() && !value.is_empty() {
        *slot = Some(cut(value, NAME_BYTES));
    }
}

/// A code, cut to 64 bytes; `None` if it is empty.
pub(crate) fn code(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| cut(text, CODE_BYTES))
}

/// At most `bytes` of `text`, cut before a character that would not fit.
pub(crate) fn cut(text: &str, bytes: usize) -> Box<str> {
    head(text, bytes).into()
}

/// At most `bytes` of `text`, borrowed.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
