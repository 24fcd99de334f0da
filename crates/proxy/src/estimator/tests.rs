use std::sync::Mutex;
use std::sync::mpsc;
use std::time::SystemTime;

use limpid_core::{
    ByteCounts, Caller, Ending, ExchangeId, ExchangeRecord, Observation, RequestFacts, Source, Timeline,
};

use super::*;

/// Hands records to the test, one at a time: the thread waits in `finished` until the test lets it go.
struct Held {
    records: mpsc::Sender<Arc<ExchangeRecord>>,
    go: Mutex<Receiver<()>>,
}

impl ExchangeSink for Held {
    fn started(&self, _: Endpoint) {}

    fn finished(&self, record: Arc<ExchangeRecord>) {
        let _ended = self.go.lock().unwrap().recv();
        self.records.send(record).unwrap();
    }
}

fn exchange() -> Unsettled {
    Unsettled {
        id: ExchangeId::from_parts(1, 2),
        started_at: SystemTime::UNIX_EPOCH,
        endpoint: Endpoint::Completions,
        method: "POST".into(),
        path: "/v1/completions".into(),
        status: Some(200),
        answered_by_limpid: false,
        upstream: None,
        caller: Caller::default(),
        labels: Vec::new(),
        request: RequestFacts { model: Some("gpt-4o".into()), ..RequestFacts::default() },
        trace_id: 1,
        span_id: 2,
        attempts: 1,
        bytes: ByteCounts::default(),
        timeline: Timeline::default(),
        ending: Ending::End,
        failure: None,
        labelled_stream: true,
        answered: true,
        observation: Observation { streamed: true, terminal: true, ..Observation::default() },
        rate_limits: None,
        unestimated: None,
    }
}

fn text(estimator: &Estimator, bytes: &[u8]) -> Option<KeptText> {
    let mut text = estimator.text(Endpoint::Completions)?;
    text.push(bytes);
    Some(text)
}

#[test]
fn estimates_come_from_one_thread_and_a_full_queue_gives_back() {
    let (records, got) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let sink = Arc::new(Held { records, go: Mutex::new(wait) });
    let config = EstimateConfig { text_bytes: 100, budget_bytes: 4000, queue: 2 };
    let estimator = Estimator::start(Some(config), Settler::embedded(), sink).unwrap();
    let job = |reply: &[u8]| Job {
        exchange: exchange(),
        request: text(&estimator, br#"{"model":"gpt-4o","prompt":"tiktoken is great!"}"#),
        reply: text(&estimator, reply),
        estimate: true,
        content: None,
    };
    assert!(estimator.text(Endpoint::Models).is_none(), "of no use there");
    // The tables are loaded once for all: on a busy machine that would take longer than is left at the end.
    job(b"x").done(&Settler::embedded());

    // The thread takes the first and waits with it; two more fit, or one if it has not yet.
    assert!(estimator.submit(job(b"tiktoken is great!")).is_ok());
    let mut submitted = 1;
    let back = loop {
        match estimator.submit(job(&[b'x'; 101])) {
            Ok(()) => submitted += 1,
            Err(back) => break back,
        }
    };
    assert!((2..=3).contains(&submitted));
    assert_eq!(back.refused(&Settler::embedded()).unestimated, Some("queue_full"));

    let budget = Arc::clone(&estimator.texts.as_ref().unwrap().0);
    drop(estimator);
    drop(go);
    let records: Vec<_> = got.iter().collect();
    assert_eq!(records.len(), submitted);
    let usage = records[0].usage.as_ref().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.source), (Some(6), Some(6), Source::Estimated));
    assert_eq!(usage.method.as_deref(), Some("tiktoken:o200k_base"));
    let usage = records[1].usage.as_ref().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(6), None));
    assert_eq!(records[1].unestimated, Some("too_large"));
    assert_eq!(budget.taken(), 0, "all text is given back");
}
