//! What is seen of a request's body on its way upstream.
//!
//! The body is polled by whoever writes it upstream, which for HTTP/2 is a task of hyper's, while the exchange waits for the
//! response. So what is seen goes into a [`RequestTap`] that both hold. Its mutex is taken once a request frame and once at
//! settlement, never by two at a time for longer than a scan of one frame; the response's path has no lock at all.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use limpid_core::{KeptText, RelayFailure, RequestFacts, RouteFallback, UsageAsked};
use limpid_observe::{RequestHead, RequestObserver};
use tokio::time::Instant;

use crate::client_body::ClientError;
use crate::routing::Held;
use crate::shared::Shared;

/// What is seen of a request's body.
pub(crate) struct RequestTap {
    look: Option<Mutex<Look>>,
    /// What stands at the body's end may count: a form's last pair, a decoder that has done.
    pub(crate) has_end: bool,
    /// The model by which it was routed, or that its head names: before whatever else the body says.
    pub(crate) named: OnceLock<Box<str>>,
    texts: Mutex<Texts>,
    bytes: AtomicU64,
    /// How it broke off, as its place in [`BROKEN`]; beyond it: not.
    broken: AtomicU8,
    /// What became of asking for usage, as its place in `UsageAsked::ALL`; beyond it: nothing.
    usage_asked: AtomicU8,
    /// Likewise, why no route has it by its model.
    fallback: AtomicU8,
    began: Instant,
    moved_ns: AtomicU64,
}

/// Who looks at it, and what a decoder's window takes of the budget for that.
struct Look {
    observer: RequestObserver,
    held: Option<Held>,
}

/// The body, while it may be needed.
#[derive(Default)]
struct Texts {
    /// For counting its tokens.
    counted: Option<KeptText>,
    /// For its content.
    content: Option<KeptText>,
}

/// How a request's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client left.
    Gone,
    /// Its framing is no HTTP.
    Malformed,
    /// It paused for too long.
    Late,
}

const BROKEN: [Broken; 3] = [Broken::Gone, Broken::Malformed, Broken::Late];

impl Broken {
    /// What that is for the exchange.
    pub(crate) fn failure(self) -> RelayFailure {
        match self {
            Broken::Gone | Broken::Malformed => RelayFailure::RequestBody,
            Broken::Late => RelayFailure::RequestBodyTimeout,
        }
    }
}

impl RequestTap {
    /// Looks at the body, or only counts it. `named`: the model that the head names.
    pub(crate) fn new(shared: &Shared, head: &RequestHead<'_>, named: Option<Box<str>>) -> Arc<RequestTap> {
        let look = shared.looked_at.map(|limit| {
            let observer = RequestObserver::for_request(limit, Arc::clone(&shared.metadata), head);
            let lookahead = (observer.held_bytes() > 0).then(|| Held::nothing(&shared.lookahead));
            Mutex::new(Look { observer, held: lookahead })
        });
        Arc::new(RequestTap {
            look,
            has_end: head.content_encoding.is_some() || head.content_type.is_some_and(is_form),
            named: named.map(OnceLock::from).unwrap_or_default(),
            texts: Mutex::default(),
            bytes: AtomicU64::new(0),
            broken: AtomicU8::new(u8::MAX),
            usage_asked: AtomicU8::new(u8::MAX),
            fallback: AtomicU8::new(u8::MAX),
            began: Instant::now(),
            moved_ns: AtomicU64::new(0),
        })
    }

    pub(crate) fn saw(&self, data: &Bytes) {
        let moved = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved_ns.store(moved, Ordering::Relaxed);
        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if let Some(look) = &self.look {
            let Look { observer, held } = &mut *look.lock().unwrap_or_else(PoisonError::into_inner);
            observer.feed(data);
            if let Some(window) = held {
                match observer.held_bytes() {
                    0 => *held = None,
                    bytes if !window.grow_to(bytes) => observer.give_up(),
                    _ => {}
                }
            }
        }
        let Texts { counted, content } = &mut *self.texts();
        for text in [counted, content].into_iter().flatten() {
            text.push(data);
        }
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what comes of the body in `text`, from here on.
    pub(crate) fn keep(&self, text: Option<KeptText>) {
        self.texts().counted = text;
    }

    /// The same, for its content.
    pub(crate) fn keep_content(&self, text: Option<KeptText>) {
        self.texts().content = text;
    }

    /// What was kept; nothing is from here on.
    pub(crate) fn take_text(&self) -> Option<KeptText> {
        self.texts().counted.take()
    }

    /// The same of its content.
    pub(crate) fn take_content(&self) -> Option<KeptText> {
        self.texts().content.take()
    }

    /// When the last bytes of the body went by; the begin, where none have.
    pub(crate) fn moved(&self) -> Instant {
        self.began + Duration::from_nanos(self.moved_ns.load(Ordering::Relaxed))
    }

    /// Whether the body asks for a stream.
    pub(crate) fn asks_for_stream(&self) -> bool {
        self.with(|o| o.facts().stream) == Some(Some(true))
    }

    /// Counts bytes that are no body: those of a connection that switched protocols.
    pub(crate) fn passed(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of the body so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether and how the client's body broke off.
    pub(crate) fn broken(&self) -> Option<Broken> {
        BROKEN.get(usize::from(self.broken.load(Ordering::Acquire))).copied()
    }

    pub(crate) fn broke(&self, error: &ClientError) {
        let how = match error {
            ClientError::Late => Broken::Late,
            error if error.is_malformed() => Broken::Malformed,
            _ => Broken::Gone,
        };
        self.broken.store(how as u8, Ordering::Release);
    }

    /// What the client's body says, as far as it was seen, and what limpid asked in its stead.
    pub(crate) fn facts(&self) -> RequestFacts {
        let mut facts = self.with(|o| o.facts().clone()).unwrap_or_default();
        facts.usage_asked = self.usage_asked().filter(|_| facts.stream != Some(false));
        facts.route_fallback = RouteFallback::ALL.get(usize::from(self.fallback.load(Ordering::Relaxed))).copied();
        if let Some(named) = self.named.get() {
            facts.model = Some(named.clone());
        }
        facts
    }

    /// Notes what became of asking for the usage of this request's stream.
    pub(crate) fn asked_for_usage(&self, became: UsageAsked) {
        self.usage_asked.store(became as u8, Ordering::Relaxed);
    }

    /// What became of it; `None` where there was nothing to ask for.
    pub(crate) fn usage_asked(&self) -> Option<UsageAsked> {
        UsageAsked::ALL.get(usize::from(self.usage_asked.load(Ordering::Relaxed))).copied()
    }

    /// Whether `model` is known, or will never be.
    pub(crate) fn model_settled(&self) -> bool {
        self.named.get().is_some() || self.with(RequestObserver::model_settled).unwrap_or(true)
    }

    /// The model, as far as it is known.
    pub(crate) fn model(&self) -> Option<Box<str>> {
        self.named.get().cloned().or_else(|| self.with(|o| o.facts().model.clone())?)
    }

    /// Whether the body names two that differ.
    pub(crate) fn has_two_models(&self) -> bool {
        self.with(RequestObserver::has_two_models).unwrap_or(false)
    }

    /// Notes why no route has it by its model.
    pub(crate) fn fell_back(&self, why: RouteFallback) {
        self.fallback.store(why as u8, Ordering::Relaxed);
    }

    /// The body is whole.
    pub(crate) fn ends(&self) {
        if self.has_end
            && let Some(look) = &self.look
        {
            let Look { observer, held } = &mut *look.lock().unwrap_or_else(PoisonError::into_inner);
            observer.finish();
            *held = None;
        }
    }

    fn with<T>(&self, look: impl FnOnce(&RequestObserver) -> T) -> Option<T> {
        Some(look(&self.look.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).observer))
    }
}

/// Whether the last of its fields ends with the body only (`application/x-www-form-urlencoded`).
fn is_form(content_type: &str) -> bool {
    const BEGIN: &str = "application/x-";
    content_type.trim_start().get(..BEGIN.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(BEGIN))
}
