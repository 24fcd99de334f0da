//! The OpenTelemetry side of the metrics: instruments that the recorder feeds and the SDK exports.
//!
//! Instruments are bound to their labels once a label set: recording then takes 10 to 30 ns instead of 250, which
//! matters where one stream adds a value a token. The SDK's own limit on attribute sets is lifted past limpid's, so
//! that limpid's caps decide, and `other` means the same here as on `/metrics`.

use std::sync::Arc;

use limpid_core::{Endpoint, Unreadable, UpstreamInfo};
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};
use opentelemetry::{Key, KeyValue};

use crate::labels::Overflow;
use crate::names::{self, Kind, LabelName, METRICS, Metric, attr};
use crate::prometheus::LiveCounts;
use crate::recorder::{Backend, Trace, Value};

/// The instruments, in the order of the table.
pub(crate) struct Instruments {
    all: Vec<Instrument>,
}

enum Instrument {
    Counter(Counter<u64>),
    Amount(Counter<f64>),
    Histogram(Histogram<f64>),
}

pub(crate) enum BoundInstrument {
    Counter(BoundCounter<u64>),
    Amount(BoundCounter<f64>),
    Histogram(BoundHistogram<f64>),
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Instruments {
        let make = |d: &names::Definition| match d.kind {
            Kind::Counter => {
                Instrument::Counter(meter.u64_counter(d.name).with_unit(d.unit.ucum()).with_description(d.help).build())
            }
            Kind::Amount => {
                Instrument::Amount(meter.f64_counter(d.name).with_unit(d.unit.ucum()).with_description(d.help).build())
            }
            Kind::Histogram(bounds) => Instrument::Histogram(
                meter
                    .f64_histogram(d.name)
                    .with_unit(d.unit.ucum())
                    .with_description(d.help)
                    .with_boundaries(bounds.to_vec())
                    .build(),
            ),
        };
        Instruments { all: METRICS.iter().map(make).collect() }
    }
}

impl Backend for Instruments {
    type Series = BoundInstrument;

    fn bind(&self, metric: Metric, labels: &[(LabelName, Arc<str>)], server: Option<&UpstreamInfo>) -> BoundInstrument {
        let mut attributes: Vec<_> =
            labels.iter().map(|(label, value)| KeyValue::new(key(label), Arc::clone(value))).collect();
        // The conventions want them on their metrics. They follow from the label `upstream`, so no series is added.
        if let Some(server) = server.filter(|_| metric.definition().name.starts_with("gen_ai.")) {
            attributes.push(KeyValue::new(attr::SERVER_ADDRESS.name(), Arc::clone(&server.address)));
            attributes.push(KeyValue::new(attr::SERVER_PORT.name(), i64::from(server.port)));
        }
        match &self.all[metric as usize] {
            Instrument::Counter(i) => BoundInstrument::Counter(i.bind(&attributes)),
            Instrument::Amount(i) => BoundInstrument::Amount(i.bind(&attributes)),
            Instrument::Histogram(i) => BoundInstrument::Histogram(i.bind(&attributes)),
        }
    }

    fn record(series: &BoundInstrument, value: Value, times: u32, _: &Trace) {
        for _ in 0..times {
            match (series, value) {
                (BoundInstrument::Counter(counter), Value::Whole(n)) => counter.add(n),
                // The recorder gives counters whole numbers only.
                (BoundInstrument::Counter(_), Value::Real(_)) => {}
                (BoundInstrument::Amount(counter), value) => counter.add(value.as_f64()),
                (BoundInstrument::Histogram(histogram), value) => histogram.record(value.as_f64()),
            }
        }
    }
}

fn key(label: &LabelName) -> Key {
    match label {
        LabelName::Known(label) => Key::from_static_str(label.name()),
        LabelName::Own(name) => Key::from(Arc::clone(name)),
    }
}

/// Makes the instruments that read counts kept elsewhere; the SDK calls them at each export.
pub(crate) fn observe_live(meter: &Meter, live: &LiveCounts, overflow: Arc<Overflow>) {
    let handover = Arc::clone(&live.handover);
    meter
        .i64_observable_up_down_counter(names::IN_FLIGHT.name)
        .with_unit(names::IN_FLIGHT.unit.ucum())
        .with_description(names::IN_FLIGHT.help)
        .with_callback(move |observer| {
            for endpoint in Endpoint::ALL {
                let labels = [KeyValue::new(names::ENDPOINT, endpoint.as_str())];
                observer.observe(handover.in_flight(*endpoint), &labels);
            }
        })
        .build();
    let handover = Arc::clone(&live.handover);
    observe_counter(meter, names::RECORDS_DROPPED, move |observe| {
        observe(handover.dropped(), &[KeyValue::new(names::WHY, "queue_full")]);
    });
    let handover = Arc::clone(&live.handover);
    observe_counter(meter, names::UNREADABLE, move |observe| {
        for why in Unreadable::ALL {
            observe(handover.unreadable(why), &[KeyValue::new(names::WHY, why.as_str())]);
        }
    });
    let exports = Arc::clone(&live.exports);
    observe_counter(meter, names::EXPORT_FAILED, move |observe| {
        for (what, why, n) in exports.failed() {
            observe(n, &[KeyValue::new(names::WHAT, what), KeyValue::new(names::WHY, why)]);
        }
    });
    let exports = Arc::clone(&live.exports);
    observe_counter(meter, names::EXPORT_SENT, move |observe| {
        for (what, n) in exports.sent() {
            observe(n, &[KeyValue::new(names::WHAT, what)]);
        }
    });
    let own_log = Arc::clone(&live.own_log);
    observe_counter(meter, names::LOG_DROPPED, move |observe| {
        for (why, n) in own_log.lost() {
            observe(n, &[KeyValue::new(names::WHY, why)]);
        }
    });
    observe_counter(meter, names::LABELS_OVERFLOW, move |observe| {
        for (label, n) in overflow.counts() {
            observe(n, &[KeyValue::new(names::LABEL, label.to_owned())]);
        }
    });
}

fn observe_counter(
    meter: &Meter,
    definition: names::LiveDefinition,
    read: impl Fn(&mut dyn FnMut(u64, &[KeyValue])) + Send + Sync + 'static,
) {
    meter
        .u64_observable_counter(definition.name)
        .with_unit(definition.unit.ucum())
        .with_description(definition.help)
        .with_callback(move |observer| read(&mut |n, labels| observer.observe(n, labels)))
        .build();
}
