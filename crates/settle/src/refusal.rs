//! Whether the model, or a filter beside it, refused.
//!
//! Orthogonal to the outcome: most refusals are a 200. Only the reply's structure is judged here, so every verdict is
//! certain: a refusal field, a finish or stop reason, an incomplete reason, a filter's result, an error's code. The
//! observer finds all but the last. How a reply's *text* reads is another kind of evidence and would be the verdict
//! `suspected`, with the source `text`.

use limpid_core::{Refusal, RefusalKind, Verdict};

use crate::Evidence;
use crate::outcome::is_filter;

/// The verdict.
pub(crate) fn settle(e: &Evidence<'_>) -> Refusal {
    let certain = |source, kind| Refusal { verdict: Verdict::Certain, source: Some(source), kind: Some(kind) };
    if let Some(signal) = e.observation.refusal {
        return certain(signal.source, signal.kind);
    }
    if e.observation.error.as_ref().is_some_and(is_filter) {
        return certain("error_code", RefusalKind::Filter);
    }
    Refusal::NONE
}

#[cfg(test)]
mod tests {
    use limpid_core::{Observation, RefusalSignal, ReportedError};

    use super::*;
    use crate::testing::evidence;

    #[test]
    fn only_structure_counts_and_the_observer_goes_first() {
        let signal = RefusalSignal { source: "finish_reason", kind: RefusalKind::Model };
        for (refusal, code, expected) in [
            (None, None, None),
            (None, Some("rate_limit_exceeded"), None),
            (None, Some("content_filter"), Some(("error_code", RefusalKind::Filter))),
            (None, Some("ResponsibleAIPolicyViolation"), Some(("error_code", RefusalKind::Filter))),
            (None, Some("bio_policy"), Some(("error_code", RefusalKind::Filter))),
            (None, Some("invalid_prompt"), Some(("error_code", RefusalKind::Filter))),
            (Some(signal), Some("content_filter"), Some(("finish_reason", RefusalKind::Model))),
        ] {
            let error = code.map(|c| ReportedError { code: Some(c.into()), ..ReportedError::default() });
            let seen = Observation { refusal, error, ..Observation::default() };
            let verdict = settle(&evidence(&seen));
            assert_eq!(verdict.source.zip(verdict.kind), expected, "{code:?}");
            assert_eq!(verdict.verdict == Verdict::Certain, expected.is_some());
        }
    }
}
