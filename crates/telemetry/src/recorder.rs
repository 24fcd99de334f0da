//! From a record to numbers: which metric gets which value under which labels.
//!
//! One recorder serves each exporter, so that `/metrics` and OTLP say the same by construction. It looks up each label
//! set once a record and keeps the bound series of its metrics; a series comes into being with its first value, so a
//! number that was never known is absent rather than 0.
//!
//! Only calls that make a model work feed the `gen_ai.*` metrics; listing models does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    BuildFingerprint, Category, ExchangeRecord, OwnLabel, RecordConsumer, Source, UpstreamInfo, Usage, Verdict,
};

use crate::labels::{Caps, LabelSet, Labels, Open, Overflow, Packed, Symbol};
use crate::names::{LabelName, METRICS, Metric, Shape, TOTAL};
use crate::semconv::Semconv;

mod client;

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
    fn record(series: &Self::Series, value: Value, times: u32, trace: Option<Trace>);
}

/// A consumer of records that feeds a [`Backend`].
pub(crate) struct Recorder<B: Backend> {
    backend: B,
    labels: Labels,
    overflow: Arc<Overflow>,
    /// What the caps let in, so the table has a bound; each with its place in `series`.
    sets: HashMap<Packed, usize, BuildFingerprint>,
    /// By label set, and by metric.
    series: Vec<Vec<Option<B::Series>>>,
    max_sets: usize,
    semconv: Semconv,
    /// The upstream of the record that is being recorded.
    server: Option<Arc<UpstreamInfo>>,
    /// The names of the operator's own labels, and their values in that record.
    own_names: Vec<Arc<str>>,
    own: [Symbol; OwnLabel::MOST],
    /// That record tells of a success, or of tokens: see `labels`.
    trusted: bool,
}

impl<B: Backend> Recorder<B> {
    pub(crate) fn new(backend: B, caps: &Caps, overflow: Arc<Overflow>) -> Recorder<B> {
        let labels = Labels::new(caps, Arc::clone(&overflow));
        let (sets, series, max_sets) = (HashMap::default(), Vec::new(), caps.label_sets);
        let own_names = caps.own.iter().map(|(name, _)| Arc::clone(name)).collect();
        let (semconv, server, own, trusted) = (Semconv::default(), None, <_>::default(), false);
        Recorder { backend, labels, overflow, sets, series, max_sets, semconv, server, own_names, own, trusted }
    }

    /// Follows this text of the conventions instead of the default one.
    pub(crate) fn following(mut self, semconv: Semconv) -> Self {
        self.semconv = semconv;
        self
    }

    /// The series of a label set; of the collapsed set where there is no room for a new one. Collapsed sets need no
    /// room: there are a few dozen in all.
    fn series(&mut self, mut set: LabelSet) -> Bound<'_, B> {
        if set.shape.has_own() {
            set.own = self.own;
        }
        let (set, place, room) = match self.sets.get(&set.packed()) {
            Some(place) => (set, *place, true),
            None => self.new_set(set),
        };
        let slots = self.series.get_mut(place).map(Vec::as_mut_slice).unwrap_or_default();
        let server = self.server.as_deref().filter(|_| room);
        let own_names = &self.own_names;
        Bound { backend: &self.backend, labels: &self.labels, set, slots, trace: None, server, own_names }
    }

    /// The set, or the collapsed one in its place; and whether there was room.
    #[cold]
    fn new_set(&mut self, set: LabelSet) -> (LabelSet, usize, bool) {
        let places = if self.trusted { self.max_sets } else { self.max_sets.div_ceil(2) };
        let room = self.sets.len() < places;
        let set = if room {
            set
        } else {
            self.overflow.count_label_set();
            set.collapsed(self.own_names.len())
        };
        let place = *self.sets.entry(set.packed()).or_insert(self.series.len());
        if place == self.series.len() {
            self.series.push(METRICS.iter().map(|_| None).collect());
        }
        (set, place, room)
    }
}

/// The series of one label set.
struct Bound<'a, B: Backend> {
    backend: &'a B,
    labels: &'a Labels,
    set: LabelSet,
    slots: &'a mut [Option<B::Series>],
    trace: Option<Trace>,
    server: Option<&'a UpstreamInfo>,
    own_names: &'a [Arc<str>],
}

impl<B: Backend> Bound<'_, B> {
    fn traced(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    fn add(&mut self, metric: Metric, value: impl Into<Option<Value>>) {
        if let Some(value) = value.into() {
            self.add_times(metric, value, 1);
        }
    }

    fn time(&mut self, metric: Metric, duration: Option<Duration>) {
        self.add(metric, duration.map(Value::from));
    }

    fn add_times(&mut self, metric: Metric, value: Value, times: u32) {
        debug_assert_eq!(metric.definition().shape, self.set.shape);
        let Some(slot) = self.slots.get_mut(metric as usize) else { return };
        let series = slot.get_or_insert_with(|| {
            let values = self.set.values.iter();
            let known = self.set.shape.labels().iter().map(|label| LabelName::Known(*label)).zip(values);
            let own = self.own_names.iter().map(|name| LabelName::Own(Arc::clone(name))).zip(&self.set.own);
            let labels: Vec<_> = (known.chain(own))
                .filter(|(_, value)| **value != Symbol::ABSENT)
                .map(|(label, value)| (label, self.labels.text(*value)))
                .collect();
            self.backend.bind(metric, &labels, self.server)
        });
        B::record(series, value, times, self.trace.filter(|_| metric.has_exemplars()));
    }
}

/// The interned names of one record.
#[derive(Clone, Copy)]
struct Names {
    base: [Symbol; 4],
    key: Symbol,
    project: Symbol,
    error: Symbol,
}

impl<B: Backend> RecordConsumer for Recorder<B> {
    fn consume(&mut self, record: &Arc<ExchangeRecord>) {
        let r = &**record;
        self.server.clone_from(&r.upstream);
        let names = self.names(r);
        self.outcome(r, &names);
        self.timing(r, &names);
        self.tokens(r, &names);
        if r.endpoint.is_inference() {
            self.client(r, &names);
            self.server(r, &names);
        }
    }
}

impl<B: Backend> Recorder<B> {
    fn names(&mut self, r: &ExchangeRecord) -> Names {
        let trusted = r.outcome.category == Category::Ok || r.usage.is_some();
        self.trusted = trusted;
        let l = &mut self.labels;
        for (at, name) in self.own_names.iter().enumerate() {
            let value = r.labels.iter().find(|label| label.name == *name).map(|label| &*label.value);
            self.own[at] = l.open(Open::Own(at), value, trusted);
        }
        Names {
            base: [
                l.word(r.endpoint.operation()),
                l.fixed(r.provider()),
                l.open(Open::Model, r.model.name(), trusted),
                l.fixed(r.upstream.as_deref().map(|u| &*u.name)),
            ],
            key: l.open(Open::Key, r.caller.key.as_deref(), trusted),
            project: l.open(Open::Project, r.caller.project.as_deref(), trusted),
            error: l.open(Open::Reason, r.outcome.error_type(), trusted),
        }
    }

    fn outcome(&mut self, r: &ExchangeRecord, names: &Names) {
        let l = &mut self.labels;
        let request = [
            l.word(r.endpoint.as_str()),
            l.word(r.outcome.category.as_str()),
            match names.error {
                Symbol::ABSENT => l.open(Open::Reason, Some(&r.outcome.reason), true),
                error => error,
            },
            l.status(r.status),
            l.word(if r.stream { "true" } else { "false" }),
            names.key,
            names.project,
        ];
        let refusal = [l.word(r.refusal.verdict.as_str()), l.fixed(r.refusal.source)];
        let fault = r.observer_fault.map(|f| l.word(f.as_str()));
        let unpriced = r.unpriced.map(|why| l.word(why));
        let unestimated = r.unestimated.map(|why| l.word(why));

        let one = Value::Whole(1);
        self.series(LabelSet::new(Shape::Request, names.base, &request)).add(Metric::Requests, one);
        if let Some(became) = r.request.usage_asked {
            let why = self.labels.word(became.as_str());
            self.series(LabelSet::new(Shape::Why, names.base, &[why])).add(Metric::UsageAsked, one);
        }
        if r.refusal.verdict != Verdict::None {
            self.series(LabelSet::new(Shape::Refusal, names.base, &refusal)).add(Metric::Refusals, one);
        }
        for (metric, why) in
            [(Metric::ObserverErrors, fault), (Metric::Unpriced, unpriced), (Metric::Unestimated, unestimated)]
        {
            if let Some(why) = why {
                self.series(LabelSet::new(Shape::Why, names.base, &[why])).add(metric, one);
            }
        }
    }

    fn timing(&mut self, r: &ExchangeRecord, names: &Names) {
        let t = &r.timeline;
        let mut series = self.series(LabelSet::new(Shape::Base, names.base, &[])).traced(trace(r));
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

    fn server(&mut self, r: &ExchangeRecord, names: &Names) {
        let t = &r.timeline;
        let mut ends = self.series(LabelSet::new(Shape::Error, names.base, &[names.error])).traced(trace(r));
        ends.time(Metric::ServerRequestDuration, t.sent.map(|_| t.total()));

        if let Some(ttft) = t.ttft().filter(|_| r.stream && r.outcome.category == Category::Ok) {
            let band = self.labels.fixed(r.input_tokens_band().map(limpid_core::InputTokensBand::as_str));
            let mut first = self.series(LabelSet::new(Shape::Band, names.base, &[band])).traced(trace(r));
            first.time(Metric::ServerTimeToFirstToken, Some(ttft));
        }
    }

    fn tokens(&mut self, r: &ExchangeRecord, names: &Names) {
        if let Some(usage) = &r.usage {
            for (kind, count) in token_counts(usage) {
                let Some(count) = count else { continue };
                let source = if kind.ends_with("output") { usage.source_of_output() } else { usage.source_of_input() };
                self.count(Metric::Tokens, names, kind, source.as_str(), Value::Whole(count));
            }
        }
        let Some(price) = &r.price else { return };
        let source = price.label();
        if price.parts.is_empty() {
            self.count(Metric::Cost, names, TOTAL, source, Value::Real(price.usd.as_usd()));
        }
        for part in &price.parts {
            self.count(Metric::Cost, names, part.name, source, Value::Real(part.usd.as_usd()));
        }
    }

    fn count(&mut self, metric: Metric, names: &Names, kind: &'static str, source: &'static str, value: Value) {
        let more = [self.labels.word(kind), self.labels.word(source), names.key, names.project];
        self.series(LabelSet::new(Shape::Tokens, names.base, &more)).add(metric, value);
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

fn trace(r: &ExchangeRecord) -> Trace {
    Trace { id: r.trace_id, span: r.span_id, at: r.started_at + r.timeline.total() }
}
