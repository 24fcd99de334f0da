//! Sending a request upstream, up to the response's head.
//!
//! **When a request is sent again.** Only when none of it can have been acted on: no byte of it was written, or, over
//! HTTP/2, the upstream says that it did nothing for it (`pool/resend.rs` says when). Else a failure is the client's to
//! know, for inference is neither free nor idempotent. A pooled HTTP/1.1 connection is looked at before it is lent; one of
//! HTTP/2 may be found closed when the request is given to it, and hyper gives the request back. At most
//! [`MAX_RESENDS`] times, each on another connection; what then fails is told.

use std::pin::pin;

use http::Request;
use http::header::UPGRADE;
use hyper::Response;
use limpid_core::RelayFailure;

use crate::connect::chain;
use crate::exchange::Exchange;
use crate::pool::{Need, Reply};
use crate::request_body::{Broken, RequestBody};
use crate::routing;
use crate::shared::{Shared, Upstream};
use crate::watchdog::Watchdog;
use crate::workers::Worker;

/// How often a request is sent again; each time on a new connection.
const MAX_RESENDS: u32 = 2;

/// A response whose body is yet to come.
pub(crate) struct Answer {
    /// Its head, and the connection that its body comes by.
    pub(crate) response: Response<Reply>,
    /// The watch over the body's silences, if it has limits.
    pub(crate) watchdog: Option<Watchdog>,
}

/// Sends the request and waits for the response's head.
pub(crate) async fn forward(
    shared: &Shared,
    worker: Worker,
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    exchange: &mut Exchange,
) -> Result<Answer, RelayFailure> {
    let tap = std::sync::Arc::clone(request.body().tap());
    let mut need = if request.headers().contains_key(UPGRADE) { Need::Http1 } else { Need::Any };
    let pool = upstream.pool(worker);
    let mut resends = 0;
    loop {
        let pooled = if resends == 0 { pool.reuse(need) } else { None };
        let (lease, asked) = if let Some(lease) = pooled {
            (lease, None)
        } else {
            let asked = shared.clock.now();
            // On the heap: it is large and rare, and would make the future of every request as large.
            match Box::pin(pool.fresh(need)).await {
                Ok(lease) => (lease, Some(asked)),
                Err(failure) => {
                    Box::pin(routing::see_what_came(&mut request)).await;
                    return Err(failure);
                }
            }
        };
        let sent = shared.clock.now();
        exchange.sent(sent, asked.map(|asked| sent.since(asked)));
        let began = upstream.timeouts.begin();
        let sending = pin!(lease.send(request));
        let failed = match upstream.timeouts.head(&tap, began, sending).await? {
            Ok(response) => return Ok(Answer { response, watchdog: upstream.timeouts.body(began) }),
            Err(failed) => failed,
        };
        let again = resends < MAX_RESENDS && (!failed.http1_only || pool.may_use_http1());
        match failed.unsent {
            Some(unsent) if again => {
                tracing::debug!(upstream = &*upstream.info.name, error = chain(&*failed.error), "sent again");
                exchange.came_back(shared.clock.now());
                if failed.http1_only {
                    need = Need::Http1;
                }
                request = *unsent;
                resends += 1;
            }
            _ => {
                tracing::warn!(upstream = &*upstream.info.name, error = chain(&*failed.error), "no response head");
                return Err(tap.broken().map_or(failed.failure, Broken::failure));
            }
        }
    }
}
