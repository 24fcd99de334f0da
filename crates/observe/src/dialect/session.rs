//! OpenAI Realtime, and Responses over WebSocket: many responses in one connection.
//!
//! Their events are those of Responses; Realtime ends each response with `response.done`. The exchange is the whole
//! session, so the token counts of its responses are added up, and a count that one of them leaves out is not known.
//! There are no marks of tokens and no finish: a session has no one request to measure from, and no one reply.
//!
//! Between two responses a client may leave without having missed anything, so [`Seen::terminal`] follows them.

use limpid_core::{ObserverFault, RefusalKind};

use super::{error, usage};
use crate::json::{self, Leaf, Raw, members};
use crate::seen::Seen;

members! {
    struct Event<'a> {
        kind: Leaf<'a> = "type",
        response: Leaf<'a>,
        session: Leaf<'a>,
    }
}

members! {
    /// A response or the session, as far as it is looked at.
    struct State<'a> {
        id: Leaf<'a>,
        model: Leaf<'a>,
        service_tier: Leaf<'a>,
        usage: usage::Member<'a>,
        error: Leaf<'a>,
        /// Of Responses.
        incomplete_details: Leaf<'a>,
        /// Of Realtime.
        status_details: Leaf<'a>,
    }
}

members! {
    struct Details<'a> {
        reason: Leaf<'a>,
        error: Leaf<'a>,
    }
}

/// One message.
pub(super) fn event(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    let event = json::parse::<Event<'_>>(text)?;
    seen.event();
    let event = event.unwrap_or_default();
    match event.kind.and_then(Raw::string).as_deref() {
        Some("session.created" | "session.updated") => {
            let session = event.session.and_then(Raw::parse::<State<'_>>).unwrap_or_default();
            session.model(seen);
        }
        Some("response.created") => {
            seen.running();
            event.response.and_then(Raw::parse::<State<'_>>).unwrap_or_default().names(seen);
        }
        Some(
            "response.done" | "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled",
        ) => {
            seen.terminal();
            if let Some(whole) = event.response {
                whole.parse::<State<'_>>().unwrap_or_default().end(whole.text(), seen);
            }
        }
        Some("error") => error::in_stream(text, true, seen),
        _ => {}
    }
    Ok(())
}

impl State<'_> {
    fn model(&self, seen: &mut Seen) {
        if let Some(model) = self.model.and_then(Raw::string) {
            seen.model(&model);
        }
    }

    fn names(&self, seen: &mut Seen) {
        self.model(seen);
        if let Some(id) = self.id.and_then(Raw::string) {
            seen.response_id(&id);
        }
        if let Some(tier) = self.service_tier.and_then(Raw::string) {
            seen.service_tier(&tier);
        }
    }

    fn end(&self, whole: &str, seen: &mut Seen) {
        self.names(seen);
        let details = self.incomplete_details.or(self.status_details);
        let status = details.and_then(Raw::parse::<Details<'_>>).unwrap_or_default();
        if status.reason.and_then(Raw::string).as_deref() == Some("content_filter") {
            seen.refusal("incomplete_reason", RefusalKind::Filter);
        }
        if self.error.is_some_and(Raw::is_truthy) {
            error::in_stream(whole, false, seen);
        } else if let Some(details) = details.filter(|_| status.error.is_some_and(Raw::is_truthy)) {
            error::in_stream(details.text(), false, seen);
        }
        if let Some(told) = usage::openai(&self.usage, false) {
            seen.add_usage(told.usage);
        }
    }
}

#[cfg(test)]
mod tests {
    use limpid_core::{Endpoint, ErrorHint, Observation, Tick};

    use crate::{Limits, ResponseHead, ResponseObserver};

    fn session(endpoint: Endpoint, messages: &[&str]) -> Observation {
        let head = ResponseHead { endpoint, status: 101, content_type: None, content_encoding: None };
        let mut observer = ResponseObserver::new(&head, Limits::default());
        for message in messages {
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            observer.on_bytes(&[&[0x81, 126], &length[..], message.as_bytes()].concat(), Tick::default());
        }
        observer.finish(Tick::default());
        observer.into_observation()
    }

    const DONE: &str = r#"{"type":"response.done","response":{"id":"r1","status":"completed","usage":{"total_tokens":30,
        "input_tokens":20,"output_tokens":10,"input_token_details":{"cached_tokens":4,"audio_tokens":12},
        "output_token_details":{"audio_tokens":7}}}}"#;

    #[test]
    fn the_responses_of_a_session_are_added_up() {
        let seen = session(
            Endpoint::Realtime,
            &[
                r#"{"type":"session.created","session":{"model":"gpt-realtime"}}"#,
                r#"{"type":"response.created","response":{"id":"r1"}}"#,
                r#"{"type":"response.output_audio.delta","delta":"AAAA"}"#,
                DONE,
                DONE,
            ],
        );
        assert_eq!((seen.fault, seen.events, seen.streamed, seen.terminal), (None, 5, true, true));
        assert_eq!((seen.model.as_deref(), seen.response_id.as_deref()), (Some("gpt-realtime"), Some("r1")));
        let usage = seen.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(40), Some(20)));
        assert_eq!((usage.cached_input_tokens, usage.audio_input_tokens), (Some(8), Some(24)));
        assert_eq!((usage.audio_output_tokens, usage.reasoning_output_tokens), (Some(14), None));
        assert_eq!((seen.marks.first_token, seen.token_events), (None, 0), "a session has no first token");
        assert!(seen.marks.first_event.is_some());
    }

    #[test]
    fn a_count_that_one_response_leaves_out_is_not_known() {
        let bare = r#"{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}"#;
        let usage = session(Endpoint::Responses, &[DONE, bare]).usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_input_tokens), (Some(21), Some(12), None));
    }

    #[test]
    fn a_response_under_way_is_not_the_end() {
        let begun = r#"{"type":"response.created","response":{}}"#;
        assert!(!session(Endpoint::Realtime, &[DONE, begun]).terminal);
    }

    #[test]
    fn errors_are_those_of_the_session_and_of_a_response() {
        let told =
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"session_expired","message":"m"}}"#;
        assert_eq!(session(Endpoint::Realtime, &[told]).error.unwrap().code.as_deref(), Some("session_expired"));
        let failed = r#"{"type":"response.done","response":{"status":"failed","status_details":{"type":"failed",
            "error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Rate limit reached on tokens per min"}}}}"#;
        let error = session(Endpoint::Realtime, &[failed]).error.unwrap();
        assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
        assert!(matches!(error.hint, None | Some(ErrorHint::RateLimitTokens)));
    }

    #[test]
    fn other_protocols_are_only_counted() {
        let seen = session(Endpoint::Other, &["no JSON", "{}"]);
        assert_eq!((seen.fault, seen.events), (None, 2));
    }
}
