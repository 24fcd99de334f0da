//! A chat stream that went well, as the relay would hand it to settlement and to the consumers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    ByteCounts, Caller, Ending, Endpoint, ExchangeId, ExchangeRecord, Observation, RequestFacts, Tick, Timeline,
    UpstreamInfo,
};
use limpid_observe::{Limits, RequestObserver, ResponseHead, ResponseObserver};
use limpid_settle::{Evidence, Settler, Unsettled};

use crate::samples;

const LAST: &str = "data: {\"id\":\"chatcmpl-8cbea992112edfab\",\"object\":\"chat.completion.chunk\",\"created\":1795336069,\
    \"model\":\"smollm2-135m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":\
    {\"prompt_tokens\":64,\"completion_tokens\":96,\"total_tokens\":160}}\n\ndata: [DONE]\n\n";

/// What is seen of 96 tokens, 10 ms apart, and the end.
pub(crate) fn observation() -> Observation {
    let head = ResponseHead {
        endpoint: Endpoint::Chat,
        status: 200,
        content_type: Some("text/event-stream"),
        content_encoding: None,
    };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    let events = samples::chat();
    let at = |n: u64| Tick((20 + n * 10) * 1_000_000);
    (0..96).zip(events.iter().cycle()).for_each(|(n, event)| observer.on_bytes(event.as_bytes(), at(n)));
    observer.on_bytes(LAST.as_bytes(), at(96));
    observer.finish(at(96));
    observer.into_observation()
}

/// What is seen of a reply in one piece.
pub(crate) fn observe_reply(body: &str) -> Observation {
    let head = ResponseHead {
        endpoint: Endpoint::Chat,
        status: 200,
        content_type: Some("application/json"),
        content_encoding: None,
    };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    observer.on_bytes(body.as_bytes(), Tick(20_000_000));
    observer.finish(Tick(20_000_000));
    observer.into_observation()
}

pub(crate) fn short_observation() -> Observation {
    observe_reply(&samples::short_reply())
}

/// What was asked.
pub(crate) fn request() -> RequestFacts {
    facts(&samples::request())
}

pub(crate) fn short_request() -> RequestFacts {
    facts(&samples::short_request())
}

fn facts(body: &str) -> RequestFacts {
    let mut observer = RequestObserver::new(64 * 1024);
    observer.feed(body.as_bytes());
    observer.facts().clone()
}

fn started_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_336_069)
}

/// For the verdict.
pub(crate) fn evidence<'a>(observation: &'a Observation, request: &'a RequestFacts) -> Evidence<'a> {
    Evidence {
        endpoint: Endpoint::Chat,
        status: Some(200),
        ending: Ending::End,
        failure: None,
        observation,
        request,
        upstream: Some("cloud"),
        provider: Some("openai"),
        started_at: started_at(),
    }
}

/// The record of the stream.
pub(crate) fn record() -> ExchangeRecord {
    settled(observation(), request(), 981)
}

/// The record of the reply in one piece.
pub(crate) fn short_record() -> ExchangeRecord {
    settled(short_observation(), short_request(), 20)
}

fn settled(observation: Observation, request: RequestFacts, ended: u64) -> ExchangeRecord {
    let ms = |n: u64| Some(Tick(n * 1_000_000));
    let upstream = UpstreamInfo {
        name: "cloud".into(),
        provider: "openai".into(),
        region: Some("eu".into()),
        address: "api.openai.com".into(),
        port: 443,
    };
    Settler::embedded().record(Unsettled {
        id: ExchangeId::from_parts(1_795_336_069_000, 2),
        started_at: started_at(),
        endpoint: Endpoint::Chat,
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        status: Some(200),
        answered_by_limpid: false,
        upstream: Some(Arc::new(upstream)),
        caller: Caller { key: Some("team".into()), project: Some("search".into()), ..Caller::default() },
        labels: Vec::new(),
        request,
        trace_id: 1,
        span_id: 2,
        attempts: 1,
        bytes: ByteCounts { request: 2_200, response: 22_000 },
        timeline: Timeline { sent: ms(1), headers: ms(12), ended: Tick(ended * 1_000_000), ..Timeline::default() },
        ending: Ending::End,
        failure: None,
        labelled_stream: observation.streamed,
        answered: true,
        rate_limits: None,
        observation,
        unestimated: None,
    })
}
