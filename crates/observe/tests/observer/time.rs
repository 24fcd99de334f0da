//! Marks and gaps.

use std::time::Duration;

use limpid_core::{Endpoint, Tick};

use crate::support::{SSE, observer};

const TOKEN: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
const EMPTY: &[u8] = b"data: {\"choices\":[]}\n\n";

fn ms(n: u64) -> Tick {
    Tick(n * 1_000_000)
}

#[test]
fn an_event_has_the_stamp_of_the_read_that_completes_it() {
    let mut o = observer(Endpoint::Chat, 200, SSE);
    o.on_bytes(b": ping\n\n", ms(1));
    o.on_bytes(EMPTY, ms(2));
    let (head, tail) = TOKEN.split_at(20);
    o.on_bytes(head, ms(3));
    assert_eq!(o.observation().marks.first_token, None);
    o.on_bytes(tail, ms(4));
    o.on_bytes(&[TOKEN, EMPTY].concat(), ms(9));
    o.finish(ms(20));
    let m = o.observation().marks;
    assert_eq!([m.first_byte, m.first_event], [Some(ms(1)), Some(ms(2))]);
    assert_eq!([m.first_token, m.first_content, m.last_token], [Some(ms(4)), Some(ms(4)), Some(ms(9))]);
}

#[test]
fn gaps_lie_between_token_events_and_one_read_has_none() {
    let mut o = observer(Endpoint::Chat, 200, SSE);
    o.on_bytes(TOKEN, ms(10));
    assert_eq!(o.observation().stall, None);
    o.on_bytes(&[TOKEN, TOKEN].concat(), ms(14));
    o.on_bytes(EMPTY, ms(90));
    o.on_bytes(TOKEN, ms(21));
    let seen = o.observation();
    assert_eq!((seen.token_events, seen.gaps.count()), (4, 3));
    assert_eq!(seen.stall, Some(Duration::from_millis(7)));
}

#[test]
fn what_a_slow_reader_cost_is_taken_off_the_next_gap_alone() {
    let mut o = observer(Endpoint::Chat, 200, SSE);
    o.reader_waited(Duration::from_millis(500));
    o.on_bytes(TOKEN, ms(0));
    o.reader_waited(Duration::from_millis(30));
    o.on_bytes(EMPTY, ms(30));
    o.reader_waited(Duration::from_millis(5));
    o.on_bytes(TOKEN, ms(40));
    assert_eq!(o.observation().stall, Some(Duration::from_millis(5)));
    o.on_bytes(TOKEN, ms(46));
    assert_eq!(o.observation().stall, Some(Duration::from_millis(6)));
    o.reader_waited(Duration::from_secs(9));
    o.on_bytes(TOKEN, ms(50));
    assert_eq!(o.observation().stall, Some(Duration::from_millis(6)));
    assert_eq!(o.observation().gaps.count(), 3);
}
