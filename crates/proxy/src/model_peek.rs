//! Finding the model before the upstream is chosen, where routes name models.
//!
//! Only then is the body read ahead, and only until the scanner has seen `model` or never will: at most the observer's
//! limit plus one frame. A `model` that stands behind megabytes of image is not found, and such a request goes to the
//! route that demands no model. Nothing read ahead is lost; it is passed on first.

use limpid_core::RequestFacts;

use crate::request_body::RequestBody;

/// Reads ahead until the model is settled; what the body says so far.
pub(crate) async fn peek(body: &mut RequestBody) -> RequestFacts {
    while !body.tap().model_settled() && body.read_ahead().await {}
    body.tap().facts()
}
