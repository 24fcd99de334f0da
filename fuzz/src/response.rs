//! The response's observer: decoding, framing (SSE, NDJSON, JSON, WebSocket) and every dialect.
//!
//! Input: three bytes that choose the head, and the body.
//!
//! | byte | chooses |
//! |---|---|
//! | 0 | the endpoint (low bits) and whether the limits are small (bit 7) |
//! | 1 | the content type (low 3 bits), the content coding (bits 3 to 5) and the status (bits 6 and 7; 1 is a 101, behind which WebSocket frames stand) |
//! | 2 | how the body is split: a seed of the pieces' lengths |

use limpid_core::{Endpoint, Observation, ObserverFault, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};

const TYPES: [Option<&str>; 8] = [
    Some("text/event-stream"),
    Some("text/event-stream; charset=utf-8"),
    Some("application/json"),
    Some("application/x-ndjson"),
    Some("application/problem+json"),
    Some("text/plain"),
    Some("audio/mpeg"),
    None,
];

const CODINGS: [Option<&str>; 8] =
    [None, Some("identity"), Some("gzip"), Some("deflate"), Some("br"), Some("zstd"), Some("x-gzip"), Some("gzip, br")];

/// After a 101 the body is WebSocket frames.
const STATUSES: [u16; 4] = [200, 101, 400, 503];

/// Small enough that a few bytes reach them.
const SMALL: Limits = Limits { event_bytes: 64, body_bytes: 128, decoded_bytes: 4096, ratio: 2 };

/// An input taken apart.
pub struct Case<'a> {
    pub endpoint: Endpoint,
    pub status: u16,
    pub content_type: Option<&'static str>,
    pub content_encoding: Option<&'static str>,
    pub limits: Limits,
    pub split: u8,
    pub body: &'a [u8],
}

impl<'a> Case<'a> {
    /// `None` if there are too few bytes.
    pub fn of(input: &'a [u8]) -> Option<Case<'a>> {
        let [first, second, split, body @ ..] = input else { return None };
        Some(Case {
            endpoint: Endpoint::ALL[usize::from(first & 0x7F) % Endpoint::COUNT],
            status: STATUSES[usize::from(second >> 6)],
            content_type: TYPES[usize::from(second & 7)],
            content_encoding: CODINGS[usize::from(second >> 3 & 7)],
            limits: if first & 0x80 == 0 { Limits::default() } else { SMALL },
            split: *split,
            body,
        })
    }

    /// What is observed if the body comes in these pieces. All come at one moment, so that the marks do not tell them
    /// apart.
    pub fn observe<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Observation {
        let head = ResponseHead {
            endpoint: self.endpoint,
            status: self.status,
            content_type: self.content_type,
            content_encoding: self.content_encoding,
        };
        let mut observer = ResponseObserver::new(&head, self.limits);
        for piece in pieces {
            observer.on_bytes(piece, Tick(7));
            let bytes = observer.held_bytes();
            assert!(bytes <= self.limits.body_bytes, "holds {bytes} bytes");
            if observer.observation().fault.is_some() {
                assert_eq!(bytes, 0, "a fault gives the buffers back");
            }
        }
        observer.finish(Tick(7));
        assert_eq!(observer.held_bytes(), 0, "nothing is held at the end");
        let before = observer.observation().clone();
        observer.on_bytes(b"data: {\"model\":\"late\"}\n\n", Tick(9));
        observer.finish(Tick(9));
        let after = observer.into_observation();
        // An empty body has no first byte until then.
        assert_eq!(Observation { marks: before.marks, ..after }, before, "the end is the end");
        before
    }

    fn pieces(&self) -> Vec<&'a [u8]> {
        let (mut rest, mut pieces, mut seed) = (self.body, Vec::new(), u32::from(self.split) + 1);
        while !rest.is_empty() {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let most = [2, 5, 40, 700][usize::from(self.split & 3)];
            let (now, later) = rest.split_at((seed as usize >> 8) % most % rest.len() + 1);
            pieces.push(now);
            rest = later;
        }
        pieces
    }
}

/// Panics if an invariant does not hold.
pub fn check(input: &[u8]) {
    let Some(case) = Case::of(input) else { return };
    let whole = case.observe([case.body]);
    bounds(&whole);
    for pieces in [case.pieces(), case.body.chunks(1).collect()] {
        let split = case.observe(pieces);
        bounds(&split);
        same(&whole, &split);
    }
}

/// However it is cut, the same is seen. Only a decoder that gives up may have told less in a whole read than in a
/// bytewise one, for it tells nothing of the piece in which it does. A bytewise read may also give up where a whole one
/// does not yet: at the limit of the ratio, for which a whole one has taken all of its bytes, and in bytes that are no br.
fn same(whole: &Observation, split: &Observation) {
    let (one, other) = (whole.fault, split.fault);
    let gave_up = |f| matches!(f, Some(ObserverFault::Decompress | ObserverFault::DecompressLimit));
    if gave_up(one) || gave_up(other) {
        assert!(other.is_some(), "{one:?} whole, no fault split");
    } else {
        assert_eq!(whole, split, "depends on the cuts");
    }
}

/// What is kept is short, and what is counted adds up.
fn bounds(seen: &Observation) {
    let short = |text: &Option<Box<str>>, most: usize, what: &str| {
        let length = text.as_deref().map_or(0, str::len);
        assert!(length <= most, "{what} has {length} bytes");
        assert!(text.as_deref() != Some(""), "{what} is empty, not absent");
    };
    short(&seen.model, 256, "model");
    short(&seen.response_id, 256, "response_id");
    short(&seen.service_tier, 64, "service_tier");
    assert!(seen.finish_reasons.len() <= 128);
    assert!(seen.finish_reasons.is_sorted_by(|a, b| a.index < b.index), "one a choice, in order");
    assert!(seen.finish_reasons.iter().all(|f| f.reason.len() <= 64 && !f.reason.is_empty()));
    if let Some(error) = &seen.error {
        short(&error.kind, 64, "kind");
        short(&error.code, 64, "code");
        short(&error.param, 64, "param");
    }
    assert!(seen.token_events <= seen.events, "tokens come in events");
    assert_eq!(seen.gaps.count(), seen.token_events.saturating_sub(1), "a gap between each two");
    assert_eq!(seen.stall.is_some(), seen.token_events > 1);
    let marks = seen.marks;
    assert_eq!(marks.first_event.is_some(), seen.events > 0);
    assert_eq!(marks.first_token.is_some(), seen.token_events > 0);
    assert_eq!(marks.last_token.is_some(), seen.token_events > 0);
    assert!(marks.first_content.is_none() || marks.first_token.is_some());
    assert_ne!(seen.first_event_tokens, Some(0), "absent, not 0");
    assert!(seen.fault != Some(ObserverFault::Panic));
}
