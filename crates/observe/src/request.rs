//! A request's facts, found while its body goes by, in whatever form it has: a JSON object, a form, a multipart form; plain or
//! in one of the codings of [`crate::decode`], of which a copy is decoded.
//!
//! Nothing is held but the text of the few members that matter. `limit` bounds what is looked at, decoded; the ratio that holds
//! for replies ([`Limits::ratio`](crate::Limits)) holds here too, and what a coding's window takes is told by
//! [`RequestObserver::held_bytes`]. What cannot be read (an unknown coding, several of them, a damaged one, a body that is none of
//! these forms) ends the look at it, and what was known stays.
//!
//! The form is told from `Content-Type`, but for JSON, which clients send under any label or none: what is not called a form is
//! read as JSON, and so is a form that begins like an object (`curl -d`).

use std::fmt;
use std::sync::Arc;

use limpid_core::{ObserverFault, RequestFacts};

use crate::Limits;
use crate::decode::Decoder;
use json::JsonBody;
use multipart::Multipart;
use urlencoded::UrlEncoded;

mod form;
mod json;
mod multipart;
mod names;
mod text;
mod urlencoded;

/// A member's name or text is kept up to here, in bytes.
const KEEP_BYTES: usize = 2048;
/// Names such as the model's, in bytes.
const NAME_BYTES: usize = 256;

/// A member of `metadata` that becomes a label: its name, and the label's.
pub type MetadataLabel = (Box<str>, Arc<str>);

/// What a request's head tells of its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestHead<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
}

/// See the module.
pub struct RequestObserver {
    /// On the heap: requests are seldom compressed.
    decoder: Option<Box<Decoder>>,
    body: Form,
}

#[expect(clippy::large_enum_variant, reason = "nearly every request is JSON: a box would be an allocation for each")]
#[derive(Debug)]
enum Form {
    Json(JsonBody),
    Multipart(Box<Multipart>),
    UrlEncoded(Box<UrlEncoded>),
    /// Nothing more is looked at.
    Over {
        facts: Box<RequestFacts>,
        two_models: bool,
    },
}

impl RequestObserver {
    /// An observer of plain JSON that looks at no more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self::with_metadata(limit, Arc::default())
    }

    /// The same, which also makes labels of these members of `metadata`, where they are strings, numbers or truths.
    pub fn with_metadata(limit: usize, metadata: Arc<[MetadataLabel]>) -> Self {
        RequestObserver { decoder: None, body: Form::Json(JsonBody::new(limit, metadata)) }
    }

    /// The same of a body of the form and coding that its head tells.
    pub fn for_request(limit: usize, metadata: Arc<[MetadataLabel]>, head: &RequestHead<'_>) -> Self {
        let mut body = match head.content_type.map_or(form::Label::Other, form::label) {
            form::Label::Other => Form::Json(JsonBody::new(limit, metadata)),
            form::Label::UrlEncoded => Form::UrlEncoded(Box::new(UrlEncoded::new(limit, metadata))),
            form::Label::Multipart(boundary) => Form::Multipart(Box::new(Multipart::new(limit, &boundary))),
            form::Label::Unreadable => Form::over(),
        };
        // Who reads it counts what is decoded, to the byte.
        let limits = Limits { decoded_bytes: usize::MAX, ..Limits::default() };
        let decoder = head.content_encoding.map_or(Ok(None), |coding| Decoder::new(Some(coding), limits));
        let decoder = decoder.unwrap_or_else(|_unreadable| {
            body = Form::over();
            None
        });
        RequestObserver { decoder: decoder.map(Box::new), body }
    }

    /// Takes the next bytes of the body, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return self.body.feed(bytes) };
        let body = &mut self.body;
        let done = decoder.feed(bytes, &mut |piece| {
            body.feed(piece);
            if body.is_over() { Err(ObserverFault::DecompressLimit) } else { Ok(()) }
        });
        if done.is_err() {
            self.give_up();
        }
    }

    /// The body is whole: what stands at its end counts.
    pub fn finish(&mut self) {
        if let Form::UrlEncoded(form) = &mut self.body {
            form.finish();
        }
        self.give_up();
    }

    /// Looks at nothing more, and gives back what was held for it.
    pub fn give_up(&mut self) {
        self.decoder = None;
        self.body.give_up();
    }

    /// What is known so far.
    pub fn facts(&self) -> &RequestFacts {
        match &self.body {
            Form::Json(body) => body.facts(),
            Form::Multipart(form) => form.fields.facts(),
            Form::UrlEncoded(form) => form.facts(),
            Form::Over { facts, .. } => facts,
        }
    }

    /// `model` was seen, or cannot be seen any more.
    pub fn model_settled(&self) -> bool {
        self.facts().model.is_some() || self.body.is_over()
    }

    /// `model` stands there twice, and differs: readers could take either.
    pub fn has_two_models(&self) -> bool {
        match &self.body {
            Form::Json(body) => body.has_two_models(),
            Form::Multipart(form) => form.fields.has_two_models(),
            Form::UrlEncoded(form) => form.has_two_models(),
            Form::Over { two_models, .. } => *two_models,
        }
    }

    /// What a decoder holds for the body, bytes: its window, as far as it was filled.
    pub fn held_bytes(&self) -> usize {
        self.decoder.as_ref().map_or(0, |decoder| decoder.held_bytes())
    }
}

impl fmt::Debug for RequestObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestObserver { decoder, body } = self;
        f.debug_struct("RequestObserver").field("decodes", &decoder.is_some()).field("body", body).finish()
    }
}

impl Form {
    fn over() -> Form {
        Form::Over { facts: Box::default(), two_models: false }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Form::Json(body) => body.feed(bytes),
            Form::Multipart(form) => form.feed(bytes),
            Form::UrlEncoded(form) => {
                if let Some(json) = form.feed(bytes) {
                    *self = Form::Json(json);
                    self.feed(bytes);
                }
            }
            Form::Over { .. } => {}
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Form::Json(body) => body.is_over(),
            Form::Multipart(form) => form.is_over(),
            Form::UrlEncoded(form) => form.is_over(),
            Form::Over { .. } => true,
        }
    }

    fn give_up(&mut self) {
        let (facts, two_models) = match std::mem::replace(self, Form::over()) {
            Form::Json(body) => {
                let two = body.has_two_models();
                (Box::new(body.into_facts()), two)
            }
            Form::Multipart(form) => form.fields.into_facts(),
            Form::UrlEncoded(form) => form.into_facts(),
            Form::Over { facts, two_models } => (facts, two_models),
        };
        *self = Form::Over { facts, two_models };
    }
}

#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod tests;
