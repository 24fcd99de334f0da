//! Forms and codings: the same facts however the body is cut, and nothing from where they do not stand.

use std::io::Write as _;

use limpid_core::RequestFacts;
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn head<'a>(content_type: &'a str, content_encoding: Option<&'a str>) -> RequestHead<'a> {
    RequestHead { content_type: Some(content_type), content_encoding }
}

fn observe<'p>(head: &RequestHead<'_>, limit: usize, pieces: impl IntoIterator<Item = &'p [u8]>) -> RequestObserver {
    let mut observer = RequestObserver::for_request(limit, Arc::default(), head);
    for piece in pieces {
        observer.feed(piece);
    }
    observer.finish();
    observer
}

/// The facts, whole and byte by byte.
fn facts(head: &RequestHead<'_>, body: &[u8]) -> RequestFacts {
    let whole = observe(head, LIMIT, [body]);
    let bytewise = observe(head, LIMIT, body.chunks(1));
    assert_eq!((whole.facts(), whole.has_two_models()), (bytewise.facts(), bytewise.has_two_models()));
    whole.facts().clone()
}

fn model(head: &RequestHead<'_>, body: &[u8]) -> Option<String> {
    facts(head, body).model.map(String::from)
}

const FORM: &str = "multipart/form-data; boundary=b";

/// A part with this disposition, and its value.
fn part(disposition: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
}

#[test]
fn a_multipart_form_names_its_model_in_any_order() {
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
        RIFF\n--\n--c\r\n--bc\r\nmodel=no\r\n--b-\r\n\r\n--\r\n";
    let named = part("name=\"model\"", "whisper-1");
    let end = "--b--\r\n";
    for body in [
        format!("{named}{file}{end}"),
        format!("{file}{named}{end}"),
        format!("preamble\r\n{file}{named}{}{end}epilogue {named}", part("name=stream", "true")),
        format!("{file}{named}{end}").replace("\r\n", "\n"),
        format!("{file}{}{end}", part("name=model", "whisper-1")),
        format!("{file}{}{end}", part("NAME = \"model\" ; x=\"a;b\\\"; name=no\"", "whisper-1")),
        format!("{named}{end}").replace("--b\r\nContent", "--b  \r\nContent-Type: text/plain\r\nCONTENT"),
    ] {
        assert_eq!(model(&head(FORM, None), body.as_bytes()).as_deref(), Some("whisper-1"), "{body}");
    }
    let quoted = head("Multipart/Form-Data; charset=utf-8; Boundary=\"b\"", None);
    assert_eq!(model(&quoted, named.as_bytes()), None, "a value without an end is none");
    assert_eq!(model(&quoted, format!("{named}{end}").as_bytes()).as_deref(), Some("whisper-1"));
    let all = format!(
        "{}{}{}{named}{end}",
        part("name=\"stream\"", "true"),
        part("name=\"temperature\"", "0.5"),
        part("name=\"n\"", "2")
    );
    let all = facts(&head(FORM, None), all.as_bytes());
    assert_eq!((all.stream, all.temperature, all.choices), (Some(true), Some(0.5), Some(2)));
}

#[test]
fn what_is_no_plain_field_names_no_model() {
    let end = "--b--\r\n";
    let long =
        format!("--b\r\nX: {}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nno\r\n", "y".repeat(9000));
    for body in [
        part("name=\"model\"; filename=\"m\"", "no"),
        part("name=\"model\"; filename*=UTF-8''m", "no"),
        part("name=\"models\"", "no"),
        part("filename=model", "no"),
        part("name=\"x\"", "\r\nname=\"model\"\r\n\r\nno"),
        part("name=\"model\"", ""),
        "--b\r\nContent-Type: text/plain\r\n\r\nno\r\n".into(),
        part("name=\"model\"", "no").replace("--b", "--c"),
        format!("{end}{}", part("name=\"model\"", "no")),
        long,
    ] {
        assert_eq!(model(&head(FORM, None), format!("{body}{end}").as_bytes()), None, "{body}");
    }
    let body = format!("{}{end}", part("name=\"model\"", "no"));
    for label in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b", "text/plain"]
    {
        assert_eq!(model(&head(label, None), body.as_bytes()), None, "{label}");
    }
}

#[test]
fn an_urlencoded_form_names_its_model() {
    let form = head("application/x-www-form-urlencoded; charset=UTF-8", None);
    for (body, want) in [
        ("model=gpt-4o", Some("gpt-4o")),
        ("a=b&model=org%2Fm+x&stream=true", Some("org/m x")),
        ("mod%65l=m", Some("m")),
        ("prompt=model%3Dno&models=no&&=no&model", None),
        ("model=", None),
        ("model=%FF", None),
        (r#"{"model":"json"}"#, Some("json")),
        (" \n{\"a\":1,\"model\":\"json\"}", Some("json")),
    ] {
        assert_eq!(model(&form, body.as_bytes()).as_deref(), want, "{body}");
    }
    assert_eq!(facts(&form, b"stream=true&model=m&max_tokens=7").max_tokens, Some(7));
    // The limit cuts a value: half a name is none.
    assert_eq!(observe(&form, 10, [&b"model=gpt-4o"[..]]).facts().model, None);
}

#[test]
fn two_models_that_differ_are_told() {
    let two = |label: &str, body: &str| {
        facts(&head(label, None), body.as_bytes());
        observe(&head(label, None), LIMIT, [body.as_bytes()]).has_two_models()
    };
    let form = |a: &str, b: &str| format!("{}{}--b--", part("name=\"model\"", a), part("name=\"model\"", b));
    for (label, same, differ) in [
        (
            "application/json",
            r#"{"model":"a","model":"a"}"#.to_owned(),
            r#"{"model":"a","x":[{"model":"a"}],"model":"b"}"#.to_owned(),
        ),
        (
            "application/json",
            r#"{"model":1,"model":"a","x":{"model":"b"}}"#.to_owned(),
            r#"{"model":"a","model":null}"#.to_owned(),
        ),
        ("", r#"{"model":"a"}{"model":"b"}"#.to_owned(), r#"{"model":"a","mod\u0065l":["b"]}"#.to_owned()),
        ("application/x-www-form-urlencoded", "model=a&model=a".to_owned(), "model=a&model=b".to_owned()),
        (FORM, form("a", "a"), form("a", "b")),
    ] {
        assert_eq!((two(label, &same), two(label, &differ)), (false, true), "{label} {same} {differ}");
    }
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match coding {
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
            to.write_all(body).unwrap();
            to.finish().unwrap()
        }
        "deflate" => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
            to.write_all(body).unwrap();
            to.finish().unwrap()
        }
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(body).unwrap();
            out
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        _ => body.to_vec(),
    }
}

const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "identity"];

#[test]
fn a_compressed_body_is_read_from_a_copy() {
    let pad = (0..20_000).map(|n| (n * 7919 % 1000).to_string()).collect::<Vec<_>>().concat();
    let body = format!(r#"{{"messages":[{{"content":"{pad}"}}],"stream":true,"model":"m-1"}}"#);
    for coding in CODINGS {
        let head = head("application/json", Some(coding));
        let got = facts(&head, &coded(coding, body.as_bytes()));
        assert_eq!((got.model.as_deref(), got.stream), (Some("m-1"), Some(true)), "{coding}");
        // The limit counts what is decoded.
        assert_eq!(observe(&head, 1000, [&*coded(coding, body.as_bytes())]).facts().model, None, "{coding}");
        let form = format!("{}{}--b--", part("name=f; filename=x", &pad), part("name=model", "m-2"));
        let form_head = RequestHead { content_type: Some(FORM), content_encoding: Some(coding) };
        assert_eq!(model(&form_head, &coded(coding, form.as_bytes())).as_deref(), Some("m-2"), "{coding}");
    }
    for coding in ["gzip, zstd", "compress", "aes"] {
        let observer = observe(&head("application/json", Some(coding)), LIMIT, [body.as_bytes()]);
        assert_eq!((observer.facts().model.as_deref(), observer.model_settled()), (None, true), "{coding}");
    }
    let damaged = observe(&head("application/json", Some("gzip")), LIMIT, [body.as_bytes()]);
    assert!(damaged.model_settled() && damaged.held_bytes() == 0);
}

#[test]
fn a_bomb_is_not_decoded() {
    let zeros = vec![b' '; 64 << 20];
    for coding in ["gzip", "br", "zstd"] {
        let mut observer =
            RequestObserver::for_request(usize::MAX, Arc::default(), &head("application/json", Some(coding)));
        observer.feed(&coded(coding, &zeros));
        assert!(observer.model_settled(), "{coding}: more than a hundred for one ends it");
        assert_eq!(observer.held_bytes(), 0);
    }
}

proptest! {
    #[test]
    fn no_cut_changes_what_is_known(
        coding in prop::sample::select(&CODINGS[..]),
        label in prop::sample::select(&["application/json", FORM, "application/x-www-form-urlencoded", ""][..]),
        pieces in prop::collection::vec("(--b|--b--|\r\n|\n|--|Content-Disposition: form-data; name=model|; name=\"stream\"|model|=|&|a|true|\\{|\\}|\"|:|,|%61|\\+|\\\\)", 0..40),
        valid in any::<bool>(),
        cuts in prop::collection::vec(1..40usize, 1..6),
        limit in prop_oneof![Just(LIMIT), 0..200usize],
    ) {
        let body = coded(if valid { coding } else { "identity" }, pieces.concat().as_bytes());
        let head = head(label, Some(coding));
        let all = |observer: RequestObserver| (observer.facts().clone(), observer.has_two_models());
        let whole = all(observe(&head, limit, [&*body]));
        prop_assert_eq!(all(observe(&head, limit, body.chunks(1))), whole.clone());
        let (mut rest, mut cut) = (&*body, Vec::new());
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            cut.push(piece);
            rest = behind;
        }
        prop_assert_eq!(all(observe(&head, limit, cut)), whole);
    }

    /// Any name, behind any file that has no boundary in it.
    #[test]
    fn a_form_gives_the_name_that_was_put_in(
        name in "[a-zA-Z0-9/:._é \"\\\\-]{1,60}",
        file in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..300),
        boundary in "[a-zA-Z0-9'()+_,./:=?-]{8,70}",
        quoted in any::<bool>(),
    ) {
        let mut body = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n").into_bytes();
        body.extend_from_slice(&file);
        body.extend_from_slice(format!("\r\n--{boundary}\r\ncontent-disposition:form-data; name=\"model\"\r\n\r\n{name}\r\n--{boundary}--\r\n").as_bytes());
        let quote = if quoted { "\"" } else { "" };
        let label = format!("multipart/form-data; boundary={quote}{boundary}{quote}");
        let got = model(&head(&label, None), &body);
        prop_assert_eq!(got.as_deref(), Some(&*name));
        let encoded = name.bytes().map(|b| format!("%{b:02x}")).collect::<Vec<_>>().concat();
        let got = model(&head("application/x-www-form-urlencoded", None), format!("a=1&model={encoded}").as_bytes());
        prop_assert_eq!(got.as_deref(), Some(&*name));
    }
}
