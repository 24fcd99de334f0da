//! The trace context (W3C Trace Context, level 1) on its way upstream.
//!
//! By default not a byte of it changes: the client's `traceparent` goes upstream as it came, and limpid's span is a
//! sibling of the upstream's. With [`Propagate::Child`] the upstream's spans become children of limpid's. `tracestate`
//! is never changed where the trace goes on: limpid has nothing to say there. A span that nobody exports must not become a
//! parent, so whatever limpid makes no span of passes untouched.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use limpid_core::{Endpoint, TraceParent, in_share};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Where the parent's id begins in `00-<32>-<16>-<2>`, and where the flags do.
const PARENT: usize = 36;
const FLAGS: usize = 53;

/// What becomes of a request's trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagate {
    /// It passes as it came.
    #[default]
    AsIs,
    /// limpid's span takes the place of the client's as the parent.
    Child,
    /// As `Child`; and where there is none, one is made.
    Always,
}

/// How traces go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceConfig {
    /// What becomes of the fields.
    pub propagate: Propagate,
    /// The share of new traces of which limpid exports a span, 0 to 1: the flag of those that it makes says so.
    pub sample_ratio: f64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        TraceConfig { propagate: Propagate::default(), sample_ratio: 1.0 }
    }
}

/// The ids of an exchange's span, and the client's context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnSpan {
    pub(crate) endpoint: Endpoint,
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) client: Option<TraceParent>,
}

impl TraceConfig {
    /// Whether limpid exports a span of a trace that it began itself.
    pub(crate) fn samples(&self, trace_id: u128) -> bool {
        in_share(trace_id, self.sample_ratio)
    }

    /// Changes the fields of a request that goes upstream as part of `span`.
    pub(crate) fn apply(&self, fields: &mut HeaderMap, span: OwnSpan) {
        if self.propagate == Propagate::AsIs || !span.endpoint.is_inference() {
            return;
        }
        match span.client {
            Some(client) if client.sampled => adopt(fields, span),
            None if self.propagate == Propagate::Always => begin(fields, span, self.sample_ratio),
            // Of a trace that is not sampled neither limpid nor what comes behind it makes a span.
            Some(_) | None => {}
        }
    }
}

/// Puts limpid's span in the place of the client's. Of a later version's field only what level 1 knows goes on, in its
/// own version (§3.2.4).
fn adopt(fields: &mut HeaderMap, span: OwnSpan) {
    let Some(value) = fields.get_mut(TRACEPARENT) else { return };
    let Some(text) = value.to_str().ok().map(str::trim) else { return };
    let adopted = match (text.get(..PARENT), text.get(FLAGS..)) {
        (Some(head), Some(flags)) if head.starts_with("00-") => format!("{head}{:016x}-{flags}", span.span_id),
        _ => traceparent(span, true),
    };
    if let Ok(adopted) = HeaderValue::from_str(&adopted) {
        *value = adopted;
    }
}

/// Begins a trace. What there was does not read, and its `tracestate` belongs to nothing (§3.3.1.1).
fn begin(fields: &mut HeaderMap, span: OwnSpan, ratio: f64) {
    let Ok(value) = HeaderValue::from_str(&traceparent(span, in_share(span.trace_id, ratio))) else { return };
    fields.remove(TRACESTATE);
    fields.insert(TRACEPARENT, value);
}

fn traceparent(span: OwnSpan, sampled: bool) -> String {
    format!("00-{:032x}-{:016x}-{:02x}", span.trace_id, span.span_id, u8::from(sampled))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn after(propagate: Propagate, sent: &[(&'static str, &str)], client: Option<bool>, ratio: f64) -> Vec<String> {
        let mut fields: HeaderMap =
            sent.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect();
        let trace_id = u128::from_str_radix(TRACE, 16).unwrap();
        let client = client.map(|sampled| TraceParent { trace_id, span_id: 1, sampled });
        let span = OwnSpan { endpoint: Endpoint::Chat, trace_id, span_id: 0xab, client };
        TraceConfig { propagate, sample_ratio: ratio }.apply(&mut fields, span);
        fields.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    #[test]
    fn the_parent_alone_changes_and_stands_in_its_place() {
        let parent = format!("00-{TRACE}-0000000000000001-03");
        let sent = [("accept", "a"), ("traceparent", parent.as_str()), ("tracestate", "v=1"), ("host", "h")];
        let as_it_came: Vec<_> = sent.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(after(Propagate::AsIs, &sent, Some(true), 1.0), as_it_came);
        for changed in [Propagate::Child, Propagate::Always] {
            let mut want = as_it_came.clone();
            want[1] = format!("traceparent: 00-{TRACE}-00000000000000ab-03");
            assert_eq!(after(changed, &sent, Some(true), 1.0), want);
            assert_eq!(after(changed, &sent, Some(false), 1.0), as_it_came, "without a span nothing changes");
        }
    }

    #[test]
    fn a_later_version_goes_on_as_this_one() {
        let parent = format!("cc-{TRACE}-0000000000000001-01-future");
        let got = after(Propagate::Child, &[("traceparent", &parent)], Some(true), 1.0);
        assert_eq!(got, [format!("traceparent: 00-{TRACE}-00000000000000ab-01")]);
    }

    #[test]
    fn a_trace_is_begun_only_if_asked_and_says_whether_it_is_sampled() {
        let broken = [("traceparent", "junk"), ("tracestate", "v=1")];
        assert_eq!(after(Propagate::Child, &broken, None, 1.0), ["traceparent: junk", "tracestate: v=1"]);
        for (ratio, flag) in [(1.0, "01"), (0.0, "00")] {
            let want = [format!("traceparent: 00-{TRACE}-00000000000000ab-{flag}")];
            assert_eq!(after(Propagate::Always, &broken, None, ratio), want);
            assert_eq!(after(Propagate::Always, &[], None, ratio), want);
        }
    }
}
