//! Refusals that the reply's structure tells: a refusal field, a finish or stop reason, an incomplete reason, a
//! filter's result, an error's code. The observer finds all but the last. Certain, every one.

use limpid_core::{Refusal, RefusalKind, Verdict};

use crate::Evidence;
use crate::outcome::is_filter;

/// The verdict, if there is one.
pub(super) fn settle(e: &Evidence<'_>) -> Option<Refusal> {
    let certain = |source, kind| Refusal { verdict: Verdict::Certain, source: Some(source), kind: Some(kind) };
    if let Some(signal) = e.observation.refusal {
        return Some(certain(signal.source, signal.kind));
    }
    let filtered = e.observation.error.as_ref().is_some_and(is_filter);
    filtered.then(|| certain("error_code", RefusalKind::Filter))
}

#[cfg(test)]
mod tests {
    use limpid_core::{Observation, RefusalSignal, ReportedError};

    use super::*;
    use crate::testing::evidence;

    #[test]
    fn the_observer_goes_first() {
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
            let told = verdict.as_ref().and_then(|r| r.source.zip(r.kind));
            assert_eq!(told, expected, "{code:?}");
            assert!(verdict.is_none_or(|r| r.verdict == Verdict::Certain));
        }
    }
}
