//! What was captured of an exchange, onto its span: prompt and reply, redacted long before they come here.
//!
//! It is taken out of the record, so it leaves once, on a span, and by no other way: log records, metrics, the exchange
//! log, the API and the dashboard do not have it. The conventions want it as JSON in a string where spans cannot carry
//! structure, as here. JSON that is cut is none, so where a span's attributes are limited, content that is longer than the
//! limit is left out, with that reason.

use limpid_core::{Content, ExchangeRecord};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::names::attr::{self, Attr};
use crate::semconv::Semconv;
use crate::settings::AttributeLimits;

/// Why content that was captured is not on the span.
const TOO_LONG: &str = "attribute_limit";

/// Takes the content of `r`, if there is any, and adds it to its span, whose other attributes are limited already.
pub(crate) fn add(span: &mut SpanData, r: &ExchangeRecord, limits: &AttributeLimits) {
    let Some(content) = r.content.take() else { return };
    let semconv = Semconv::of(&span.instrumentation_scope);
    let mut attributes = attributes(*content, semconv, limits);
    let room = limits.count.unwrap_or(usize::MAX).saturating_sub(span.attributes.len());
    let dropped = attributes.len().saturating_sub(room);
    attributes.truncate(room);
    span.dropped_attributes_count += u32::try_from(dropped).unwrap_or(u32::MAX);
    span.attributes.extend(attributes);
}

/// What it says, as attributes that need no limit but on their number.
pub(crate) fn attributes(content: Content, semconv: Semconv, limits: &AttributeLimits) -> Vec<KeyValue> {
    let longest = limits.value_length.unwrap_or(usize::MAX);
    let Content { input, system, output, stop_sequences, redactions, .. } = content;
    let (mut input_missing, mut output_missing) = (content.input_missing, content.output_missing);
    let mut all = Vec::new();
    let mut put = |attr: &Attr, value: Option<Value>| {
        all.extend(value.map(|value| KeyValue::new(attr.of(semconv).text, value)));
    };
    let fits = |text: Option<String>, missing: &mut Option<&'static str>| {
        let long = text.as_ref().is_some_and(|text| text.chars().nth(longest).is_some());
        if long {
            *missing = Some(TOO_LONG);
        }
        text.filter(|_| !long).map(Value::from)
    };
    let said = input.is_some() || system.is_some() || output.is_some();
    put(attr::SYSTEM_INSTRUCTIONS, fits(system, &mut input_missing));
    put(attr::INPUT_MESSAGES, fits(input, &mut input_missing));
    put(attr::OUTPUT_MESSAGES, fits(output, &mut output_missing));
    let stops: Vec<StringValue> = stop_sequences.into_iter().map(StringValue::from).collect();
    put(attr::STOP_SEQUENCES, (!stops.is_empty()).then_some(Value::Array(Array::String(stops))));
    let count = |n: u64| i64::try_from(n).ok().map(Value::from);
    put(attr::CONTENT_REDACTIONS, count(redactions).filter(|_| said));
    put(attr::INPUT_TRUNCATED, count(content.input_truncated).filter(|_| content.input_truncated > 0));
    put(attr::OUTPUT_TRUNCATED, count(content.output_truncated).filter(|_| content.output_truncated > 0));
    put(attr::INPUT_MISSING, input_missing.map(Value::from));
    put(attr::OUTPUT_MISSING, output_missing.map(Value::from));
    all
}

#[cfg(test)]
mod tests {
    use limpid_core::{ContentSlot, TextBudget};
    use opentelemetry::InstrumentationScope;

    use super::*;
    use crate::fixture::record;
    use crate::log_record::log_record;
    use crate::span_data::span;

    fn captured() -> Content {
        Content {
            input: Some("[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"a canary\"}]}]".into()),
            output: Some("[\"a canary\"]".into()),
            stop_sequences: vec!["END".into()],
            redactions: 2,
            output_truncated: 7,
            ..Content::default()
        }
    }

    fn added(content: Content, limits: &AttributeLimits) -> (Vec<String>, u32) {
        let mut r = record();
        r.content = ContentSlot::new(content, &TextBudget::new(1000));
        let scope = InstrumentationScope::builder("limpid").build();
        let mut span = span(&r, &scope);
        let before = span.attributes.len();
        add(&mut span, &r, limits);
        assert_eq!(r.content.take(), None, "it leaves once");
        let told = span.attributes.iter().skip(before).map(|kv| format!("{}={}", kv.key, kv.value));
        (told.collect(), span.dropped_attributes_count)
    }

    #[test]
    fn content_and_what_became_of_it_are_on_the_span() {
        let (told, dropped) = added(captured(), &AttributeLimits::default());
        let want = [
            "gen_ai.input.messages=[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"a canary\"}]}]",
            "gen_ai.output.messages=[\"a canary\"]",
            "gen_ai.request.stop_sequences=[\"END\"]",
            "limpid.content.redactions=2",
            "limpid.content.output_truncated=7",
        ];
        assert_eq!((told.iter().map(String::as_str).collect::<Vec<_>>(), dropped), (want.to_vec(), 0));
        let missing = Content { input_missing: Some("too_large"), ..Content::default() };
        assert_eq!(added(missing, &AttributeLimits::default()).0, ["limpid.content.input_missing=too_large"]);
        assert_eq!(added(Content::default(), &AttributeLimits::default()).0, [""; 0]);
    }

    #[test]
    fn json_is_never_cut() {
        let (told, _) = added(captured(), &AttributeLimits { value_length: Some(20), count: None });
        assert!(!told.iter().any(|kv| kv.starts_with("gen_ai.input.messages")), "{told:?}");
        assert!(told.contains(&"gen_ai.output.messages=[\"a canary\"]".to_owned()), "{told:?}");
        assert!(told.contains(&"limpid.content.input_missing=attribute_limit".to_owned()), "{told:?}");
        let few = record().content;
        assert_eq!(few.take(), None);
        let (told, dropped) = added(captured(), &AttributeLimits { value_length: None, count: Some(3) });
        assert_eq!((told.len(), dropped), (0, 5));
    }

    #[test]
    fn a_log_record_has_none_and_leaves_it_for_the_span() {
        let mut r = record();
        r.content = ContentSlot::new(captured(), &TextBudget::new(1000));
        let scope = InstrumentationScope::builder("limpid").build();
        let log = log_record(&r, &scope, &AttributeLimits::default(), 1.0);
        assert!(!format!("{log:?}").contains("canary"));
        assert!(r.content.take().is_some());
    }
}
