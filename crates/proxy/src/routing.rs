//! Choosing a request's upstream, with its model where routes ask for one.
//!
//! Where a request names its model is `route/model.rs`'s to know. If it is the body, and only then, the body is read ahead until
//! `model` is seen or never will be. What is read ahead is held and passed on first, byte for byte. It is bounded twice: each
//! request by `lookahead_bytes`, all together by one [`Budget`]. The first [`FREE`] bytes of each are not charged, so that whoever
//! fills the budget with large uploads does not take the model from requests that name it at once.
//!
//! **What cannot be told** (no model, one that stands too far behind, two that differ), and a model that no route has, goes by
//! `unknown_model`: to the upstream that takes all models, and the record, a metric and the log say so; or nowhere. Two models that
//! differ go nowhere in any case: an upstream could take the one that it is not meant for. If the second comes when the
//! first is upstream already, the body breaks off like one whose framing is broken.
//!
//! **Requests that name no model by their kind** (`GET /v1/models`, a preflight, a file) go to the upstream that takes all
//! models, else to `without_model`; a preflight, which carries no key, else to the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{EXPECT, HOST};
use http::{Method, Request};
use limpid_core::{Endpoint, RelayFailure, RouteFallback};
use limpid_route::{ModelIn, Subject, model_in};

use crate::request_body::RequestBody;
use crate::shared::{Shared, Upstream};

/// What of each request is held uncharged, bytes.
const FREE: usize = 64 * 1024;
/// The budget is charged in steps of this, bytes.
const STEP: usize = 256 * 1024;

/// How requests are routed that name no model, or one that no route has.
#[derive(Debug, Clone)]
pub struct RoutingConfig {
    /// Whether they are refused; else the upstream that takes all models gets them.
    pub reject_unknown_model: bool,
    /// The index of the upstream for requests that name no model by their kind, where none takes all models.
    pub without_model: Option<usize>,
    /// How much of a body is read ahead for its model, bytes.
    pub lookahead_bytes: usize,
    /// How much may be held for that at a time, in all, bytes.
    pub lookahead_budget_bytes: usize,
}

impl Default for RoutingConfig {
    fn default() -> RoutingConfig {
        RoutingConfig {
            reject_unknown_model: false,
            without_model: None,
            lookahead_bytes: 64 << 20,
            lookahead_budget_bytes: 256 << 20,
        }
    }
}

/// How much may be held ahead at a time, in the whole process.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Arc<Budget> {
        Arc::new(Budget { most, taken: AtomicUsize::new(0) })
    }
}

/// A part of it that somebody has.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    pub(crate) fn nothing(budget: &Arc<Budget>) -> Held {
        Held { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Makes it so much at least; whether there is so much.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let more = (bytes - self.bytes).next_multiple_of(STEP);
        let fits = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= self.budget.most);
        let room = self.budget.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if room {
            self.bytes += more;
        }
        room
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Chooses the upstream. The request stays where it is: it is large to move.
pub(crate) async fn route<'a>(
    shared: &'a Shared,
    request: &mut Request<RequestBody>,
    endpoint: Endpoint,
) -> Result<&'a Upstream, RelayFailure> {
    let chosen = if shared.routes.needs_model(subject(request)) {
        by_model(shared, request, endpoint).await
    } else {
        shared.routes.choose(subject(request)).ok_or(RelayFailure::NoRoute)
    };
    if chosen.is_err() {
        see_what_came(request).await;
    }
    chosen.and_then(|index| shared.upstreams.get(index).ok_or(RelayFailure::NoRoute))
}

/// Looks at what has come of a body that will not go anywhere: the record knows the model all the same.
pub(crate) async fn see_what_came(request: &mut Request<RequestBody>) {
    // Who waits to be asked for the body is not asked.
    if !request.headers().contains_key(EXPECT) {
        request.body_mut().see_what_came(FREE).await;
    }
}

async fn by_model(
    shared: &Shared,
    request: &mut Request<RequestBody>,
    endpoint: Endpoint,
) -> Result<usize, RelayFailure> {
    let uri = request.uri();
    let why = match model_in(endpoint, request.method(), uri.path(), uri.query()) {
        ModelIn::Head(_) => RouteFallback::NotListed,
        ModelIn::Missing => RouteFallback::NotTold,
        ModelIn::Nowhere => return without_model(shared, request),
        ModelIn::Body => {
            let seen = Box::pin(peek(shared, request.body_mut())).await;
            let tap = request.body().tap();
            if let Some(broken) = tap.broken() {
                return Err(broken.failure());
            }
            if seen == RouteFallback::NotTold && tap.bytes() == 0 && endpoint == Endpoint::Other {
                return without_model(shared, request);
            }
            seen
        }
    };
    let model = request.body().tap().model();
    let routed = shared.routes.route(Subject { model: model.as_deref(), ..subject(request) });
    let unclear = why == RouteFallback::Unclear;
    if !unclear && !routed.fell_back {
        request.body_mut().routed_by(model);
        return routed.index.ok_or(RelayFailure::NoRoute);
    }
    request.body().tap().fell_back(why);
    let index = routed.index.filter(|_| !unclear && !shared.routing.reject_unknown_model);
    let Some(index) = index else {
        return Err(if model.is_some() && !unclear { RelayFailure::NoRoute } else { RelayFailure::UnknownModel });
    };
    if let Some(untold) = shared.fallbacks.turn(shared.clock.now()) {
        let upstream = shared.upstreams.get(index).map(|u| &*u.info.name);
        tracing::warn!(
            upstream,
            why = why.as_str(),
            untold,
            "no route by its model: the upstream for all models gets it"
        );
    }
    // What follows in its body may not name another either.
    request.body_mut().routed_by(model);
    Ok(index)
}

/// Requests that name no model by their kind.
fn without_model(shared: &Shared, request: &Request<RequestBody>) -> Result<usize, RelayFailure> {
    let subject = subject(request);
    let preflight = || shared.routes.first(subject).filter(|_| *request.method() == Method::OPTIONS);
    let chosen = shared.routes.choose(subject).or(shared.routing.without_model).or_else(preflight);
    chosen.ok_or(RelayFailure::NoRoute)
}

/// Reads ahead until the model is settled; what it is if no route has the model that was found, or none was.
async fn peek(shared: &Shared, body: &mut RequestBody) -> RouteFallback {
    let most = shared.routing.lookahead_bytes;
    while !body.tap().model_settled() {
        let ahead = body.ahead_bytes();
        if ahead >= most {
            return RouteFallback::TooFar;
        }
        if ahead > FREE && !body.charge(&shared.lookahead) {
            return RouteFallback::NoRoom;
        }
        if !body.read_ahead().await {
            break;
        }
    }
    let tap = body.tap();
    match tap.model() {
        _ if tap.has_two_models() => RouteFallback::Unclear,
        Some(_) => RouteFallback::NotListed,
        None if tap.bytes() >= most as u64 => RouteFallback::TooFar,
        None => RouteFallback::NotTold,
    }
}

/// What the request's head tells of where it goes.
fn subject<B>(request: &Request<B>) -> Subject<'_> {
    let host = request.uri().authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| request.headers().get(HOST)?.to_str().ok());
    Subject { host, path: request.uri().path(), model: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_never_more_than_the_budget() {
        let budget = Budget::new(3 * STEP);
        let (mut a, mut b) = (Held::nothing(&budget), Held::nothing(&budget));
        assert!(a.grow_to(STEP + 1) && a.grow_to(2 * STEP), "in steps");
        assert!(!b.grow_to(STEP + 1));
        assert!(b.grow_to(1));
        assert!(!a.grow_to(2 * STEP + 1));
        drop(a);
        assert!(b.grow_to(3 * STEP));
        drop(b);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }
}
