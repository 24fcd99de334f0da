use super::*;

fn request(text: &str) -> Result<Option<(RequestHead, usize)>, Refused> {
    read_request(&mut BytesMut::from(text))
}

fn response(text: &str, asked: &Method) -> Result<Option<(ResponseHead, usize)>, Refused> {
    read_response(&mut BytesMut::from(text), asked)
}

#[test]
fn heads_are_written_as_they_were_read_but_for_repeated_fields() {
    let text = "POST /v1//x?a=%20b HTTP/1.1\r\nHOST: h\r\nx-a: 1\r\nX-b:\t2 \r\nX-A: 3\r\nEmpty:\r\n\r\nbody";
    let (head, len) = request(text).unwrap().unwrap();
    assert_eq!(len, text.len() - 4);
    let mut out = Vec::new();
    write_request(&head.parts, Some(&head.spelling), b"More: 1\r\n", &mut out);
    let want = "POST /v1//x?a=%20b HTTP/1.1\r\nHOST: h\r\nx-a: 1\r\nX-A: 3\r\nX-b: 2\r\nEmpty:\r\nMore: 1\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), want);

    for reason in ["OK", "Fine", "", "I'm \u{e9}"] {
        let text = format!("HTTP/1.1 200 {reason}\r\nSET-cookie: 1\r\nserver: x\r\nSet-Cookie: 2\r\n\r\n");
        let (head, len) = response(&text, &Method::GET).unwrap().unwrap();
        assert_eq!(len, text.len());
        let mut out = Vec::new();
        write_response(&head.parts, Some(&head.spelling), b"", &mut out);
        let want = format!("HTTP/1.1 200 {reason}\r\nSET-cookie: 1\r\nSet-Cookie: 2\r\nserver: x\r\n\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}

#[test]
fn names_that_were_added_or_taken_off_do_not_shift_the_others() {
    let (mut head, _) = request("GET / HTTP/1.1\r\nA-a: 1\r\nTE: x\r\nB-B: 2\r\nC-c: 3\r\n\r\n").unwrap().unwrap();
    let fields = [("a-a", "1"), ("b-b", "2"), ("new", "n"), ("c-c", "3")];
    head.parts.headers =
        fields.into_iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
    let mut out = Vec::new();
    write_request(&head.parts, Some(&head.spelling), b"", &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "GET / HTTP/1.1\r\nA-a: 1\r\nB-B: 2\r\nnew: n\r\nC-c: 3\r\n\r\n");
}

#[test]
fn each_of_one_name_keeps_its_spelling() {
    let text = "HTTP/1.1 200 OK\r\nx-a: 0\r\ncontent-type: a\r\nX-B: 1\r\nx-A: 2\r\nContent-Type: b\r\n\r\n";
    let (head, _) = response(text, &Method::GET).unwrap().unwrap();
    let mut out = Vec::new();
    write_response(&head.parts, Some(&head.spelling), b"", &mut out);
    let want = "HTTP/1.1 200 OK\r\nx-a: 0\r\nx-A: 2\r\ncontent-type: a\r\nContent-Type: b\r\nX-B: 1\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}

#[test]
fn an_end_is_seen_however_it_is_cut() {
    for text in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\n\n"]
    {
        for seen in 0..text.len() {
            assert!(may_have_ended(text.as_bytes(), seen), "{text:?} of which {seen} were seen");
            assert!(!may_have_ended(&text.as_bytes()[..text.len() - 1], seen));
            assert!(request(&text[..seen]).unwrap().is_none());
        }
    }
}

#[test]
fn what_a_head_tells_of_its_connection() {
    let asks = |lines: &str| request(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).unwrap().unwrap().0;
    assert!(asks("").keep_alive);
    assert!(!asks("Connection: keep-alive, Close\r\n").keep_alive);
    assert!(asks("Expect: 100-Continue\r\n").expects_continue);
    assert!(!request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap().unwrap().0.keep_alive);
    let says = |line: &str| response(line, &Method::GET).unwrap().unwrap().0.keep_alive;
    assert!(says("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(!says("HTTP/1.0 200 OK\r\n\r\n"));
    assert!(says("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n"));
    assert!(!says("HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"));
}

#[test]
fn where_a_body_ends() {
    let asked = |lines: &str| request(&format!("POST / HTTP/1.1\r\n{lines}\r\n")).map(|h| h.unwrap().0.reading);
    assert!(matches!(asked(""), Ok(Reading::Length(0))));
    assert!(matches!(asked("Content-Length: 5\r\n"), Ok(Reading::Length(5))));
    assert!(matches!(asked("Transfer-Encoding: Chunked\r\n"), Ok(Reading::Chunks(_))));
    assert!(matches!(asked("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Ok(Reading::Chunks(_))));
    for bad in ["Transfer-Encoding: gzip\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: -1\r\n"] {
        assert_eq!(asked(bad).err(), Some(Refused::Malformed), "{bad}");
    }
    let came = |method: &Method, status: u16, lines: &str| {
        response(&format!("HTTP/1.1 {status} X\r\n{lines}\r\n"), method).map(|h| h.unwrap().0.reading)
    };
    let (get, head) = (Method::GET, Method::HEAD);
    assert!(matches!(came(&get, 200, ""), Ok(Reading::ToEnd)));
    assert!(matches!(came(&get, 200, "Transfer-Encoding: gzip\r\n"), Ok(Reading::ToEnd)));
    assert!(matches!(came(&get, 200, "Content-Length: 7\r\nContent-Length: 7\r\n"), Ok(Reading::Length(7))));
    assert!(matches!(came(&head, 200, "Content-Length: 7\r\n"), Ok(Reading::Length(0))));
    assert!(matches!(came(&get, 304, "Content-Length: 7\r\n"), Ok(Reading::Length(0))));
    assert_eq!(came(&get, 200, "Content-Length: 7\r\nContent-Length: 8\r\n").err(), Some(Refused::Malformed));
}

#[test]
fn what_is_too_large_says_so() {
    let fields = |n: usize| (0..n).fold(String::new(), |all, i| format!("{all}X-{i}: 1\r\n"));
    assert!(request(&format!("GET / HTTP/1.1\r\n{}\r\n", fields(MAX_FIELDS))).is_ok());
    assert_eq!(request(&format!("GET / HTTP/1.1\r\n{}\r\n", fields(MAX_FIELDS + 1))).err(), Some(Refused::TooLarge));
    let target = "x".repeat(MAX_TARGET);
    assert_eq!(request(&format!("GET /{target} HTTP/1.1\r\n\r\n")).err(), Some(Refused::TargetTooLong));
}
