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
use std::time::{Duration, SystemTime};

use limpid_core::{
    BuildFingerprint, Category, ExchangeRecord, ObserverFault, OwnLabel, RecordConsumer, Source, UpstreamInfo, Usage,
    UsageAsked, Verdict,
};

use crate::labels::{Caps, LabelSet, Labels, Open, Overflow, Packed, Symbol};
use crate::names::{LabelName, METRICS, Metric, Shape, TOTAL};
use crate::semconv::Semconv;

mod client;
mod known;

use known::{Known, KnownExchanges, own_value};

/// The labels of a set that do not follow from that of [`Shape::Request`]: texts of the program, so they are told by where
/// they stand. An empty one is no label.
type More = [&'static str; 2];
static NOTHING: &str = "";
static NO_MORE: More = [NOTHING; 2];

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
    at: usize,
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

    /// The series of a label set; of the collapsed set where there is no room for a new one. Collapsed sets need no
    /// room: there are a few dozen in all.
    #[inline]
    fn series<'a>(&'a mut self, e: &'a mut Exchange<'_>, shape: Shape, more: More) -> Bound<'a, B> {
        let (at, room) = match self.near(e, shape, more) {
            Some(at) => (at, true),
            None => self.look_up(e, shape, more),
        };
        self.bound(e, at, room)
    }

    #[inline]
    fn bound<'a>(&'a mut self, e: &'a Exchange<'_>, at: usize, room: bool) -> Bound<'a, B> {
        let Recorder { backend, labels, places, own_names, .. } = self;
        let server = e.server.filter(|_| room);
        Bound { backend, labels, place: places.get_mut(at), trace: &e.trace, server, own_names }
    }

    /// Where the set is, told by the record's own.
    #[inline]
    fn near(&self, e: &mut Exchange<'_>, shape: Shape, more: More) -> Option<usize> {
        let near = &self.places.get(e.home?)?.near;
        let is = |near: &Near| near.shape == shape && near.more.iter().zip(more).all(|(a, b)| std::ptr::eq(*a, b));
        if let Some(next) = near.get(e.next).filter(|next| is(next)) {
            e.next += 1;
            return Some(next.at);
        }
        let which = near.iter().position(is)?;
        e.next = which + 1;
        near.get(which).map(|near| near.at)
    }

    /// Where the set is, or the collapsed one in its place; and whether there was room.
    #[cold]
    fn look_up(&mut self, e: &Exchange<'_>, shape: Shape, more: More) -> (usize, bool) {
        let symbols = more.map(|text| self.labels.fixed(Some(text)));
        let (at, room) = self.place(e.names.set(shape, symbols), e.trusted);
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
        let trusted = r.outcome.category == Category::Ok || r.usage.is_some();
        let known = self.known.find(r, &self.labels, &self.own_names);
        let (Known { names, at, .. }, room) = known.map_or_else(|| self.intern(r, trusted), |known| (known, true));
        let e = &mut Exchange {
            names,
            trusted,
            server: r.upstream.as_deref(),
            trace: Trace { id: r.trace_id, span: r.span_id, at: r.started_at + r.timeline.total() },
            home: room.then_some(at),
            next: 0,
        };
        self.bound(e, at, room).add(Metric::Requests, Value::Whole(1));
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
    /// The record's names, and where its set of [`Shape::Request`] is, or the collapsed one in its place; and whether there
    /// was room.
    fn intern(&mut self, r: &ExchangeRecord, trusted: bool) -> (Known, bool) {
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
        let (at, room) = self.place(set, trusted);
        let known = Known { names, reason, at };
        if room {
            self.known.remember(r, known);
        }
        (known, room)
    }

    fn outcome(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        self.why(e, Metric::UsageAsked, r.request.usage_asked.map(UsageAsked::as_str));
        if r.refusal.verdict != Verdict::None {
            let more = [r.refusal.verdict.as_str(), r.refusal.source.unwrap_or_default()];
            self.series(e, Shape::Refusal, more).add(Metric::Refusals, Value::Whole(1));
        }
        self.why(e, Metric::ObserverErrors, r.observer_fault.map(ObserverFault::as_str));
        self.why(e, Metric::Unpriced, r.unpriced);
        self.why(e, Metric::Unestimated, r.unestimated);
    }

    fn why(&mut self, e: &mut Exchange<'_>, metric: Metric, why: Option<&'static str>) {
        if let Some(why) = why {
            self.series(e, Shape::Why, [why, NOTHING]).add(metric, Value::Whole(1));
        }
    }

    fn timing(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
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

    fn server(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        let t = &r.timeline;
        let mut ends = self.series(e, Shape::Error, NO_MORE);
        ends.time(Metric::ServerRequestDuration, t.sent.map(|_| t.total()));

        if let Some(ttft) = t.ttft().filter(|_| r.stream && r.outcome.category == Category::Ok) {
            let band = r.input_tokens_band().map_or(NOTHING, limpid_core::InputTokensBand::as_str);
            let mut first = self.series(e, Shape::Band, [band, NOTHING]);
            first.time(Metric::ServerTimeToFirstToken, Some(ttft));
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
        self.series(e, Shape::Tokens, [kind, source]).add(metric, value);
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
