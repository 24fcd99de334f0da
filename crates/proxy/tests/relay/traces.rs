//! The trace context on its way upstream: by default not a byte of it changes.

use limpid_proxy::{Propagate, TraceConfig};
use limpid_testkit::RawServer;

use crate::common::{CHAT, Rig, always, text, upstream, with_host};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What the upstream saw of a request, how it was sent, and the record's ids as they stand in a `traceparent`.
async fn passed(propagate: Propagate, path: &str, fields: &str) -> (String, String, String) {
    let server = RawServer::start(always(OK)).await.unwrap();
    let upstreams = vec![upstream("only", &format!("http://{}", server.addr()))];
    let rig = Rig::with(upstreams, |c| c.trace = TraceConfig { propagate, sample_ratio: 1.0 }).await;
    let sent = format!("POST {path} HTTP/1.1\r\nHost: limpid.test\r\n{fields}X-Last: 1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rig.ask(sent.as_bytes()).await.status, 200);
    let record = rig.record().await;
    let ids = format!("{:032x}-{:016x}", record.trace_id, record.span_id);
    (text(&server.requests()[0]), text(&with_host(sent.as_bytes(), server.addr())), ids)
}

#[tokio::test]
async fn by_default_no_byte_changes_and_none_is_added() {
    for fields in [
        String::new(),
        format!(
            "TraceParent: 00-{TRACE}-00000000000000b7-01\r\nX-Mid: 1\r\ntraceSTATE: a=1, b=2 \r\ntracestate: c=3\r\n"
        ),
        format!("traceparent: 00-{TRACE}-00000000000000b7-00\r\nbaggage: k=v;p, x=y\r\n"),
        "TRACEPARENT: junk\r\ntracestate: a=1\r\nb3: 0\r\n".to_owned(),
        format!("traceparent: 00-{TRACE}-00000000000000b7-01\r\ntraceparent: 00-{TRACE}-00000000000000b8-01\r\n"),
    ] {
        let (seen, sent, _) = passed(TraceConfig::default().propagate, CHAT, &fields).await;
        // Blanks around a field's value are no part of it, and end at the hop.
        assert_eq!(seen, sent.replace("b=2 \\r", "b=2\\r"));
    }
}

#[tokio::test]
async fn limpids_span_takes_the_parents_place_and_nothing_else_changes() {
    let fields =
        format!("X-First: 1\r\nTraceParent: 00-{TRACE}-00000000000000b7-01\r\ntraceSTATE: a=1,b=2\r\nbaggage: k=v\r\n");
    for propagate in [Propagate::Child, Propagate::Always] {
        let (seen, sent, ids) = passed(propagate, CHAT, &fields).await;
        assert!(ids.starts_with(TRACE), "the record continues the trace: {ids}");
        assert_eq!(seen, sent.replace(&format!("{TRACE}-00000000000000b7"), &ids));
        // A call that has no span, and a trace that is not sampled, pass as they came.
        let (seen, sent, _) = passed(propagate, "/v1/files", &fields).await;
        assert_eq!(seen, sent);
        let (seen, sent, _) = passed(propagate, CHAT, &fields.replace("b7-01", "b7-00")).await;
        assert_eq!(seen, sent);
    }
}

#[tokio::test]
async fn a_trace_is_made_only_where_it_is_asked_for() {
    let (seen, sent, _) = passed(Propagate::Child, CHAT, "tracestate: a=1\r\n").await;
    assert_eq!(seen, sent);
    let (seen, sent, ids) = passed(Propagate::Always, CHAT, "").await;
    let made = sent.replace("\\r\\n\\r\\n", &format!("\\r\\ntraceparent: 00-{ids}-01\\r\\n\\r\\n"));
    assert_eq!(seen, made);
}
