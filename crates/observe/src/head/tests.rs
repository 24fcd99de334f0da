use super::*;

/// 2026-11-22, 08:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400)
}

fn read(status: u16, fields: &[(&str, &str)]) -> Option<RateLimits> {
    rate_limits(status, fields.iter().map(|(n, v)| (*n, v.as_bytes())), now).map(|told| *told)
}

#[expect(clippy::unnecessary_wraps, reason = "reads as what is told")]
fn ms(n: u64) -> Option<Duration> {
    Some(Duration::from_millis(n))
}

#[test]
fn a_head_without_limits_tells_none() {
    assert_eq!(read(200, &[("content-type", "application/json"), ("x-request-id", "r"), ("retry-after", "1")]), None);
    assert_eq!(read(429, &[("x-ratelimit-limit-requests", "many"), ("x-ratelimit-reset-tokens", "soon")]), None);
    assert_eq!(
        read(429, &[("x-ratelimit-over-limit", "yes"), ("anthropic-ratelimit-unified-status", "allowed")]),
        None
    );
}

#[test]
fn a_wait_is_told_in_four_ways_and_the_finest_wins() {
    let wait = |fields: &[(&str, &str)]| read(429, fields).and_then(|told| told.retry_after);
    for (value, want) in [
        ("20", ms(20_000)),
        ("0", ms(0)),
        ("1.5", ms(1_500)),
        (" 7 ", ms(7_000)),
        ("Sun, 22 Nov 2026 08:00:30 GMT", ms(30_000)),
        ("Sunday, 22-Nov-26 08:00:01 GMT", ms(1_000)),
        ("Sun Nov 22 08:01:00 2026", ms(60_000)),
        ("Sun, 22 Nov 2026 07:00:00 GMT", ms(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("1e9", None),
        ("99999999999999999999999999", None),
    ] {
        assert_eq!(wait(&[("retry-after", value)]), want, "{value}");
    }
    assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1250")]), ms(1_250));
    assert_eq!(wait(&[("retry-after", "2"), ("x-ms-retry-after-ms", "1500")]), ms(1_500));
    assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "?")]), ms(2_000));
    // A success need not be tried again; a busy server may say so with any other status.
    assert_eq!(read(200, &[("retry-after", "2")]), None);
    assert_eq!(read(529, &[("retry-after", "2")]).unwrap().retry_after, ms(2_000));
}

#[test]
fn openais_fields_are_counts_and_durations() {
    let told = read(
        200,
        &[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ],
    );
    let want = RateLimits {
        requests: RateLimit { limit: Some(60), remaining: Some(59), reset: ms(1_000) },
        tokens: RateLimit { limit: Some(150_000), remaining: Some(149_984), reset: ms(360_000) },
        ..RateLimits::default()
    };
    assert_eq!(told, Some(want));
}

#[test]
fn anthropics_fields_have_input_and_output_and_dates() {
    let told = read(
        429,
        &[
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T08:00:01Z"),
            ("anthropic-ratelimit-input-tokens-limit", "2000000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-22T07:59:59Z"),
            ("anthropic-ratelimit-tokens-remaining", "5"),
            ("retry-after", "12"),
        ],
    );
    let want = RateLimits {
        retry_after: ms(12_000),
        requests: RateLimit { limit: Some(4_000), remaining: Some(3_999), reset: ms(1_000) },
        tokens: RateLimit { remaining: Some(5), ..RateLimit::default() },
        input_tokens: RateLimit { limit: Some(2_000_000), remaining: Some(0), reset: None },
        output_tokens: RateLimit { reset: ms(0), ..RateLimit::default() },
    };
    assert_eq!(told, Some(want));
}

#[test]
fn azures_minus_one_and_zero_are_not_known() {
    for limit in ["-1", "0"] {
        let fields = [
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "0"),
        ];
        assert_eq!(read(200, &fields), None, "{limit}");
    }
    let told = read(200, &[("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-remaining-tokens", "0")]).unwrap();
    assert_eq!((told.requests.remaining, told.tokens.remaining), (None, Some(0)));
}

#[test]
fn other_spellings_are_read() {
    let told =
        read(200, &[("x-ratelimit-limit-req-minute", "300"), ("x-ratelimit-remaining-tokens-minute", "9")]).unwrap();
    assert_eq!((told.requests.limit, told.tokens.remaining), (Some(300), Some(9)));
    // Cerebras: seconds with a fraction; OpenRouter: milliseconds since 1970; GitHub: seconds since 1970.
    let reset = |value: &str| read(200, &[("x-ratelimit-reset", value)]).and_then(|told| told.requests.reset);
    assert_eq!(reset("33011.382867"), Some(Duration::from_secs_f64(33_011.382_867)));
    assert_eq!(reset("1795334405250"), ms(5_250));
    assert_eq!(reset("1795334460"), ms(60_000));
    assert_eq!(read(200, &[("ratelimit-remaining", "4")]).unwrap().requests.remaining, Some(4));
    // The first one counts.
    let twice = [("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-remaining-requests", "2")];
    assert_eq!(read(200, &twice).unwrap().requests.remaining, Some(1));
}

#[test]
fn durations_are_those_of_go() {
    for (text, want) in [
        ("12ms", ms(12)),
        ("8.64s", ms(8_640)),
        ("1h2m3.5s", ms(3_723_500)),
        ("24h0m0s", ms(86_400_000)),
        ("0s", ms(0)),
        ("250µs", Some(Duration::from_micros(250))),
        ("", None),
        ("1", None),
        ("s", None),
        ("1.2.3s", None),
        ("1y", None),
        ("1s2", None),
        ("99999999999999999999d", None),
    ] {
        assert_eq!(written_out(text), want, "{text}");
    }
}

#[test]
fn a_value_that_is_no_text_is_absent() {
    assert_eq!(rate_limits(429, [("retry-after", &b"\xFF"[..])], now), None);
}
