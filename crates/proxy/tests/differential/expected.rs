//! What may differ between a direct connection and one through limpid: all of it is listed here, and the rest must be
//! the same byte for byte.
//!
//! | changed | why |
//! |---|---|
//! | `Host` is the upstream's | configuration alone chooses where a request goes |
//! | hop-by-hop fields and those that `Connection` names end at the hop | RFC 9110 §7.6.1 |
//! | limpid's own `x-limpid-*` request fields are taken out | they are for limpid |
//! | fields of one name stand together, behind the first; their order is kept | order among other names means nothing |
//! | the version is that of the hop | RFC 9110 §2.5 |
//! | chunks pass without extensions; to HTTP/1.0 there are none, and no trailers | the coding is the hop's |
//! | a body that its connection ends is chunked for HTTP/1.1 clients | so that its end can be told from a cut |
//! | trailers pass if announced and, for replies, wanted (`TE: trailers`); names in lower case | RFC 9110 §6.5.1 |
//! | no or half a response head is a 502 of limpid's own | there is nothing to pass on |

use crate::case::{Case, Exchange};
use crate::play::Run;
use crate::wire::{End, Field, Framing, Message, values};

const HOP_BY_HOP: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "te", "upgrade"];
/// What `Connection` cannot take away.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "host"];
const OWN: [&str; 5] =
    ["x-limpid-project", "x-limpid-user", "x-limpid-template", "x-limpid-session", "x-limpid-priority"];

/// The first difference that is not explained; `None` if there is none.
pub(crate) fn differences(case: &Case, straight: &Run, through: &Run) -> Option<String> {
    for (run, which) in [(straight, "straight"), (through, "through limpid")] {
        if let Some(what) = run.stuck {
            return Some(format!("{which}, {what} waited in vain; got {:?}", run.got));
        }
        if !run.rest.is_empty() {
            return Some(format!("{which}, too much came: {}", run.rest.escape_ascii()));
        }
    }
    if straight.seen.len() != through.seen.len() {
        return Some(format!("{} requests straight, {} through limpid", straight.seen.len(), through.seen.len()));
    }
    for (number, (sent, seen)) in straight.seen.iter().zip(&through.seen).enumerate() {
        if let Some(difference) = differ(&request(sent), &no_host(seen)) {
            return Some(format!("request {number} as the upstream saw it\n{difference}"));
        }
    }
    let answers = case.exchanges.iter().filter(|e| e.request_cut.is_none()).count();
    for (number, exchange) in case.exchanges.iter().enumerate().take(answers) {
        let (sent, got) = (straight.got.get(number), through.got.get(number));
        let what = |difference: String| Some(format!("reply {number} as the client got it\n{difference}"));
        match (sent.filter(|m| m.framing != Framing::None || m.end == End::Complete), got) {
            (Some(sent), Some(got)) => {
                if let Some(difference) = differ(&reply(sent, exchange, straight.seen.get(number)), &no_connection(got))
                {
                    return what(difference);
                }
            }
            // No head came.
            (None, Some(got)) => {
                let own = !values(&got.fields, "x-limpid-error").is_empty();
                if !got.line.ends_with(b" 502 Bad Gateway") || !own || got.end != End::Complete {
                    return what(format!("expected a 502 of limpid's own, got\n{}", text(got)));
                }
            }
            (_, None) => return what("nothing".to_owned()),
        }
    }
    None
}

fn differ(expected: &Message, got: &Message) -> Option<String> {
    (expected != got).then(|| format!("expected {}\ngot      {}", text(expected), text(got)))
}

fn text(m: &Message) -> String {
    let list = |fields: &[Field]| {
        let line = |(n, v): &Field| format!("\n    {}: {}", n.escape_ascii(), v.escape_ascii());
        fields.iter().map(line).collect::<String>()
    };
    let (line, fields, trailers) = (m.line.escape_ascii(), list(&m.fields), list(&m.trailers));
    let (length, body) = (m.body.len(), m.body.escape_ascii());
    format!("{line}{fields}\n  {:?} {:?}, {length} bytes {body}{trailers}", m.framing, m.end)
}

fn is(field: &Field, names: &[&str]) -> bool {
    names.iter().any(|n| field.0.eq_ignore_ascii_case(n.as_bytes()))
}

/// Without what ends at the hop, and grouped.
fn end_to_end(fields: &[Field], also: &[&str]) -> Vec<Field> {
    let lists = values(fields, "connection").join(&b","[..]).to_ascii_lowercase();
    let named: Vec<_> = lists.split(|b| *b == b',').map(<[u8]>::trim_ascii).collect();
    let mut groups: Vec<Vec<Field>> = Vec::new();
    for field in fields {
        let by_name = named.contains(&&*field.0.to_ascii_lowercase()) && !is(field, &FRAMING);
        if by_name || is(field, &HOP_BY_HOP) || is(field, also) {
            continue;
        }
        match groups.iter_mut().find(|g| g[0].0.eq_ignore_ascii_case(&field.0)) {
            Some(group) => group.push(field.clone()),
            None => groups.push(vec![field.clone()]),
        }
    }
    groups.concat()
}

/// A request of the client as the upstream must see it, but for `Host`.
fn request(sent: &Message) -> Message {
    let mut line = sent.line.clone();
    let last = line.len() - 1;
    line[last] = b'1';
    let fields = end_to_end(&sent.fields, &[&OWN[..], &["host"]].concat());
    let announced = !values(&sent.fields, "trailer").is_empty();
    Message { line, fields, trailers: trailers(sent, announced), ..sent.clone() }
}

fn no_host(seen: &Message) -> Message {
    let fields = seen.fields.iter().filter(|f| !is(f, &["host"])).cloned().collect();
    Message { fields, ..seen.clone() }
}

/// A reply of the upstream as the client must get it, but for `Connection`.
fn reply(sent: &Message, exchange: &Exchange, request: Option<&Message>) -> Message {
    let old = exchange.request.windows(11).any(|w| w == b" HTTP/1.0\r\n");
    let mut line = sent.line.clone();
    line[7] = if old { b'0' } else { b'1' };
    let unframed: &[&str] = if old { &["transfer-encoding"] } else { &[] };
    let mut fields = end_to_end(&sent.fields, unframed);
    let mut framing = sent.framing;
    match sent.framing {
        Framing::Chunked if old => framing = Framing::Close,
        Framing::Close if !old => {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
            framing = Framing::Chunked;
        }
        _ => {}
    }
    let wanted = request.is_some_and(|r| {
        values(&r.fields, "te").iter().any(|v| String::from_utf8_lossy(v).to_ascii_lowercase().contains("trailers"))
    });
    let announced = !values(&sent.fields, "trailer").is_empty();
    // Who gets a body until the connection ends cannot tell a cut from the end.
    let end = if framing == Framing::Close { End::Complete } else { sent.end };
    Message {
        line,
        fields,
        framing,
        end,
        trailers: trailers(sent, wanted && announced && !old),
        body: sent.body.clone(),
    }
}

fn trailers(sent: &Message, pass: bool) -> Vec<Field> {
    let lower = |(n, v): &Field| (n.to_ascii_lowercase(), v.clone());
    // Those of a message that broke off are in no section that could be passed on.
    if pass && sent.end == End::Complete { sent.trailers.iter().map(lower).collect() } else { Vec::new() }
}

/// limpid says `Connection: close` where it means it.
fn no_connection(got: &Message) -> Message {
    let hop = |f: &&Field| is(f, &["connection"]) && [&b"close"[..], b"keep-alive"].contains(&&*f.1);
    Message { fields: got.fields.iter().filter(|f| !hop(f)).cloned().collect(), ..got.clone() }
}
