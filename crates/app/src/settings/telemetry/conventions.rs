//! Which names telemetry has, and what goes upstream of a trace.

use super::super::env::{Env, otel};
use super::super::faults::Origin;
use super::super::kinds::named_kind;
use super::super::reader::Reader;
use super::{Export, Propagator};

named_kind! {
    /// Which text of OpenTelemetry's GenAI conventions is followed.
    Semconv, "write \"v1.41\" or \"latest\"" {
        /// v1.41.1, the last release with their full text.
        V1_41 = "v1.41",
        /// The renamed set of the conventions' own repository.
        Latest = "latest",
    }
}

named_kind! {
    /// What goes upstream of the trace context.
    Propagate, "write \"as-is\", \"child\" or \"always\"" {
        /// What came.
        AsIs = "as-is",
        /// limpid's span in the place of the client's as the parent.
        Child = "child",
        /// The same; and where none came, a new one.
        Always = "always",
    }
}

/// The setting; else the category of `OTEL_SEMCONV_STABILITY_OPT_IN` that asks for the newest names.
pub(super) fn semconv(env: &Env, r: &mut Reader<'_>) -> Semconv {
    let opted_in = otel(env, r.report, "OTEL_SEMCONV_STABILITY_OPT_IN", |text| {
        Ok(text.split(',').any(|category| category.trim() == "gen_ai_latest_experimental"))
    });
    let latest = opted_in.filter(|(latest, _)| *latest).map(|(_, origin)| (Semconv::Latest, origin));
    r.value_or("semconv", latest.unwrap_or((Semconv::V1_41, Origin::Default)), |_| Ok(()))
}

/// The setting as it takes effect: without spans, or with `OTEL_PROPAGATORS` against it, what came goes on.
pub(super) fn propagate(r: &mut Reader<'_>, traces: Option<&Export>, propagators: &[Propagator]) -> Propagate {
    let wanted = r.value("propagate", Propagate::AsIs);
    let (propagate, why) = match wanted {
        Propagate::AsIs => (Propagate::AsIs, "as it came"),
        _ if traces.is_none() => (Propagate::AsIs, "as it came: no spans are exported that could be a parent"),
        _ if !propagators.contains(&Propagator::TraceContext) => {
            (Propagate::AsIs, "as it came: OTEL_PROPAGATORS has no tracecontext")
        }
        Propagate::Child => (wanted, "limpid's span as the parent, in a trace that came"),
        Propagate::Always => (wanted, "limpid's span as the parent, in a new trace where none came"),
    };
    r.explain("trace context upstream", why.to_owned(), Origin::Derived("from the settings above"));
    propagate
}
