use futures_util::{FutureExt, StreamExt, stream};
use proptest::prelude::*;

use super::*;

/// Data, whether its name is `error`, whether it was whole.
type Told = (Vec<u8>, bool, bool);

fn told(pieces: &[&[u8]], limit: usize) -> (Vec<Told>, Outcome) {
    let mut sse = Sse::new(limit);
    let mut all = Vec::new();
    let mut sink = |e: Event<'_>| {
        all.push((e.data.to_vec(), e.named_error, e.whole));
        Ok(())
    };
    let mut done = Ok(());
    for piece in pieces {
        done = sse.feed(piece, &mut sink);
        if done.is_err() {
            break;
        }
    }
    let done = done.and_then(|()| sse.finish(&mut sink));
    (all, done)
}

fn data(body: &[u8]) -> Vec<String> {
    let (whole, done) = told(&[body], 1 << 20);
    assert_eq!(done, Ok(()));
    for cut in 0..=body.len() {
        let (a, b) = body.split_at(cut);
        assert_eq!(told(&[a, b], 1 << 20).0, whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(told(&bytes, 1 << 20).0, whole);
    whole.into_iter().map(|(data, ..)| String::from_utf8(data).unwrap()).collect()
}

#[test]
fn lines_end_with_lf_cr_or_crlf() {
    assert_eq!(data(b"data: a\n\ndata: b\r\rdata: c\r\n\r\ndata:d\r\n\ndata: e\n\r\n"), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_cr_only_ending_completes_the_event_at_once() {
    let mut sse = Sse::new(99);
    let mut n = 0;
    sse.feed(b"data: a\r\r", &mut |e| {
        assert!(e.whole);
        n += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(n, 1);
}

#[test]
fn several_data_lines_join_and_one_space_is_taken_off() {
    assert_eq!(data(b"data:  a\ndata:b\ndata\ndata: \n\n"), [" a\nb\n\n"]);
}

#[test]
fn comments_and_other_fields_tell_nothing() {
    assert_eq!(data(b": hi\n\n:\nid: 1\nretry: 5\nfoo: {\nevent: ping\n\ndata: a\n\n"), ["a"]);
}

#[test]
fn unicode_line_separators_end_no_line() {
    let body = "data: a\u{2028}b\u{2029}c\u{85}d\n\n";
    assert_eq!(data(body.as_bytes()), ["a\u{2028}b\u{2029}c\u{85}d"]);
}

#[test]
fn a_byte_order_mark_may_lead_but_not_a_part_of_one() {
    assert_eq!(data(b"\xEF\xBB\xBFdata: a\n\n"), ["a"]);
    assert_eq!(data(b"\xEF\xBBdata: a\n\ndata: b\n\n"), ["b"]);
    assert_eq!(data(b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n"), ["b"]);
}

#[test]
fn the_name_error_belongs_to_its_event_alone() {
    let (all, _) = told(&[b"event: error\ndata: a\n\nda", b"ta: b\nevent:err", b"or\n\ndata: c\n\n"], 99);
    let named: Vec<_> = all.iter().map(|(_, named, _)| *named).collect();
    assert_eq!(named, [true, true, false]);
}

#[test]
fn what_is_left_at_the_end_is_told_as_not_whole() {
    let whole = |body: &[u8]| told(&[body], 99).0;
    assert_eq!(whole(b"data: a\n\ndata: [DONE]"), [(b"a".to_vec(), false, true), (b"[DONE]".to_vec(), false, false)]);
    assert_eq!(whole(b"data: a\n"), [(b"a".to_vec(), false, false)]);
    assert_eq!(whole(b"data: a\ndata: b"), [(b"a\nb".to_vec(), false, false)]);
    assert!(whole(b"event: x\n: y\nid").is_empty());
}

#[test]
fn json_that_calls_itself_an_event_stream_is_a_fault() {
    for body in [&b"{\"a\":1}"[..], b"{\n\"a\":1}\n", b"\n[{}]\n"] {
        assert_eq!(told(&[body], 99), (vec![], Err(ObserverFault::Json)));
    }
    assert_eq!(told(&[b": x\n{\n\n"], 99).1, Ok(()));
}

#[test]
fn an_event_above_the_limit_is_too_large_however_it_is_cut() {
    for body in [&b"data: 345678\n\n"[..], b"data:4\ndata:4\n\n", b": 3456789012", b"data: a\n\ndata: 345678"] {
        for cut in 0..=body.len() {
            let (a, b) = body.split_at(cut);
            let (all, done) = told(&[a, b], 11);
            assert_eq!(done, Err(ObserverFault::TooLarge), "{body:?} {cut}");
            assert!(all.iter().all(|(data, ..)| data == b"a"));
        }
    }
    assert_eq!(told(&[b"data: 34567\n\ndata: 34567\n\n"], 11).1, Ok(()));
}

#[test]
fn comments_without_end_do_not_add_up() {
    let mut sse = Sse::new(32);
    for _ in 0..1000 {
        sse.feed(b": OPENROUTER PROCESSING\n", &mut |_| Err(ObserverFault::Json)).unwrap();
    }
}

/// The events of `eventsource-stream`, which panics on a BOM, loses a CR-only ending and drops an unfinished event.
fn oracle(pieces: &[&[u8]]) -> Vec<(String, bool)> {
    use eventsource_stream::Eventsource;
    let pieces: Vec<_> = pieces.iter().map(|p| Ok::<_, ()>(p.to_vec())).collect();
    let events = stream::iter(pieces).eventsource().collect::<Vec<_>>().now_or_never().unwrap();
    events.into_iter().map(|e| e.unwrap()).map(|e| (e.data, e.event == "error")).collect()
}

fn body() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        Just("data: "),
        Just("data:"),
        Just("data"),
        Just("event: error"),
        Just("event: x"),
        Just(":"),
        Just(": c"),
        Just("id: 7"),
        Just("other: y"),
        Just("retry: 10"),
        Just("")
    ];
    let value = prop_oneof![Just(""), Just("{\"a\":1}"), Just("é🙂\u{2028}"), Just(" x"), Just("[DONE]"), Just("a:b")];
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\r\n")];
    proptest::collection::vec((field, value, end), 0..24).prop_map(|lines| {
        let mut body = String::new();
        for (field, value, end) in lines {
            body += field;
            if field == "data: " || field == "data:" || field.starts_with(':') {
                body += value;
            }
            body += end;
        }
        body
    })
}

proptest! {
    #[test]
    fn events_are_those_of_eventsource_stream(body in body(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for to in cuts.into_iter().chain([body.len()]) {
            pieces.push(&body.as_bytes()[from..to]);
            from = to;
        }
        let got: Vec<_> = told(&pieces, 1 << 20).0
            .into_iter()
            .filter(|(data, _, whole)| *whole && !data.is_empty())
            .map(|(data, named, _)| (String::from_utf8(data).unwrap(), named))
            .collect();
        // The oracle gets whole characters only; where these are cut is tested apart.
        let want: Vec<_> = oracle(&[body.as_bytes()]).into_iter().filter(|(data, _)| !data.is_empty()).collect();
        prop_assert_eq!(got, want);
    }
}
