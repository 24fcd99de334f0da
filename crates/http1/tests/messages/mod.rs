//! Messages that are sound, or nearly so.

use proptest::prelude::*;
use proptest::sample::{Index, select};

pub(crate) const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1",
    "POST /a?b#c HTTP/1.1",
    "POST /Content-Length:3 HTTP/1.1",
    "HEAD http://h?q HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "get //x/../%00?a%20b HTTP/1.1",
    "PUT /old HTTP/1.0",
];

const FIELDS: &[&str] = &[
    "Host: x",
    "X-A:",
    "x-a: \t1 ",
    "X-b:\u{e9}",
    "Cookie: Content-Length: 3",
    "Content-Lengths: 3",
    "Trailer: X-A, Content-Length",
    "TE: trailers",
    "Connection: keep-alive",
    "Expect: 100-continue",
];

/// Fields that may leave nothing as it was.
const RARE: &[&str] = &[
    "connection:x, Close",
    "Content-Length: 3",
    "content-length:\t0003 ",
    "Content-Length: 4",
    "Content-Length: +3",
    "Content-Length: 3, 3",
    "Content-Length:",
    "Content-Length: 9223372036854775807",
    "Content-Length: 18446744073709551615",
    "Transfer-Encoding: chunked",
    "TRANSFER-encoding:x,\tCHUNKED ",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding:",
    "X A: 1",
    " X-A: 1",
];

/// How the message tells where its body ends.
#[derive(Debug, Clone, Copy)]
enum Framed {
    Not,
    Length,
    Chunks,
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let like =
        select(vec![&b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"[..], b"\r\n0\r\n\r\n", b"\r\n", b"", b"abc"]);
    (prop::collection::vec(any::<u8>(), 0..20), like, 0..2_usize)
        .prop_map(|(bytes, like, order)| if order == 0 { [&bytes, like].concat() } else { like.to_vec() })
}

fn chunked(data: &[u8], size: usize, style: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    for part in data.chunks(size) {
        let line = match style % 5 {
            0 => format!("{:X}\r\n", part.len()),
            1 => format!("00{:x} \t;a=\"b\r\n", part.len()).replace('\r', ";\r"),
            2 => format!("{:x}  \r\n", part.len()),
            3 => format!("{:x};\r\n", part.len()),
            _ => format!("{:x}\r\n", part.len()),
        };
        raw.extend([line.as_bytes(), part, b"\r\n"].concat());
    }
    let ends = [
        &b"0\r\n\r\n"[..],
        b"000;x\r\n\r\n",
        b"0\r\nX-A: 1\r\nContent-Length: 3\r\n\r\n",
        b"0\r\nX-A:\r\nx-a: 2\r\n\r\n",
        b"0\r\nX A: 1\r\n\r\n",
        b"0\r\nX-A: 1\r\n 2\r\n\r\n",
    ];
    // Most end well.
    raw.extend_from_slice(ends[if style < 20 { style % 4 } else { style % ends.len() }]);
    raw
}

/// A message that begins with one of these lines.
pub(crate) fn message(lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let framed = select(vec![Framed::Not, Framed::Length, Framed::Chunks]);
    let fields = prop::collection::vec(prop_oneof![9 => select(FIELDS), 1 => select(RARE)], 0..5);
    (select(lines), fields, framed, data(), (1..30_usize, 0..26_usize, 0..12_u8, any::<Index>())).prop_map(
        |(first, fields, framed, data, (size, style, odd, at))| {
            let mut fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            let (framing, body) = match framed {
                Framed::Not => (None, Vec::new()),
                Framed::Length => (Some(format!("Content-LENGTH: {}", data.len())), data),
                Framed::Chunks => (Some("transfer-Encoding:Chunked".to_owned()), chunked(&data, size, style)),
            };
            let at = at.index(fields.len() + 1);
            fields.splice(at..at, framing);
            let end = if odd == 0 { "\n" } else { "\r\n" };
            let before = if odd == 1 { "\r\n\n" } else { "" };
            let fields: String = fields.iter().flat_map(|field| [field.as_str(), end]).collect();
            let head = format!("{before}{first}{end}{fields}{end}");
            // Latin-1, not UTF-8.
            let head: Vec<u8> = head.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
            [head, body].concat()
        },
    )
}

/// One or several such messages, of which a few bytes may be others.
pub(crate) fn connection(lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), prop_oneof![any::<u8>(), select(&b"\r\n :0;,cC\t"[..])]);
    let changes = prop_oneof![Just(Vec::new()), prop::collection::vec(change, 1..4)];
    (prop::collection::vec(message(lines), 1..5), changes).prop_map(|(messages, changes)| {
        let mut raw = messages.concat();
        for (at, byte) in changes {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        raw
    })
}
