//! From a record to numbers: which metric gets which value under which labels.
//!
//! One recorder serves each exporter, so that `/metrics` and OTLP say the same by construction. It keeps the bound series
//! of each label set; a series comes into being with its first value, so a number that was never known is absent rather
//! than 0. An exchange has a dozen label sets, but one of them, that of `limpid.requests`, has all labels of the others but
//! two: so that one alone is looked up, once for exchanges that are alike (`known`), and it knows its [`Near`] ones.
//!
//! Only calls that make a model work feed the `gen_ai.*` metrics; listing models does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use limpid_core::{
    BuildFingerprint, Category, ExchangeRecord, ObserverFault, OwnLabel, RecordConsumer, RouteFallback, Source,
    UpstreamInfo, Usage, UsageAsked, Verdict,
};

use crate::labels::{Caps, LabelSet, Labels, Open, Overflow, Packed, Symbol};
use crate::names::{LabelName, METRICS, Metric, Shape, TOTAL};
use crate::semconv::Semconv;

mod backend;
mod client;
mod known;

pub(crate) use backend::{Backend, Trace, Value};
use known::{Known, KnownExchanges, own_value};

/// The labels of a set that do not follow from that of [`Shape::Request`]: texts of the program, so they are told by where
/// they stand. An empty one is no label.
type More = [&'static str; 2];
static NOTHING: &str = "";
static NO_MORE: More = [NOTHING; 2];

/// A consumer of records that feeds a [`Backend`].
pub(crate) struct Recorder<B: Backend> {
    backend: B,
    labels: Labels,
    overflow: Arc<Overflow>,
    /// What the caps let in, so the table has a bound; each with its index in `places`.
    sets: HashMap<Packed, usize, BuildFingerprint>,
    places: Vec<Place<B::Series>>,
    max_sets: usize,
    semconv: Semconv,
    /// The names of the operator's own labels.
    own_names: Vec<Arc<str>>,
    known: KnownExchanges,
}

/// A label set.
struct Place<S> {
    set: LabelSet,
    /// By metric.
    series: [Option<S>; METRICS.len()],
    /// Of a set of [`Shape::Request`].
    near: Vec<Near>,
}

/// Another label set of exchanges with a given set of [`Shape::Request`], and its index among the places. All its labels
/// but the last two follow from that set; these come from closed lists, so there are a few dozen of them. Only a set that
/// has its own place is noted, for the overflow of the others is counted each time.
struct Near {
    shape: Shape,
    more: More,
    index: usize,
}

/// Where a record's label set is: its index among the places, and whether there was room for it there. Else it is the
/// collapsed one.
#[derive(Clone, Copy)]
struct At {
    index: usize,
    room: bool,
}

/// What is known of the record that is being recorded.
struct Exchange<'r> {
    names: Names,
    /// It tells of a success, or of tokens: see `labels`.
    trusted: bool,
    server: Option<&'r UpstreamInfo>,
    trace: Trace,
    /// Where its set of [`Shape::Request`] is, if that has a place of its own.
    home: Option<usize>,
    /// Which of that set's near ones comes next, most likely: records alike ask for them in the same order.
    next: usize,
}

/// The interned names of one record.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// Operation, provider, model and upstream.
    base: [Symbol; 4],
    key: Symbol,
    project: Symbol,
    error: Symbol,
    /// Of the operator's own labels.
    own: [Symbol; OwnLabel::MOST],
}

impl Names {
    /// A label set: what belongs to its shape, and these.
    fn set(&self, shape: Shape, [first, second]: [Symbol; 2]) -> LabelSet {
        let mut set = match shape {
            Shape::Tokens => LabelSet::new(shape, self.base, &[first, second, self.key, self.project]),
            Shape::Error => LabelSet::new(shape, self.base, &[self.error]),
            _ => LabelSet::new(shape, self.base, &[first, second]),
        };
        if shape.has_own() {
            set.own = self.own;
        }
        set
    }
}

impl<B: Backend> Recorder<B> {
    pub(crate) fn new(backend: B, caps: &Caps, overflow: Arc<Overflow>) -> Recorder<B> {
        let labels = Labels::new(caps, Arc::clone(&overflow));
        let (sets, places, max_sets) = (HashMap::default(), Vec::new(), caps.label_sets);
        let own_names = caps.own.iter().map(|(name, _)| Arc::clone(name)).collect();
        let (semconv, known) = (Semconv::default(), KnownExchanges::default());
        Recorder { backend, labels, overflow, sets, places, max_sets, semconv, own_names, known }
    }

    /// Follows this text of the conventions instead of the default one.
    pub(crate) fn following(mut self, semconv: Semconv) -> Self {
        self.semconv = semconv;
        self
    }

    /// A label set; the collapsed one where there is no room for a new one. Collapsed sets need no room: there are a few
    /// dozen in all.
    #[inline]
    fn set(&mut self, e: &mut Exchange<'_>, shape: Shape, more: More) -> At {
        match self.near(e, shape, more) {
            Some(index) => At { index, room: true },
            None => self.look_up(e, shape, more),
        }
    }

    /// Where the set is, told by the record's own.
    #[inline]
    fn near(&self, e: &mut Exchange<'_>, shape: Shape, more: More) -> Option<usize> {
        let near = &self.places.get(e.home?)?.near;
        let is = |near: &Near| {
            near.shape == shape && std::ptr::eq(near.more[0], more[0]) && std::ptr::eq(near.more[1], more[1])
        };
        if let Some(next) = near.get(e.next).filter(|next| is(next)) {
            e.next += 1;
            return Some(next.index);
        }
        let which = near.iter().position(is)?;
        e.next = which + 1;
        near.get(which).map(|near| near.index)
    }

    /// Where the set is, or the collapsed one in its place; and whether there was room.
    #[cold]
    fn look_up(&mut self, e: &Exchange<'_>, shape: Shape, more: More) -> At {
        let symbols = more.map(|text| self.labels.fixed(Some(text)));
        let At { index, room } = self.place(e.names.set(shape, symbols), e.trusted);
        if let Some(home) = e.home.filter(|_| room).and_then(|home| self.places.get_mut(home)) {
            home.near.push(Near { shape, more, index });
        }
        At { index, room }
    }

    fn place(&mut self, set: LabelSet, trusted: bool) -> At {
        match self.sets.get(&set.packed()) {
            Some(index) => At { index: *index, room: true },
            None => self.new_set(set, trusted),
        }
    }

    #[cold]
    fn new_set(&mut self, set: LabelSet, trusted: bool) -> At {
        let most = if trusted { self.max_sets } else { self.max_sets.div_ceil(2) };
        let room = self.sets.len() < most;
        let set = if room {
            set
        } else {
            self.overflow.count_label_set();
            set.collapsed(self.own_names.len())
        };
        let index = *self.sets.entry(set.packed()).or_insert(self.places.len());
        if index == self.places.len() {
            self.places.push(Place { set, series: [const { None }; METRICS.len()], near: Vec::new() });
        }
        At { index, room }
    }

    #[inline]
    fn add(&mut self, e: &Exchange<'_>, at: At, metric: Metric, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.add_times(e, at, metric, value, 1);
        }
    }

    #[inline]
    fn time(&mut self, e: &Exchange<'_>, at: At, metric: Metric, duration: Option<Duration>) {
        self.add(e, at, metric, duration.map(Value::from));
    }

    fn add_times(&mut self, e: &Exchange<'_>, at: At, metric: Metric, value: Value, times: u32) {
        let Some(place) = self.places.get_mut(at.index) else { return };
        debug_assert_eq!(metric.definition().shape, place.set.shape);
        let series = place.series[metric as usize].get_or_insert_with(|| {
            let labels = label_values(&place.set, &self.labels, &self.own_names);
            self.backend.bind(metric, &labels, e.server.filter(|_| at.room))
        });
        B::record(series, value, times, &e.trace);
    }
}

/// The labels that a set has, with their values.
#[cold]
fn label_values(set: &LabelSet, labels: &Labels, own: &[Arc<str>]) -> Vec<(LabelName, Arc<str>)> {
    let known = set.shape.labels().iter().map(|label| LabelName::Known(*label)).zip(&set.values);
    let own = own.iter().map(|name| LabelName::Own(Arc::clone(name))).zip(&set.own);
    let there = known.chain(own).filter(|(_, value)| **value != Symbol::ABSENT);
    there.map(|(label, value)| (label, labels.text(*value))).collect()
}

impl<B: Backend> RecordConsumer for Recorder<B> {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        let r = &**record;
        let trusted = r.outcome.category == Category::Ok || r.usage.is_some();
        let known = self.known.find(r, &self.labels, &self.own_names);
        let (names, at) = match known {
            Some(Known { names, index, .. }) => (names, At { index, room: true }),
            None => self.intern(r, trusted),
        };
        let e = &mut Exchange {
            names,
            trusted,
            server: r.upstream.as_deref(),
            trace: Trace { id: r.trace_id, span: r.span_id, at: r.started_at + r.timeline.total() },
            home: at.room.then_some(at.index),
            next: 0,
        };
        self.add(e, at, Metric::Requests, Value::Whole(1));
        self.outcome(r, e);
        self.timing(r, e);
        self.tokens(r, e);
        if r.endpoint.is_inference() {
            self.client(r, e);
            self.server(r, e);
        }
    }
}

impl<B: Backend> Recorder<B> {
    /// The record's names, and its set of [`Shape::Request`].
    fn intern(&mut self, r: &ExchangeRecord, trusted: bool) -> (Names, At) {
        let l = &mut self.labels;
        let mut own = <[Symbol; OwnLabel::MOST]>::default();
        for (at, (name, symbol)) in self.own_names.iter().zip(&mut own).enumerate() {
            *symbol = l.open(Open::Own(at), own_value(r, name), trusted);
        }
        let names = Names {
            base: [
                l.fixed(Some(r.endpoint.operation())),
                l.fixed(r.provider()),
                l.open(Open::Model, r.model.name(), trusted),
                l.fixed(r.upstream.as_deref().map(|u| &*u.name)),
            ],
            key: l.open(Open::Key, r.caller.key.as_deref(), trusted),
            project: l.open(Open::Project, r.caller.project.as_deref(), trusted),
            error: l.open(Open::Reason, r.outcome.error_type(), trusted),
            own,
        };
        let reason = match names.error {
            Symbol::ABSENT => l.open(Open::Reason, Some(&r.outcome.reason), true),
            error => error,
        };
        let request = [
            l.fixed(Some(r.endpoint.as_str())),
            l.fixed(Some(r.outcome.category.as_str())),
            reason,
            l.status(r.status),
            l.fixed(Some(if r.stream { "true" } else { "false" })),
            names.key,
            names.project,
        ];
        let set = LabelSet { own, ..LabelSet::new(Shape::Request, names.base, &request) };
        let at = self.place(set, trusted);
        if at.room {
            self.known.remember(r, Known { names, reason, index: at.index });
        }
        (names, at)
    }

    fn outcome(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        self.why(e, Metric::UsageAsked, r.request.usage_asked.map(UsageAsked::as_str));
        self.why(e, Metric::RouteFallback, r.request.route_fallback.map(RouteFallback::as_str));
        if r.refusal.verdict != Verdict::None {
            let more = [r.refusal.verdict.as_str(), r.refusal.source.unwrap_or_default()];
            let at = self.set(e, Shape::Refusal, more);
            self.add(e, at, Metric::Refusals, Value::Whole(1));
        }
        self.why(e, Metric::ObserverErrors, r.observer_fault.map(ObserverFault::as_str));
        self.why(e, Metric::Unpriced, r.unpriced);
        self.why(e, Metric::Unestimated, r.unestimated);
    }

    fn why(&mut self, e: &mut Exchange<'_>, metric: Metric, why: Option<&'static str>) {
        if let Some(why) = why {
            let at = self.set(e, Shape::Why, [why, NOTHING]);
            self.add(e, at, metric, Value::Whole(1));
        }
    }

    fn timing(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        let t = &r.timeline;
        let series = self.set(e, Shape::Base, NO_MORE);
        self.time(e, series, Metric::QueueDuration, t.queue());
        self.time(e, series, Metric::TimeToFirstByte, t.first_byte());
        self.time(e, series, Metric::TimeToFirstContent, t.first_content());
        self.time(e, series, Metric::Stall, t.stall);
        self.time(e, series, Metric::ReaderLag, t.reader_lag);
        self.time(e, series, Metric::Overhead, t.overhead());
        // The conventions' metrics have no label for an estimate, so none goes into them.
        let counted = r.usage.as_ref().is_some_and(|u| u.source_of_output() != Source::Estimated);
        if r.endpoint.is_inference() && r.outcome.category == Category::Ok && counted {
            self.time(e, series, Metric::ServerTimePerOutputToken, r.tpot());
        }
    }

    fn server(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        let t = &r.timeline;
        let ends = self.set(e, Shape::Error, NO_MORE);
        self.time(e, ends, Metric::ServerRequestDuration, t.sent.map(|_| t.total()));

        if let Some(ttft) = t.ttft().filter(|_| r.stream && r.outcome.category == Category::Ok) {
            let band = r.input_tokens_band().map_or(NOTHING, limpid_core::InputTokensBand::as_str);
            let first = self.set(e, Shape::Band, [band, NOTHING]);
            self.time(e, first, Metric::ServerTimeToFirstToken, Some(ttft));
        }
    }

    fn tokens(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        if let Some(usage) = &r.usage {
            let (input, output) = (usage.source_of_input().as_str(), usage.source_of_output().as_str());
            for (kind, source, count) in token_counts(usage, input, output) {
                if let Some(count) = count {
                    self.count(Metric::Tokens, e, kind, source, Value::Whole(count));
                }
            }
        }
        let Some(price) = &r.price else { return };
        let source = price.label();
        if price.parts.is_empty() {
            self.count(Metric::Cost, e, TOTAL, source, Value::Real(price.usd.as_usd()));
        }
        for part in &price.parts {
            self.count(Metric::Cost, e, part.name, source, Value::Real(part.usd.as_usd()));
        }
    }

    fn count(&mut self, metric: Metric, e: &mut Exchange<'_>, kind: &'static str, source: &'static str, value: Value) {
        let at = self.set(e, Shape::Tokens, [kind, source]);
        self.add(e, at, metric, value);
    }
}

/// The counts of `limpid.tokens` by type, each with its source. All but the first two are subsets of these.
fn token_counts(
    u: &Usage,
    input: &'static str,
    output: &'static str,
) -> [(&'static str, &'static str, Option<u64>); 8] {
    [
        ("input", input, u.input_tokens),
        ("output", output, u.output_tokens),
        ("cached_input", input, u.cached_input_tokens),
        ("cache_write_input", input, u.cache_write_input_tokens),
        ("reasoning_output", output, u.reasoning_output_tokens),
        ("audio_input", input, u.audio_input_tokens),
        ("image_input", input, u.image_input_tokens),
        ("audio_output", output, u.audio_output_tokens),
    ]
}

#[cfg(test)]
mod tests;
