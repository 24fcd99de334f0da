use super::*;
use proptest::prelude::*;

/// The data, what is left without the asides, the trailers, and how many bytes the body has.
type Read = (Vec<u8>, Vec<u8>, Vec<u8>, Option<usize>);

/// Reads it in pieces of so many bytes.
fn read(bytes: &[u8], piece: usize) -> Result<Read, Malformed> {
    let (mut data, mut kept, mut used) = (Vec::new(), Vec::new(), 0);
    let mut chunks = Chunks::default();
    for mut part in bytes.chunks(piece) {
        while !part.is_empty() && !chunks.is_end() {
            let (what, count) = chunks.next(part)?;
            assert!(count > 0, "no way on");
            let (these, rest) = part.split_at(count);
            if what == Part::Data {
                data.extend_from_slice(these);
            }
            if what != Part::Aside {
                kept.extend_from_slice(these);
            }
            used += count;
            part = rest;
        }
    }
    Ok((data, kept, chunks.trailers().to_vec(), chunks.is_end().then_some(used)))
}

#[test]
fn asides_go_and_bounds_stay() {
    let raw = b"5;a=\"b\" \r\nhello\r\n0a \t\r\n0123456789\r\n000;x\r\nX-A: 1\r\nx-b:2\r\n\r\nnext";
    for piece in 1..raw.len() {
        let (data, kept, trailers, used) = read(raw, piece).unwrap();
        assert_eq!(data, b"hello0123456789");
        assert_eq!(String::from_utf8(kept).unwrap(), "5\r\nhello\r\n0a\r\n0123456789\r\n000\r\n", "{piece}");
        assert_eq!(trailers, b"X-A: 1\r\nx-b:2\r\n");
        assert_eq!(used, Some(raw.len() - 4));
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    for bad in [
        "-2",
        "+2",
        "0x2",
        "2_0",
        " 2",
        "2 2",
        "",
        ";a",
        "g",
        "10000000000000000",
        "00000000000000002",
        "2\n",
        "2\r\r\n",
        "2;a\nb",
        "2;\r\r\n",
        "2\r\nabc\r\n",
        "2\r\nab\n",
        "2\r\nab\r\r\n",
        "0\r\nX\rY\r\n",
        "0\r\n\rX",
        "0\r\nX: 1\n",
        "0\r\n\n",
    ] {
        let raw = format!("{bad}\r\nab\r\n0\r\n\r\n");
        for piece in 1..=raw.len() {
            let got = read(raw.as_bytes(), piece);
            assert_eq!(got, Err(Malformed), "{bad:?} in pieces of {piece}");
        }
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let long = |n: usize| "x".repeat(n);
    for (raw, sound) in [
        (format!("1;{}\r\na\r\n0\r\n\r\n", long(MAX_EXTENSIONS)), true),
        (format!("1;{}\r\na\r\n0;x\r\n\r\n", long(MAX_EXTENSIONS)), false),
        (format!("0\r\n{}\r\n\r\n", long(MAX_TRAILERS - 2)), true),
        (format!("0\r\n{}\r\n\r\n", long(MAX_TRAILERS - 1)), false),
    ] {
        assert_eq!(read(raw.as_bytes(), 1000).is_ok(), sound, "{} bytes", raw.len());
    }
}

proptest! {
    #[test]
    fn however_it_is_cut(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), piece in 1_usize..50) {
        let mut raw = Vec::new();
        for chunk in &chunks {
            raw.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            raw.extend_from_slice(chunk);
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"0\r\n");
        let plain = raw.clone();
        raw.extend_from_slice(b"\r\nrest");
        let (data, kept, trailers, used) = read(&raw, piece).unwrap();
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(kept, plain);
        prop_assert!(trailers.is_empty());
        prop_assert_eq!(used, Some(raw.len() - 4));
    }

    #[test]
    fn nothing_panics_and_cuts_change_nothing(raw in "[0-9a-f;: \r\nx]{0,60}", piece in 1_usize..9) {
        prop_assert_eq!(read(raw.as_bytes(), piece), read(raw.as_bytes(), raw.len().max(1)));
    }
}

/// Nothing of what is dropped is endless, nor the zeros before a size.
#[test]
fn what_a_sender_may_spend_on_framing_is_bounded() {
    for endless in ["0", " ", "\t", "a=b;"] {
        let begin = if endless == "0" { "" } else { "1;" };
        let begin = if endless.trim().is_empty() { "1" } else { begin };
        let raw = format!("{begin}{}", endless.repeat(20_000));
        assert_eq!(read(raw.as_bytes(), 1000), Err(Malformed), "{endless:?}");
    }
    let whole = "000000000000000a\r\n0123456789\r\n0000000000000000\r\n\r\n";
    assert_eq!(read(whole.as_bytes(), 7).unwrap().0, b"0123456789");
}
