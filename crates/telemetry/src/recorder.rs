//! From a record to numbers: which metric gets which value under which labels.
//!
//! One recorder serves each exporter, so that `/metrics` and OTLP say the same by construction. It keeps the bound series
//! of each label set; a series comes into being with its first value, so a number that was never known is absent rather
//! than 0. An exchange has a dozen label sets, but one of them, that of `limpid.requests`, has all labels of the others but
//! two: so that one alone is looked up, and it knows its [`Near`] ones.
//!
//! Only calls that make a model work feed the `gen_ai.*` metrics; listing models does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    BuildFingerprint, Category, ExchangeRecord, ObserverFault, OwnLabel, RecordConsumer, Source, UpstreamInfo, Usage,
    UsageAsked, Verdict,
};

use crate::labels::{Caps, LabelSet, Labels, Open, Overflow, Packed, Symbol};
use crate::names::{LabelName, METRICS, Metric, Shape, TOTAL};
use crate::semconv::Semconv;

mod client;

/// The labels of a shape that follow from the exchange.
const NO_MORE: [Symbol; 2] = [Symbol::ABSENT; 2];

/// What a series gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Whole(u64),
    Real(f64),
}

impl Value {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Value::Whole(n) => n as f64,
            Value::Real(v) => v,
        }
    }
}

impl From<Duration> for Value {
    fn from(d: Duration) -> Value {
        Value::Real(d.as_secs_f64())
    }
}

/// The exchange behind a value, so that one can go from a bucket to its trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    pub(crate) span: u64,
    pub(crate) at: SystemTime,
}

/// Where series live.
pub(crate) trait Backend: Send {
    /// A metric with fixed labels.
    type Series: Send;

    /// The series of these labels; created once a label set. `server` is the upstream that the labels name, if they name
    /// one.
    fn bind(&self, metric: Metric, labels: &[(LabelName, Arc<str>)], server: Option<&UpstreamInfo>) -> Self::Series;

    /// Adds a value to it `times` times.
    fn record(series: &Self::Series, value: Value, times: u32, trace: &Trace);
}

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
    more: [Symbol; 2],
    at: usize,
}

/// What is known of the record that is being recorded.
struct Exchange {
    /// Operation, provider, model and upstream.
    base: [Symbol; 4],
    key: Symbol,
    project: Symbol,
    error: Symbol,
    /// Of the operator's own labels.
    own: [Symbol; OwnLabel::MOST],
    /// It tells of a success, or of tokens: see `labels`.
    trusted: bool,
    server: Option<Arc<UpstreamInfo>>,
    trace: Trace,
    /// Where its set of [`Shape::Request`] is, if that has a place of its own.
    home: Option<usize>,
    /// Which of that set's near ones comes next, most likely: records alike ask for them in the same order.
    next: usize,
}

impl Exchange {
    /// A label set: what belongs to its shape, and these.
    fn set(&self, shape: Shape, more: [Symbol; 2]) -> LabelSet {
        let [first, second] = more;
        let mut set = match shape {
            Shape::Tokens => LabelSet::new(shape, self.base, &[first, second, self.key, self.project]),
            Shape::Error => LabelSet::new(shape, self.base, &[self.error]),
            _ => LabelSet::new(shape, self.base, &more),
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
        Recorder { backend, labels, overflow, sets, places, max_sets, semconv: Semconv::default(), own_names }
    }

    /// Follows this text of the conventions instead of the default one.
    pub(crate) fn following(mut self, semconv: Semconv) -> Self {
        self.semconv = semconv;
        self
    }

    /// The series of a label set; of the collapsed set where there is no room for a new one. Collapsed sets need no
    /// room: there are a few dozen in all.
    fn series<'a>(&'a mut self, e: &'a mut Exchange, shape: Shape, more: [Symbol; 2]) -> Bound<'a, B> {
        let (at, room) = match self.near(e, shape, more) {
            Some(at) => (at, true),
            None => self.look_up(e, shape, more),
        };
        self.bound(e, at, room)
    }

    fn bound<'a>(&'a mut self, e: &'a Exchange, at: usize, room: bool) -> Bound<'a, B> {
        let Recorder { backend, labels, places, own_names, .. } = self;
        let server = e.server.as_deref().filter(|_| room);
        Bound { backend, labels, place: places.get_mut(at), trace: &e.trace, server, own_names }
    }

    /// Where the set is, told by the record's own.
    #[inline]
    fn near(&self, e: &mut Exchange, shape: Shape, more: [Symbol; 2]) -> Option<usize> {
        let near = &self.places.get(e.home?)?.near;
        let is = |near: &Near| near.more == more && near.shape == shape;
        if !near.get(e.next).is_some_and(is) {
            e.next = near.iter().position(is)?;
        }
        e.next += 1;
        Some(near[e.next - 1].at)
    }

    /// Where the set is, or the collapsed one in its place; and whether there was room.
    #[cold]
    fn look_up(&mut self, e: &Exchange, shape: Shape, more: [Symbol; 2]) -> (usize, bool) {
        let (at, room) = self.place(e.set(shape, more), e.trusted);
        if let Some(home) = e.home.filter(|_| room).and_then(|home| self.places.get_mut(home)) {
            home.near.push(Near { shape, more, at });
        }
        (at, room)
    }

    fn place(&mut self, set: LabelSet, trusted: bool) -> (usize, bool) {
        match self.sets.get(&set.packed()) {
            Some(at) => (*at, true),
            None => self.new_set(set, trusted),
        }
    }

    #[cold]
    fn new_set(&mut self, set: LabelSet, trusted: bool) -> (usize, bool) {
        let most = if trusted { self.max_sets } else { self.max_sets.div_ceil(2) };
        let room = self.sets.len() < most;
        let set = if room {
            set
        } else {
            self.overflow.count_label_set();
            set.collapsed(self.own_names.len())
        };
        let at = *self.sets.entry(set.packed()).or_insert(self.places.len());
        if at == self.places.len() {
            self.places.push(Place { set, series: [const { None }; METRICS.len()], near: Vec::new() });
        }
        (at, room)
    }
}

/// The series of one label set.
struct Bound<'a, B: Backend> {
    backend: &'a B,
    labels: &'a Labels,
    place: Option<&'a mut Place<B::Series>>,
    trace: &'a Trace,
    server: Option<&'a UpstreamInfo>,
    own_names: &'a [Arc<str>],
}

impl<B: Backend> Bound<'_, B> {
    fn add(&mut self, metric: Metric, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.add_times(metric, value, 1);
        }
    }

    fn time(&mut self, metric: Metric, duration: Option<Duration>) {
        self.add(metric, duration.map(Value::from));
    }

    fn add_times(&mut self, metric: Metric, value: Value, times: u32) {
        let Some(Place { set, series, .. }) = self.place.as_deref_mut() else { return };
        debug_assert_eq!(metric.definition().shape, set.shape);
        let series = series[metric as usize].get_or_insert_with(|| {
            let known = set.shape.labels().iter().map(|label| LabelName::Known(*label)).zip(&set.values);
            let own = self.own_names.iter().map(|name| LabelName::Own(Arc::clone(name))).zip(&set.own);
            let labels: Vec<_> = (known.chain(own))
                .filter(|(_, value)| **value != Symbol::ABSENT)
                .map(|(label, value)| (label, self.labels.text(*value)))
                .collect();
            self.backend.bind(metric, &labels, self.server)
        });
        B::record(series, value, times, self.trace);
    }
}

impl<B: Backend> RecordConsumer for Recorder<B> {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        let r = &**record;
        let mut e = self.exchange(r);
        let e = &mut e;
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
    fn exchange(&mut self, r: &ExchangeRecord) -> Exchange {
        let trusted = r.outcome.category == Category::Ok || r.usage.is_some();
        let l = &mut self.labels;
        let mut own = <[Symbol; OwnLabel::MOST]>::default();
        for (at, (name, symbol)) in self.own_names.iter().zip(&mut own).enumerate() {
            let value = r.labels.iter().find(|label| label.name == *name).map(|label| &*label.value);
            *symbol = l.open(Open::Own(at), value, trusted);
        }
        Exchange {
            base: [
                l.word(r.endpoint.operation()),
                l.fixed(r.provider()),
                l.open(Open::Model, r.model.name(), trusted),
                l.fixed(r.upstream.as_deref().map(|u| &*u.name)),
            ],
            key: l.open(Open::Key, r.caller.key.as_deref(), trusted),
            project: l.open(Open::Project, r.caller.project.as_deref(), trusted),
            error: l.open(Open::Reason, r.outcome.error_type(), trusted),
            own,
            trusted,
            server: r.upstream.clone(),
            trace: Trace { id: r.trace_id, span: r.span_id, at: r.started_at + r.timeline.total() },
            home: None,
            next: 0,
        }
    }

    fn outcome(&mut self, r: &ExchangeRecord, e: &mut Exchange) {
        let l = &mut self.labels;
        let request = [
            l.word(r.endpoint.as_str()),
            l.word(r.outcome.category.as_str()),
            match e.error {
                Symbol::ABSENT => l.open(Open::Reason, Some(&r.outcome.reason), true),
                error => error,
            },
            l.status(r.status),
            l.word(if r.stream { "true" } else { "false" }),
            e.key,
            e.project,
        ];
        let set = LabelSet { own: e.own, ..LabelSet::new(Shape::Request, e.base, &request) };
        let (at, room) = self.place(set, e.trusted);
        e.home = room.then_some(at);
        let one = Value::Whole(1);
        self.bound(e, at, room).add(Metric::Requests, one);

        self.why(e, Metric::UsageAsked, r.request.usage_asked.map(UsageAsked::as_str));
        if r.refusal.verdict != Verdict::None {
            let more = [self.labels.word(r.refusal.verdict.as_str()), self.labels.fixed(r.refusal.source)];
            self.series(e, Shape::Refusal, more).add(Metric::Refusals, one);
        }
        self.why(e, Metric::ObserverErrors, r.observer_fault.map(ObserverFault::as_str));
        self.why(e, Metric::Unpriced, r.unpriced);
        self.why(e, Metric::Unestimated, r.unestimated);
    }

    fn why(&mut self, e: &mut Exchange, metric: Metric, why: Option<&'static str>) {
        if let Some(why) = why {
            let more = [self.labels.word(why), Symbol::ABSENT];
            self.series(e, Shape::Why, more).add(metric, Value::Whole(1));
        }
    }

    fn timing(&mut self, r: &ExchangeRecord, e: &mut Exchange) {
        let t = &r.timeline;
        let mut series = self.series(e, Shape::Base, NO_MORE);
        series.time(Metric::QueueDuration, t.queue());
        series.time(Metric::TimeToFirstByte, t.first_byte());
        series.time(Metric::TimeToFirstContent, t.first_content());
        series.time(Metric::Stall, t.stall);
        series.time(Metric::ReaderLag, t.reader_lag);
        series.time(Metric::Overhead, t.overhead());
        // The conventions' metrics have no label for an estimate, so none goes into them.
        let counted = r.usage.as_ref().is_some_and(|u| u.source_of_output() != Source::Estimated);
        if r.endpoint.is_inference() && r.outcome.category == Category::Ok && counted {
            series.time(Metric::ServerTimePerOutputToken, r.tpot());
        }
    }

    fn server(&mut self, r: &ExchangeRecord, e: &mut Exchange) {
        let t = &r.timeline;
        let mut ends = self.series(e, Shape::Error, NO_MORE);
        ends.time(Metric::ServerRequestDuration, t.sent.map(|_| t.total()));

        if let Some(ttft) = t.ttft().filter(|_| r.stream && r.outcome.category == Category::Ok) {
            let band = self.labels.fixed(r.input_tokens_band().map(limpid_core::InputTokensBand::as_str));
            let mut first = self.series(e, Shape::Band, [band, Symbol::ABSENT]);
            first.time(Metric::ServerTimeToFirstToken, Some(ttft));
        }
    }

    fn tokens(&mut self, r: &ExchangeRecord, e: &mut Exchange) {
        if let Some(usage) = &r.usage {
            for (kind, count) in token_counts(usage) {
                let Some(count) = count else { continue };
                let source = if kind.ends_with("output") { usage.source_of_output() } else { usage.source_of_input() };
                self.count(Metric::Tokens, e, kind, source.as_str(), Value::Whole(count));
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

    fn count(&mut self, metric: Metric, e: &mut Exchange, kind: &'static str, source: &'static str, value: Value) {
        let more = [self.labels.word(kind), self.labels.word(source)];
        self.series(e, Shape::Tokens, more).add(metric, value);
    }
}

/// The counts of `limpid.tokens` by type. All but the first two are subsets of these.
fn token_counts(u: &Usage) -> [(&'static str, Option<u64>); 8] {
    [
        ("input", u.input_tokens),
        ("output", u.output_tokens),
        ("cached_input", u.cached_input_tokens),
        ("cache_write_input", u.cache_write_input_tokens),
        ("reasoning_output", u.reasoning_output_tokens),
        ("audio_input", u.audio_input_tokens),
        ("image_input", u.image_input_tokens),
        ("audio_output", u.audio_output_tokens),
    ]
}
