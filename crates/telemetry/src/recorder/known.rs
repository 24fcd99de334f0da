//! Exchanges like those before: most of them differ from an earlier one in nothing that a label tells.
//!
//! A small table, in which each kind of exchange has one place that it may share: what was found there is compared with
//! the record, label by label, so a clash costs a look-up and nothing else. Only what has places of its own throughout is
//! noted, for what overflows is counted each time.

use std::sync::Arc;

use limpid_core::{Category, Endpoint, ExchangeRecord, Fingerprint, UpstreamInfo};

use super::Names;
use crate::labels::{Labels, Symbol};

/// So many kinds have a place: as many as a byte tells apart.
const PLACES: usize = 256;

/// What is known of an exchange by its labels.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) names: Names,
    pub(super) reason: Symbol,
    /// Where its set of `Shape::Request` is.
    pub(super) index: usize,
}

struct Entry {
    endpoint: Endpoint,
    category: Category,
    status: Option<u16>,
    stream: bool,
    upstream: Option<Arc<UpstreamInfo>>,
    known: Known,
}

/// See the module.
#[derive(Default)]
pub(super) struct KnownExchanges(Vec<Option<Entry>>);

impl KnownExchanges {
    /// What is known of exchanges with the labels of `r`. `own`: the names of the operator's own labels.
    pub(super) fn find(&self, r: &ExchangeRecord, labels: &Labels, own: &[Arc<str>]) -> Option<Known> {
        let Entry { endpoint, category, status, stream, upstream, known } = self.0.get(place(r))?.as_ref()?;
        let Known { names, reason, .. } = known;
        let same_upstream = match (upstream, &r.upstream) {
            (Some(known), Some(upstream)) => Arc::ptr_eq(known, upstream),
            (known, upstream) => known.is_none() && upstream.is_none(),
        };
        let same = same_upstream
            && (*endpoint, *category, *status, *stream) == (r.endpoint, r.outcome.category, r.status, r.stream)
            && labels.is(names.base[2], r.model.name())
            && labels.is(names.key, r.caller.key.as_deref())
            && labels.is(names.project, r.caller.project.as_deref())
            && labels.is(*reason, Some(&r.outcome.reason))
            && own.iter().zip(names.own).all(|(name, symbol)| labels.is(symbol, own_value(r, name)));
        same.then_some(*known)
    }

    pub(super) fn remember(&mut self, r: &ExchangeRecord, known: Known) {
        let Names { base, key, project, error: _, own } = &known.names;
        if base.iter().chain([key, project, &known.reason]).chain(own).any(|symbol| *symbol == Symbol::OTHER) {
            return;
        }
        self.0.resize_with(PLACES, || None);
        let (endpoint, category, status, stream) = (r.endpoint, r.outcome.category, r.status, r.stream);
        if let Some(entry) = self.0.get_mut(place(r)) {
            *entry = Some(Entry { endpoint, category, status, stream, upstream: r.upstream.clone(), known });
        }
    }
}

/// A record's value of one of the operator's own labels.
pub(super) fn own_value<'r>(r: &'r ExchangeRecord, name: &Arc<str>) -> Option<&'r str> {
    r.labels.iter().find(|label| label.name == *name).map(|label| &*label.value)
}

fn place(r: &ExchangeRecord) -> usize {
    let numbers = [r.endpoint as u64, r.outcome.category as u64, r.status.map_or(0, u64::from), r.stream.into()];
    let print = Fingerprint::default()
        .number(numbers.iter().fold(0, |all, number| all << 16 | number))
        .text(r.model.name())
        .text(r.caller.key.as_deref())
        .text(r.caller.project.as_deref())
        .text(Some(&r.outcome.reason));
    let print = r.labels.iter().fold(print, |print, label| print.text(Some(&label.value)));
    let [place, ..] = print.get().to_le_bytes();
    place.into()
}
