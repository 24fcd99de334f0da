//! Errors that backends tell in a body, in every known shape:
//!
//! | shape | of |
//! |---|---|
//! | `{"error":{"message","type","param","code"}}` | OpenAI, vLLM, llama.cpp, SGLang in a stream, Azure (`innererror`) |
//! | `{"type":"error","error":{"type","message"}}` | Anthropic |
//! | `{"error":"text","error_type":"…"}` | TGI, Ollama, vLLM's 401 |
//! | `{"object":"error","message","type","param","code"}` | SGLang |
//! | `{"type":"error","code","message","param"}` | Responses, in a stream |
//! | `{"detail":"…"}`, `{"message":"…"}`, with `__type` | `FastAPI`, gateways, Bedrock; error statuses only |
//! | `[{"error":…}]` | Gemini; error statuses only |
//!
//! Codes are kept, cut; of the message only its [`ErrorHint`], for it may quote the prompt.

use std::borrow::Cow;

use limpid_core::{ErrorHint, ObserverFault, RefusalKind, ReportedError};

use super::hint;
use crate::json::{self, Few, Leaf, Raw, members};
use crate::seen::{Seen, code};

members! {
    struct Outer<'a> {
        error: Leaf<'a>,
        error_type: Leaf<'a>,
        detail: Leaf<'a>,
    }
}

members! {
    struct Inner<'a> {
        kind: Leaf<'a> = "type",
        /// Google's name for the kind.
        status: Leaf<'a>,
        /// Bedrock's.
        aws: Leaf<'a> = "__type",
        code: Leaf<'a>,
        /// TGI's name for the code.
        http_status_code: Leaf<'a>,
        param: Leaf<'a>,
        message: Leaf<'a>,
        innererror: Leaf<'a>,
        metadata: Option<Metadata<'a>>,
    }
}

members! {
    /// OpenRouter's, of a request that a moderation stopped.
    struct Metadata<'a> {
        flagged_input: Leaf<'a>,
    }
}

/// An event, or a body of a status below 400, that carries an error. `flat`: it is one even without an `error` member.
pub(super) fn in_stream(text: &str, flat: bool, seen: &mut Seen) {
    let Ok(Some(outer)) = json::parse::<Outer<'_>>(text) else {
        if flat {
            seen.error(ReportedError::default());
        }
        return;
    };
    match outer.error.filter(|e| e.is_truthy()) {
        Some(error) => tell(error, outer.error_type, seen),
        None => tell_inner(&serde_json::from_str(text).unwrap_or_default(), seen),
    }
}

/// The body of an error status that says it is JSON.
pub(crate) fn error_body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if text.starts_with('[') {
        // Gemini wraps its error in an array.
        if let Some(list) = json::parse::<Few<Raw<'_>>>(text)?
            && let Some(first) = list.iter().next()
            && first.first() == Some(b'{')
        {
            return error_body(first.text(), seen);
        }
        return Ok(());
    }
    let Some(outer) = json::parse::<Outer<'_>>(text)? else { return Ok(()) };
    if let Some(error) = outer.error.filter(|e| e.is_truthy()) {
        tell(error, outer.error_type, seen);
    } else if let Some(detail) = outer.detail {
        // A string, a list of faults with a message each, or an error object inside.
        match detail.text().as_bytes().first() {
            Some(b'{') => tell(detail, None, seen),
            _ => tell_inner(&Inner { message: Some(detail), ..Inner::default() }, seen),
        }
    } else {
        let flat: Inner<'_> = serde_json::from_str(text).unwrap_or_default();
        if flat.message.is_some() || flat.code.is_some() || flat.aws.is_some() {
            tell_inner(&flat, seen);
        }
    }
    Ok(())
}

/// The body of an error status that does not say it is JSON: perhaps it is, perhaps its text gives a hint.
pub(crate) fn plain_error(text: &str, seen: &mut Seen) {
    if text.starts_with(['{', '[']) && error_body(text, seen).is_ok() {
        return;
    }
    if let Some(hint) = hint::of(&[], text) {
        seen.error(ReportedError { hint: Some(hint), ..ReportedError::default() });
    }
}

/// The value of `error`: an object or a text.
fn tell(error: Raw<'_>, error_type: Leaf<'_>, seen: &mut Seen) {
    match error.parse::<Inner<'_>>() {
        Some(inner) => tell_inner(&inner, seen),
        None => tell_inner(&Inner { kind: error_type, message: Some(error), ..Inner::default() }, seen),
    }
}

fn scalar(leaf: Leaf<'_>) -> Cow<'_, str> {
    leaf.and_then(Raw::scalar).unwrap_or_default()
}

fn tell_inner(inner: &Inner<'_>, seen: &mut Seen) {
    let kind = match scalar(inner.kind) {
        empty if empty.is_empty() => {
            // `com.amazonaws…#ThrottlingException` in some of its services.
            let aws = scalar(inner.aws);
            let aws = aws.rsplit('#').next().unwrap_or_default().to_owned();
            if aws.is_empty() { scalar(inner.status) } else { Cow::Owned(aws) }
        }
        // Flat errors: the event's own type says nothing more.
        kind if kind == "error" => Cow::Borrowed(""),
        kind => kind,
    };
    let status_or = |own: Cow<'_, str>| if own.is_empty() { code(&scalar(inner.http_status_code)) } else { code(&own) };
    let own_code = scalar(inner.code);
    let deeper = inner.innererror.and_then(Raw::parse::<Inner<'_>>).unwrap_or_default();
    let deeper_code = scalar(deeper.code);
    let codes = [&*own_code, &*kind, &*deeper_code];
    // A list of faults (FastAPI) is read as it stands.
    let message = inner.message.map(|m| m.string().unwrap_or(Cow::Borrowed(m.text()))).unwrap_or_default();
    let moderated = inner.metadata.as_ref().is_some_and(|m| m.flagged_input.is_some());
    let hint = if moderated { Some(ErrorHint::ContentFilter) } else { hint::of(&codes, &message) };
    if moderated || hint == Some(ErrorHint::ContentFilter) && hint::of(&codes, "") == hint {
        seen.refusal("error_code", RefusalKind::Filter);
    }
    let param = code(&scalar(inner.param));
    seen.error(ReportedError { kind: code(&kind), code: status_or(own_code.clone()), param, hint });
}
