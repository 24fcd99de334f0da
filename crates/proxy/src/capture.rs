//! Which exchanges' content is captured: decided at their begin, from their id, so that all others keep no text at all.
//!
//! The decision needs no state and no random number, and whoever has the id can make it again. An exchange whose upstream
//! is not known yet is held to the largest share of any; with its upstream it is held to that one's. Without a span there is
//! nowhere for content to go, so a trace that is not sampled has none.

use std::sync::Arc;

use http::Method;
use limpid_core::{ContentSlot, ExchangeId, KeptText, TextBudget, in_share};
use limpid_settle::Unsettled;
use limpid_settle::content::{ContentRules, Heard, Missing};

use crate::exchange::Arrival;

/// What is captured.
#[derive(Debug)]
pub struct CaptureConfig {
    /// The upstreams that it is done for, and the share of their exchanges, 0 to 1.
    pub upstreams: Vec<(Arc<str>, f64)>,
    /// What of an exchange, how much of it, and what must not leave.
    pub rules: ContentRules,
    /// The longest request, and the longest reply, that is held until the exchange ends, bytes. A longer one is not captured.
    pub text_bytes: usize,
    /// How much text is held at a time, in all, bytes: until the exchange ends, and redacted until its span is exported.
    pub budget_bytes: usize,
}

/// See the module; one a process.
pub(crate) struct Capture {
    upstreams: Vec<(Arc<str>, f64)>,
    largest: f64,
    pub(crate) rules: Arc<ContentRules>,
    text_bytes: usize,
    pub(crate) budget: Arc<TextBudget>,
}

impl Capture {
    pub(crate) fn new(config: CaptureConfig) -> Capture {
        let CaptureConfig { upstreams, rules, text_bytes, budget_bytes } = config;
        let largest = upstreams.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        Capture { upstreams, largest, rules: Arc::new(rules), text_bytes, budget: TextBudget::new(budget_bytes) }
    }

    /// Whether the content of this exchange may be wanted; `has_span`: a span of it is exported.
    pub(crate) fn may_take(&self, id: ExchangeId, arrival: &Arrival, has_span: impl FnOnce() -> bool) -> bool {
        in_share(id.0, self.largest)
            && arrival.endpoint.generates_text()
            && arrival.method == Method::POST
            && has_span()
    }

    /// Whether it is, now that its upstream is known.
    pub(crate) fn takes(&self, id: ExchangeId, upstream: &str) -> bool {
        self.upstreams.iter().any(|(name, share)| **name == *upstream && in_share(id.0, *share))
    }

    /// An empty text for the request's body, if that is captured.
    pub(crate) fn request_text(&self) -> Option<KeptText> {
        self.rules.input.map(|_| KeptText::new(self.text_bytes, &self.budget))
    }

    /// An empty text for the reply, if that is captured.
    pub(crate) fn reply_text(&self) -> Option<KeptText> {
        self.rules.output.map(|_| KeptText::new(self.text_bytes, &self.budget))
    }
}

/// What was kept of an exchange, not redacted yet.
pub(crate) struct Captured {
    pub(crate) rules: Arc<ContentRules>,
    pub(crate) budget: Arc<TextBudget>,
    pub(crate) request: Option<KeptText>,
    pub(crate) reply: Option<KeptText>,
}

impl Captured {
    /// What may leave of it.
    pub(crate) fn redacted(self, exchange: &Unsettled) -> ContentSlot {
        let heard =
            Heard { request: self.request.as_ref().map(KeptText::get), reply: self.reply.as_ref().map(KeptText::get) };
        let content = self.rules.content(exchange, heard);
        let budget = Arc::clone(&self.budget);
        // What was kept makes room for what is.
        drop(self);
        ContentSlot::new(content, &budget)
    }

    /// Nothing of it leaves, for that reason.
    pub(crate) fn without(self, why: Missing) -> ContentSlot {
        ContentSlot::new(self.rules.without(why), &self.budget)
    }
}

#[cfg(test)]
mod tests {
    use limpid_core::{Caller, Endpoint};
    use limpid_settle::content::{Builtin, Redactor};

    use super::*;
    use crate::ids::Ids;

    fn capture(upstreams: &[(&str, f64)]) -> Capture {
        let redactor = Redactor::new(&[Builtin::Cards], &[]).unwrap();
        Capture::new(CaptureConfig {
            upstreams: upstreams.iter().map(|(name, share)| (Arc::from(*name), *share)).collect(),
            rules: ContentRules { input: Some(100), output: None, redactor },
            text_bytes: 1000,
            budget_bytes: 4000,
        })
    }

    fn arrival(endpoint: Endpoint, method: Method) -> Arrival {
        Arrival { endpoint, method, path: "/".into(), caller: Caller::default(), labels: Vec::new(), preflight: None }
    }

    #[test]
    fn the_share_is_met_within_its_spread_and_the_same_id_decides_alike() {
        const MANY: u32 = 100_000;
        let ids = Ids::new();
        let chat = arrival(Endpoint::Chat, Method::POST);
        let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_348_800);
        let ids: Vec<_> = (0..MANY).map(|_| ids.exchange(now)).collect();
        for share in [0.0, 0.01, 0.05, 0.5, 1.0] {
            let capture = capture(&[("a", share), ("b", share / 2.0)]);
            let taken: Vec<_> = ids.iter().filter(|id| capture.takes(**id, "a")).collect();
            let expected = f64::from(MANY) * share;
            // Six standard deviations: one run in a thousand million is beyond.
            let spread = 6.0 * (expected * (1.0 - share)).sqrt();
            let count = f64::from(u32::try_from(taken.len()).unwrap());
            assert!((count - expected).abs() <= spread, "{count} of {MANY} at {share}");
            for id in ids.iter().take(2000) {
                let may = capture.may_take(*id, &chat, || true);
                assert_eq!(capture.takes(*id, "a"), capture.takes(*id, "a"));
                assert!(may || !(capture.takes(*id, "a") || capture.takes(*id, "b")), "what may not be is not");
                assert!(!capture.takes(*id, "c"), "it opted in for none");
            }
        }
    }

    #[test]
    fn only_what_has_content_and_a_span_is_taken() {
        let capture = capture(&[("a", 1.0)]);
        let id = Ids::new().exchange(std::time::SystemTime::UNIX_EPOCH);
        for (endpoint, method, has_span, taken) in [
            (Endpoint::Chat, Method::POST, true, true),
            (Endpoint::Chat, Method::POST, false, false),
            (Endpoint::Chat, Method::GET, true, false),
            (Endpoint::Embeddings, Method::POST, true, false),
            (Endpoint::Files, Method::POST, true, false),
            (Endpoint::Other, Method::POST, true, false),
        ] {
            assert_eq!(capture.may_take(id, &arrival(endpoint, method), || has_span), taken, "{endpoint}");
        }
        assert!(capture.request_text().is_some() && capture.reply_text().is_none());
    }
}
