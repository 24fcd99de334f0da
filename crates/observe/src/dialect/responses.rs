//! OpenAI Responses: `/responses`.
//!
//! Every event repeats its name in `type`. A `response.….delta` with text is a token event (output text, refusal,
//! reasoning, a summary of it, arguments of a function, custom or MCP call, code, audio); so is a call's name in
//! `response.output_item.added`. The `….done` events repeat what was streamed. The end is `response.completed`,
//! `.incomplete`, `.failed` or `.cancelled`, with the whole response in it; llama.cpp and vLLM may say
//! `response.completed` with a status of `incomplete`, so the status inside counts.
//!
//! The finish reason of the one choice is `incomplete_details.reason`, else the status. A summary of reasoning does not
//! make the reasoning visible: its tokens stay hidden.

use limpid_core::{ObserverFault, Opening, RefusalKind, Usage};

use super::plain::{Delta, Parsed};
use super::{error, usage};
use crate::json::{self, Few, Leaf, Raw, members};
use crate::reply_text::Piece;
use crate::seen::{Output, Seen};

members! {
    struct Event<'a> {
        kind: Leaf<'a> = "type",
        delta: Leaf<'a>,
        response: Leaf<'a>,
        item: Leaf<'a>,
        error: Leaf<'a>,
    }
}

members! {
    struct Response<'a> {
        id: Leaf<'a>,
        model: Leaf<'a>,
        status: Leaf<'a>,
        service_tier: Leaf<'a>,
        usage: usage::Member<'a>,
        error: Leaf<'a>,
        incomplete_details: Leaf<'a>,
        output: Few<Item<'a>>,
    }
}

members! {
    struct Item<'a> {
        kind: Leaf<'a> = "type",
        name: Leaf<'a>,
        content: Leaf<'a>,
        text: Leaf<'a>,
        refusal: Leaf<'a>,
        arguments: Leaf<'a>,
        input: Leaf<'a>,
        action: Leaf<'a>,
    }
}

members! {
    struct Incomplete<'a> {
        reason: Leaf<'a>,
    }
}

/// One event.
pub(super) fn event<'a>(text: &'a str, named_error: bool, seen: &mut Seen) -> Parsed<'a> {
    let event = json::parse::<Event<'a>>(text)?;
    seen.event();
    let event = event.unwrap_or_default();
    let kind = event.kind.and_then(Raw::string).unwrap_or_default();
    if let Some(what) = kind.strip_suffix(".delta") {
        if event.delta.is_some_and(Raw::is_text) {
            if what == "response.output_text" {
                seen.says(event.delta);
            }
            delta(what, seen);
            keep(what, event.delta, seen);
        }
        return Ok(plain(what, event.delta));
    }
    let response = || event.response.and_then(Raw::parse::<Response<'_>>).unwrap_or_default();
    match &*kind {
        "response.created" => response().names(seen),
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            seen.terminal();
            response().end(event.response, seen);
        }
        "response.output_item.added" => {
            let item = event.item.and_then(Raw::parse::<Item<'_>>).unwrap_or_default();
            if item.is_call() && item.name.is_some_and(Raw::is_text) {
                seen.choice(0);
                seen.output(Output::OTHER);
                seen.keep(0, Piece::Name, item.name);
            }
        }
        _ if named_error || kind == "error" || event.error.is_some_and(Raw::is_truthy) => {
            error::in_stream(text, true, seen);
        }
        _ => {}
    }
    Ok(None)
}

/// What the most frequent deltas add.
fn plain<'a>(what: &str, delta: Leaf<'a>) -> Option<Delta<'a>> {
    let piece = match what {
        "response.output_text" => Piece::Text,
        "response.reasoning_text" => Piece::Reasoning,
        "response.function_call_arguments" => Piece::Arguments,
        _ => return None,
    };
    Some(Delta { choice: 0, piece, text: delta.filter(|d| d.is_text())? })
}

fn delta(what: &str, seen: &mut Seen) {
    let output = match what {
        "response.output_text" => Output::TEXT,
        "response.refusal" => {
            seen.refusal("refusal_field", RefusalKind::Model);
            Output::TEXT
        }
        "response.reasoning_text" => Output::REASONING,
        _ => Output::OTHER,
    };
    seen.choice(0);
    seen.output(output);
}

/// A summary of the reasoning is not what was generated.
fn keep(what: &str, delta: Leaf<'_>, seen: &mut Seen) {
    match what {
        "response.output_text" => seen.keep(0, Piece::Text, delta),
        "response.refusal" => seen.keep(0, Piece::Refusal, delta),
        "response.reasoning_text" => seen.keep(0, Piece::Reasoning, delta),
        "response.audio" | "response.output_audio" | "response.image_generation_call.partial_image" => {
            seen.generated_more_than_text();
        }
        _ if what.contains("summary") || what.contains("transcript") => {}
        _ => seen.keep(0, Piece::Arguments, delta),
    }
}

/// The response of a request that is not streamed.
pub(super) fn body(text: &str, seen: &mut Seen) -> Result<(), ObserverFault> {
    if let Some(response) = json::parse::<Response<'_>>(text)? {
        if response.status.is_some() {
            response.end_of(text, seen);
        } else if response.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
    }
    Ok(())
}

impl Item<'_> {
    fn is_call(&self) -> bool {
        matches!(self.kind.map(Raw::text), Some("\"function_call\"" | "\"custom_tool_call\"" | "\"mcp_call\""))
    }

    /// A message's visible text goes to the opening.
    fn opens(&self, seen: &mut Seen) {
        if self.kind.map(Raw::text) == Some("\"message\"") {
            for part in self.content.and_then(Raw::parse::<Few<Item<'_>>>).unwrap_or_default().iter() {
                if part.kind.map(Raw::text) == Some("\"output_text\"") {
                    seen.says(part.text);
                }
            }
        }
    }

    /// All that the model wrote in it is kept, where that is wanted.
    fn keep(&self, seen: &mut Seen) {
        if self.is_call() {
            seen.keep(0, Piece::Name, self.name);
            seen.keep(0, Piece::Arguments, self.arguments.or(self.input));
        } else if let Some(kind @ ("\"message\"" | "\"reasoning\"")) = self.kind.map(Raw::text)
            && seen.reply.is_some()
        {
            let said = if kind == "\"reasoning\"" { Piece::Reasoning } else { Piece::Text };
            for part in self.content.and_then(Raw::parse::<Few<Item<'_>>>).unwrap_or_default().iter() {
                seen.keep(0, said, part.text);
                seen.keep(0, Piece::Refusal, part.refusal);
            }
        }
    }

    /// A web search. Opening a page that it found, or looking for a text in one, are actions of the same tool and not
    /// billed.
    fn is_search(&self) -> bool {
        let action = || self.action.and_then(Raw::parse::<Item<'_>>).unwrap_or_default().kind.map(Raw::text);
        self.kind.map(Raw::text) == Some("\"web_search_call\"") && matches!(action(), None | Some("\"search\""))
    }

    fn has_refusal(&self) -> bool {
        let parts = self.content.and_then(Raw::parse::<Few<Item<'_>>>).unwrap_or_default();
        parts.iter().any(|p| p.kind.map(Raw::text) == Some("\"refusal\""))
    }
}

impl Response<'_> {
    /// The searches among the output; not known where that is longer than what is looked at.
    fn searches(&self) -> Option<u64> {
        let searches = self.output.iter().filter(|item| item.is_search()).count();
        let whole = self.output.iter().count() < Few::<Item<'_>>::MOST;
        u64::try_from(searches).ok().filter(|n| *n > 0 && whole)
    }

    fn names(&self, seen: &mut Seen) {
        if let Some(id) = self.id.and_then(Raw::string) {
            seen.response_id(&id);
        }
        if let Some(model) = self.model.and_then(Raw::string) {
            seen.model(&model);
        }
        if let Some(tier) = self.service_tier.and_then(Raw::string) {
            seen.service_tier(&tier);
        }
    }

    fn end(&self, whole: Leaf<'_>, seen: &mut Seen) {
        if let Some(whole) = whole {
            self.end_of(whole.text(), seen);
        }
    }

    fn end_of(&self, text: &str, seen: &mut Seen) {
        self.names(seen);
        seen.choice(0);
        let details = self.incomplete_details.and_then(Raw::parse::<Incomplete<'_>>).unwrap_or_default();
        let incomplete = details.reason.and_then(Raw::string);
        if incomplete.as_deref() == Some("content_filter") {
            seen.refusal("incomplete_reason", RefusalKind::Filter);
        }
        if let Some(reason) = incomplete.or_else(|| self.status.and_then(Raw::string)) {
            seen.finish(0, &reason);
        }
        if self.output.iter().last().is_some_and(Item::is_call) {
            // Here the finish reason does not tell that a tool is called, and a text before a call goes on to serve.
            seen.observation.opening = Opening::default();
        } else if seen.observation.opening.is_empty() {
            // Not streamed before.
            self.output.iter().for_each(|item| item.opens(seen));
        }
        if seen.observation.token_events == 0 {
            self.output.iter().for_each(|item| item.keep(seen));
        }
        if self.output.iter().any(Item::has_refusal) {
            seen.refusal("refusal_field", RefusalKind::Model);
        }
        if self.error.is_some_and(Raw::is_truthy) {
            error::in_stream(text, false, seen);
        }
        if let Some(told) = usage::openai(&self.usage, false) {
            if let Some(cost) = told.cost {
                seen.cost(cost);
            }
            seen.usage(Usage { web_searches: self.searches(), ..told.usage });
        }
    }
}
