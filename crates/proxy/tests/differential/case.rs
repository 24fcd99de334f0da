//! What is generated: a client's connection with its exchanges, and every byte that is written for it.

use std::fmt;
use std::io::Write;

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A connection of a client: exchanges one after another.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) exchanges: Vec<Exchange>,
    /// All requests are written before the first reply is read.
    pub(crate) pipelined: bool,
}

/// One request and its reply, as bytes.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
    pub(crate) up: Pace,
    pub(crate) down: Pace,
    /// The client leaves after so many bytes of its request.
    pub(crate) request_cut: Option<usize>,
    pub(crate) after: After,
}

/// What the upstream does after its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Waits for the next request.
    Keep,
    /// Closes, as it said or as the reply's framing wants.
    Close,
    /// Closes after so many bytes of the reply.
    Cut(usize),
    /// Resets after so many bytes, once the client has them.
    Reset(usize),
}

/// How a message is written.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    pub(crate) cuts: Cuts,
    /// The next piece is written only when the other end has got all of the body before it: what waits for a fuller
    /// buffer on its way would wait for ever.
    pub(crate) lockstep: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Cuts {
    Whole,
    Every(usize),
    At(Vec<Index>),
}

impl Cuts {
    /// The ends of the pieces of `length` bytes.
    pub(crate) fn ends(&self, length: usize) -> Vec<usize> {
        // No more than 400 pieces of a large message.
        let mut ends: Vec<_> = match self {
            Cuts::Whole => Vec::new(),
            Cuts::Every(step) => (0..length).step_by((*step).max(length / 400)).skip(1).collect(),
            Cuts::At(places) => places.iter().map(|p| p.index(length + 1)).filter(|at| *at > 0).collect(),
        };
        ends.push(length);
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a connection{}", if self.pipelined { ", pipelined" } else { "" })?;
        self.exchanges.iter().try_for_each(|exchange| write!(f, "{exchange:?}"))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request, cut {:?}, {:?}\n  {}", self.request_cut, self.up, self.request.escape_ascii())?;
        writeln!(f, "reply, then {:?}, {:?}\n  {}", self.after, self.down, self.reply.escape_ascii())
    }
}

/// Bytes from a number: large bodies cost proptest too much byte for byte.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    (0..length)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed.to_be_bytes()[0]
        })
        .collect()
}

/// Names that limpid or HTTP knows, and any other.
fn name(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    let known = (select(known), any::<u32>()).prop_map(|(name, case)| {
        let flip = |(i, c): (usize, char)| if case >> (i % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c };
        name.chars().enumerate().map(flip).collect()
    });
    let free = "[A-Za-z!#$%&'*+.^_`|~0-9-]{1,12}".prop_map(|n| format!("x{n}"));
    prop_oneof![3 => known, 1 => free]
}

const REQUEST_NAMES: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "user-agent",
    "content-type",
    "cookie",
    "x-request-id",
    "traceparent",
    "x-limpid-user",
    "x-limpid-else",
    "anthropic-version",
    "forwarded",
    "via",
    "x-forwarded-for",
    "date",
    "range",
    "origin",
];

const REPLY_NAMES: &[&str] = &[
    "server",
    "date",
    "set-cookie",
    "content-type",
    "x-request-id",
    "via",
    "etag",
    "vary",
    "retry-after",
    "x-ratelimit-remaining-tokens",
    "access-control-allow-origin",
    "x-limpid-error",
    "alt-svc",
];

/// Fields that end at the hop; `x-hop` is named by `Connection`.
const HOP: &[(&str, &str)] = &[
    ("Connection", "X-Hop"),
    ("connection", "keep-alive, x-hop"),
    ("Connection", "content-length, host, transfer-encoding"),
    ("X-Hop", "1"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("te", "trailers, deflate;q=0.5"),
];

type Fields = Vec<(String, Vec<u8>)>;

fn fields(known: &'static [&'static str]) -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        3 => "[!-~]([ -~\t]{0,24}[!-~])?".prop_map(String::into_bytes),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8], 1..12),
        1 => select(&["Bearer sk-x", "text/event-stream", "application/json", "00-x-y-z", "a=1; b=2"][..])
            .prop_map(|v| v.as_bytes().to_vec()),
    ];
    let hop = select(HOP).prop_map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec()));
    let field = prop_oneof![8 => (name(known), value), 1 => hop];
    prop_oneof![9 => prop::collection::vec(field.clone(), 0..10), 1 => prop::collection::vec(field, 10..40)]
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "X-Own~1", "get"];

fn target() -> impl Strategy<Value = String> {
    let known = select(
        &[
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/completions",
            "/v1/embeddings",
            "/api/chat",
            "/v1/files/f/content",
            "/",
        ][..],
    );
    let odd =
        "/[A-Za-z0-9/._~!$&'()*+,;=:@%\"{}|^\\\\\u{e9}\u{4e2d}-]{0,30}(\\?[A-Za-z0-9/._~!$&'()*+,;=:@%?{}|^`-]{0,30})?";
    prop_oneof![2 => known.prop_map(str::to_owned), 2 => odd]
}

/// What a body says, and the content coding and type that go with it.
#[derive(Debug, Clone)]
struct Content {
    data: Vec<u8>,
    about: Fields,
}

const EVENTS: &[&str] = &[
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}",
    "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"output_tokens\":3}}}",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}",
    ": comment",
    "id: 7",
    "retry: 10",
    "unknown: \u{2028}",
    "data",
    "data:{\"error\":{\"code\":500}}",
    "data: [DONE]",
    "\u{feff}data: {",
];

fn content() -> impl Strategy<Value = Content> {
    let event = (select(EVENTS), select(&["\n\n", "\r\n\r\n", "\r\r", "\n", "\r", "", "\n\r\n"][..]));
    let sse = prop::collection::vec(event, 0..12)
        .prop_map(|events| events.iter().flat_map(|(event, end)| [*event, *end]).collect::<String>().into_bytes());
    let json = select(
        &[
            "{\"model\":\"m\",\"messages\":[],\"stream\":true}",
            "{\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"hi\"}}],\"usage\":{\"prompt_tokens\":1}}",
            "{\"error\":{\"message\":\"no\",\"code\":\"x\"}}",
            "[",
        ][..],
    );
    let typed = |data: Vec<u8>, kind: &str| (data, Some(kind.to_owned()));
    let plain = prop_oneof![
        3 => sse.prop_map(move |d| typed(d, "text/event-stream")),
        2 => json.prop_map(move |d| typed(d.as_bytes().to_vec(), "application/json")),
        2 => (0..3000_usize, any::<u64>()).prop_map(|(n, seed)| (noise(n, seed), None)),
        1 => (0..120_000_usize, any::<u64>()).prop_map(move |(n, seed)| typed(noise(n, seed), "audio/mpeg")),
    ];
    let coding = select(&["", "", "", "gzip", "deflate", "br", "zstd", "identity", "gzip!", "br!"][..]);
    (plain, coding, any::<bool>()).prop_map(|((data, kind), coding, lower)| {
        let mut about: Fields = kind.map(|k| ("Content-Type".to_owned(), k.into_bytes())).into_iter().collect();
        // With a mark of exclamation: the label lies.
        let label = coding.trim_end_matches('!');
        if !label.is_empty() {
            let name = if lower { "content-encoding" } else { "Content-Encoding" };
            about.push((name.to_owned(), label.as_bytes().to_vec()));
        }
        Content { data: compress(data, coding), about }
    })
}

fn compress(data: Vec<u8>, coding: &str) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match coding {
        "gzip" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
            out.write_all(&data).unwrap();
            out.finish().unwrap()
        }
        "deflate" => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
            out.write_all(&data).unwrap();
            out.finish().unwrap()
        }
        "br" => {
            let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 16);
            out.write_all(&data).unwrap();
            out.into_inner()
        }
        "zstd" => zstd::bulk::compress(&data, 1).unwrap(),
        _ => data,
    }
}

/// How a body is framed; for requests `Close` means none.
#[derive(Debug, Clone)]
enum Framed {
    None,
    Length,
    Chunked { sizes: Vec<usize>, style: usize, trailers: bool },
    Close,
}

fn framed() -> impl Strategy<Value = Framed> {
    let sizes = prop_oneof![prop::collection::vec(1..40_usize, 0..12), prop::collection::vec(1..9000_usize, 0..6)];
    let chunked =
        (sizes, 0..5_usize, any::<bool>()).prop_map(|(sizes, style, t)| Framed::Chunked { sizes, style, trailers: t });
    prop_oneof![2 => Just(Framed::None), 3 => Just(Framed::Length), 4 => chunked, 2 => Just(Framed::Close)]
}

/// Writes a head and a body. The framing's field stands at `place`.
fn message(line: &str, mut fields: Fields, content: &Content, framed: &Framed, place: Index) -> Vec<u8> {
    let body = !matches!(framed, Framed::None);
    if body {
        fields.extend(content.about.iter().cloned());
    }
    let at = place.index(fields.len() + 1);
    let mut insert = |name: &str, value: &str| fields.insert(at, (name.to_owned(), value.as_bytes().to_vec()));
    match framed {
        Framed::None | Framed::Close => {}
        Framed::Length => insert("Content-LENGTH", &content.data.len().to_string()),
        Framed::Chunked { trailers, .. } => {
            insert("transfer-Encoding", "chunked");
            if *trailers {
                insert("Trailer", "X-Sum, x-other");
            }
        }
    }
    let mut out = format!("{line}\r\n").into_bytes();
    for (name, value) in &fields {
        out.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    match framed {
        Framed::None => {}
        Framed::Length | Framed::Close => out.extend_from_slice(&content.data),
        Framed::Chunked { sizes, style, trailers } => chunked(&mut out, &content.data, sizes, *style, *trailers),
    }
    out
}

fn chunked(out: &mut Vec<u8>, mut data: &[u8], sizes: &[usize], style: usize, trailers: bool) {
    let mut sizes = sizes.iter().cycle();
    // No more than 400 chunks: a body may have 16 KiB of extensions, and more than that is taken for an attack.
    let least = data.len() / 400;
    while !data.is_empty() {
        let (now, rest) = data.split_at(sizes.next().map_or(data.len(), |s| (*s).max(least)).min(data.len()));
        data = rest;
        let size = match style {
            0 => format!("{:X}", now.len()),
            1 => format!("{:x}", now.len()),
            2 => format!("000{:x}", now.len()),
            3 => format!("{:x};a=b", now.len()),
            _ => format!("{:X};q=\"x;y\"", now.len()),
        };
        out.extend_from_slice(&[size.as_bytes(), b"\r\n", now, b"\r\n"].concat());
    }
    out.extend_from_slice(if trailers { b"0\r\nX-Sum: 7\r\nx-Other: a b\r\n\r\n" } else { b"0\r\n\r\n" });
}

fn pace() -> impl Strategy<Value = Pace> {
    let cuts = prop_oneof![
        3 => Just(Cuts::Whole),
        2 => (1..4_usize).prop_map(Cuts::Every),
        1 => (4..2000_usize).prop_map(Cuts::Every),
        3 => prop::collection::vec(any::<Index>(), 1..6).prop_map(Cuts::At),
    ];
    (cuts, any::<bool>()).prop_map(|(cuts, lockstep)| Pace { cuts, lockstep })
}

/// The last byte's place in a body that has to stay short of its end; `None` where there is none.
fn inside(message: &[u8], place: Index) -> Option<usize> {
    let head = crate::wire::head_length(message)?;
    (head < message.len()).then(|| head + place.index(message.len() - head))
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let request = (select(METHODS), target(), fields(REQUEST_NAMES), content(), framed(), any::<Index>());
    let status = prop_oneof![
        4 => Just(200_u16),
        2 => select(&[204_u16, 304, 400, 401, 404, 429, 500, 503, 529][..]),
        1 => 200..=999_u16,
    ];
    let reply = (status, "[ -~]{0,16}", fields(REPLY_NAMES), content(), framed(), any::<Index>());
    let odd = (0..60_u8, any::<Index>(), 0..8_u8);
    (request, reply, pace(), pace(), odd).prop_map(|(request, reply, up, down, (ending, cut, old))| {
        let (method, target, fields, content, framed, place) = request;
        // HTTP/1.0 knows no chunks; a request without a length has no body.
        let old = old == 0;
        let framed = match framed {
            Framed::Close => Framed::None,
            Framed::Chunked { .. } if old => Framed::Length,
            other => other,
        };
        let line = if old {
            format!("{method} {target} HTTP/1.0")
        } else {
            format!("{method} {target} HTTP/1.1\r\nHost: limpid.test")
        };
        let request = message(&line, fields, &content, &framed, place);
        let (bytes, after) = reply_of(method, reply, ending, cut);
        let request_cut = (ending == 59).then(|| inside(&request, cut)).flatten();
        // The client leaves only when the upstream has seen what was sent.
        let up = Pace { lockstep: up.lockstep || request_cut.is_some(), ..up };
        Exchange { request, reply: bytes, up, down, request_cut, after }
    })
}

type ReplyParts = (u16, String, Fields, Content, Framed, Index);

fn reply_of(method: &str, reply: ReplyParts, ending: u8, cut: Index) -> (Vec<u8>, After) {
    let (status, reason, mut fields, content, framed, place) = reply;
    let bodiless = method == "HEAD" || matches!(status, 204 | 304);
    let old = ending == 50;
    let framed = match framed {
        // A reply without a body that says nothing of a length is one of length 0 or none at all.
        Framed::None if !bodiless => Framed::Length,
        Framed::Chunked { .. } if old => Framed::Length,
        Framed::Length | Framed::Chunked { .. } if status == 204 => Framed::None,
        other => other,
    };
    let interim = if ending == 51 { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" } else { "" };
    let said = ending == 52;
    if said || old {
        fields.push(("Connection".to_owned(), b"close".to_vec()));
    }
    let line = format!("{interim}HTTP/1.{} {status} {reason}", u8::from(!old));
    let mut bytes = message(&line, fields, &content, &framed, place);
    if bodiless && let Some(length) = bytes[interim.len()..].windows(4).position(|w| w == b"\r\n\r\n") {
        bytes.truncate(interim.len() + length + 4);
    }
    let close = said || old || matches!(framed, Framed::Close) && !bodiless;
    let after = match ending {
        53 | 54 if interim.is_empty() && !matches!(framed, Framed::Close) => inside(&bytes, cut).map(After::Cut),
        55 => inside(&bytes, cut).map(After::Reset),
        56 => Some(After::Cut(cut.index(bytes.len()))),
        _ => None,
    };
    // A body that its connection ends cannot be cut short by the connection's end.
    let after = after.filter(|a| !(matches!((a, &framed), (After::Cut(n), Framed::Close) if inside(&bytes, cut).is_some_and(|_| *n >= head_of(&bytes)))));
    (bytes, after.unwrap_or(if close { After::Close } else { After::Keep }))
}

fn head_of(bytes: &[u8]) -> usize {
    crate::wire::head_length(bytes).unwrap_or(bytes.len())
}

/// A connection. What ends it stands last.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(exchange(), 1..5), any::<bool>()).prop_map(|(mut exchanges, pipelined)| {
        let ends = |e: &Exchange| {
            let request = String::from_utf8_lossy(&e.request[..head_of(&e.request)]).to_lowercase();
            e.after != After::Keep || e.request_cut.is_some() || request.contains(" http/1.0\r\n")
        };
        if let Some(last) = exchanges.iter().position(ends) {
            exchanges.truncate(last + 1);
        }
        // Who pipelines does not wait for what the other end has seen.
        let pipelined = pipelined && exchanges.iter().all(|e| e.request_cut.is_none());
        if pipelined {
            for exchange in &mut exchanges {
                exchange.up.lockstep = false;
            }
        }
        Case { exchanges, pipelined }
    })
}
