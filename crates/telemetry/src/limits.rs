//! The bounds of the OpenTelemetry specification on attributes, which the SDK leaves to its own span builder.

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::settings::AttributeLimits;

/// Cuts long texts and leaves out what is too many, which it counts.
pub(crate) fn limit(attributes: &mut Vec<KeyValue>, limits: &AttributeLimits) -> u32 {
    let all = attributes.len();
    if let Some(count) = limits.count {
        attributes.truncate(count);
    }
    if let Some(length) = limits.value_length {
        for attribute in attributes.iter_mut() {
            match &mut attribute.value {
                Value::String(text) => cut(text, length),
                Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| cut(text, length)),
                _ => {}
            }
        }
    }
    u32::try_from(all - attributes.len()).unwrap_or(u32::MAX)
}

fn cut(text: &mut StringValue, length: usize) {
    if let Some((end, _)) = text.as_str().char_indices().nth(length) {
        *text = text.as_str()[..end].to_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_characters_and_the_rest_is_counted() {
        let texts = Value::Array(Array::String(vec!["äöü".into(), "a".into()]));
        let mut all = vec![KeyValue::new("a", "äöü"), KeyValue::new("b", 12_345), KeyValue::new("c", texts)];
        assert_eq!(limit(&mut all, &AttributeLimits::default()), 0);
        assert_eq!(all[0].value.as_str(), "äöü");
        let mut few = all.clone();
        assert_eq!(limit(&mut few, &AttributeLimits { value_length: Some(2), count: Some(2) }), 1);
        assert_eq!((few.len(), few[0].value.as_str(), few[1].value.as_str()), (2, "äö".into(), "12345".into()));
        limit(&mut all, &AttributeLimits { value_length: Some(2), count: None });
        assert_eq!(all[2].value, Value::Array(Array::String(vec!["äö".into(), "a".into()])));
    }
}
