//! Sending a request upstream, up to the response's head.
//!
//! **When a request is sent again.** Only when hyper gives it back, which it does if it had not begun to write it: the
//! pooled connection was found closed. Then no byte of it can have been acted on. Once writing has begun, a failure is
//! the client's to know, for inference is neither free nor idempotent.

use http::Request;
use hyper::Response;
use hyper::body::Incoming;
use limpid_core::RelayFailure;

use crate::connect::chain;
use crate::exchange::Exchange;
use crate::pool::Lease;
use crate::request_body::RequestBody;
use crate::shared::{Shared, Upstream};

/// How often a request that was given back unsent is tried anew; each time on a new connection.
const MAX_RESENDS: u32 = 2;

/// The response's head, and the connection that its body will come by.
pub(crate) async fn forward(
    shared: &Shared,
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    exchange: &mut Exchange,
) -> Result<(Response<Incoming>, Lease), RelayFailure> {
    let tap = std::sync::Arc::clone(request.body().tap());
    let mut resends = 0;
    loop {
        let asked = shared.clock.now();
        let pooled = if resends == 0 { upstream.pool.reuse() } else { None };
        let mut lease = match pooled {
            Some(lease) => lease,
            None => upstream.pool.fresh().await?,
        };
        let sent = shared.clock.now();
        exchange.sent(sent, (!lease.reused()).then(|| sent.since(asked)));
        let mut failed = match lease.send(request).await {
            Ok(response) => return Ok((response, lease)),
            Err(failed) => failed,
        };
        match failed.take_message() {
            Some(unsent) if resends < MAX_RESENDS => {
                request = unsent;
                resends += 1;
            }
            _ => {
                let error = failed.into_error();
                tracing::warn!(upstream = &*upstream.info.name, error = chain(&error), "no response head");
                return Err(if tap.broken().is_some() { RelayFailure::RequestBody } else { classify(&error) });
            }
        }
    }
}

fn classify(error: &hyper::Error) -> RelayFailure {
    if error.is_parse() {
        RelayFailure::BadResponse
    } else if error.is_user() {
        RelayFailure::Internal
    } else {
        RelayFailure::ResetBeforeHeaders
    }
}
