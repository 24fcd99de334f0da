use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { event_bytes: 1 << 20, body_bytes: 8 << 20, decoded_bytes: 256 << 20, ratio: 100 };

/// Compresses each part and flushes after it: the pieces as a server would send them.
fn compress(coding: &str, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    fn flushed<W: Write>(
        mut w: W,
        parts: &[&[u8]],
        sent: impl Fn(&W) -> usize,
        end: impl FnOnce(W) -> Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let mut ends = Vec::new();
        for part in parts {
            w.write_all(part).unwrap();
            w.flush().unwrap();
            ends.push(sent(&w));
        }
        let all = end(w);
        let mut from = 0;
        ends.into_iter().chain([all.len()]).map(|to| all[std::mem::replace(&mut from, to)..to].to_vec()).collect()
    }
    let fast = Compression::fast();
    match coding {
        "gzip" => flushed(GzEncoder::new(vec![], fast), parts, |w| w.get_ref().len(), |w| w.finish().unwrap()),
        "zlib" => flushed(ZlibEncoder::new(vec![], fast), parts, |w| w.get_ref().len(), |w| w.finish().unwrap()),
        "raw" => flushed(DeflateEncoder::new(vec![], fast), parts, |w| w.get_ref().len(), |w| w.finish().unwrap()),
        "br" => {
            let w = brotli::CompressorWriter::new(vec![], 4096, 5, 22);
            flushed(w, parts, |w| w.get_ref().len(), brotli::CompressorWriter::into_inner)
        }
        "zstd" => {
            let w = zstd::stream::write::Encoder::new(vec![], 3).unwrap();
            flushed(w, parts, |w| w.get_ref().len(), |w| w.finish().unwrap())
        }
        other => panic!("{other}"),
    }
}

const CODINGS: [(&str, &str); 5] =
    [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate"), ("br", "br"), ("zstd", "zstd")];

fn decode<'a>(
    encoding: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> (Vec<u8>, Result<(), ObserverFault>) {
    let mut decoder = Decoder::new(Some(encoding), limits).unwrap().unwrap();
    let mut plain = Vec::new();
    for piece in pieces {
        let done = decoder.feed(piece, &mut |decoded| {
            plain.extend_from_slice(decoded);
            Ok(())
        });
        if done.is_err() {
            return (plain, done);
        }
    }
    (plain, Ok(()))
}

fn noise(len: usize) -> Vec<u8> {
    let mut x = 1u32;
    (0..len)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24).to_le_bytes()[0]
        })
        .collect()
}

#[test]
fn all_codings_come_back_whole_and_bytewise() {
    let big = noise(100_000);
    for (kind, encoding) in CODINGS {
        for plain in [&b""[..], b"data: a\n\n", &big] {
            let sent = compress(kind, &[plain]).concat();
            assert_eq!(decode(encoding, [&*sent], LIMITS), (plain.to_vec(), Ok(())), "{kind}");
            assert_eq!(decode(encoding, sent.chunks(1), LIMITS), (plain.to_vec(), Ok(())), "{kind}");
            assert_eq!(decode(&encoding.to_uppercase(), sent.chunks(777), LIMITS).0, plain, "{kind}");
        }
    }
}

#[test]
fn what_a_flush_completes_is_told_at_once() {
    let parts: [&[u8]; 3] = [b"data: {\"one\":1}\n\n", b"data: {\"two\":2}\n\n", b"data: [DONE]\n\n"];
    for (kind, encoding) in CODINGS {
        let sent = compress(kind, &parts);
        let mut decoder = Decoder::new(Some(encoding), LIMITS).unwrap().unwrap();
        for (piece, part) in sent.iter().zip(parts) {
            let mut plain = Vec::new();
            decoder
                .feed(piece, &mut |decoded| {
                    plain.extend_from_slice(decoded);
                    Ok(())
                })
                .unwrap();
            assert_eq!(plain, part, "{kind}");
        }
    }
}

#[test]
fn gzip_members_follow_each_other_and_padding_is_skipped() {
    let mut sent = compress("gzip", &[b"one "]).concat();
    sent.extend(compress("gzip", &[b""]).concat());
    sent.extend(compress("gzip", &[b"two"]).concat());
    sent.extend([0; 20]);
    assert_eq!(decode("gzip", [&*sent], LIMITS), (b"one two".to_vec(), Ok(())));
    assert_eq!(decode("x-gzip", sent.chunks(1), LIMITS), (b"one two".to_vec(), Ok(())));
}

#[test]
fn a_bomb_latches_after_a_mebibyte() {
    for (kind, encoding) in CODINGS {
        let sent = compress(kind, &[&vec![0; 64 << 20]]).concat();
        let (plain, done) = decode(encoding, sent.chunks(1024), LIMITS);
        assert_eq!(done, Err(ObserverFault::DecompressLimit), "{kind}");
        assert!(plain.len() < 2 << 20, "{kind}: {}", plain.len());
    }
}

#[test]
fn the_total_has_a_limit_too() {
    let sent = compress("gzip", &[&noise(100_000)]).concat();
    let limits = Limits { decoded_bytes: 50_000, ..LIMITS };
    assert_eq!(decode("gzip", [&*sent], limits).1, Err(ObserverFault::DecompressLimit));
}

#[test]
fn unknown_and_stacked_codings_are_faults_and_identity_is_none() {
    let of = |encoding| Decoder::new(encoding, LIMITS).map(|d| d.is_some());
    assert_eq!(of(None), Ok(false));
    assert_eq!(of(Some("")), Ok(false));
    assert_eq!(of(Some("identity")), Ok(false));
    assert_eq!(of(Some(" identity, GZIP ")), Ok(true));
    assert_eq!(of(Some("gzip, br")), Err(ObserverFault::UnknownCoding));
    assert_eq!(of(Some("compress")), Err(ObserverFault::UnknownCoding));
}

#[test]
fn what_is_not_in_its_coding_is_a_fault() {
    for encoding in ["gzip", "deflate", "zstd"] {
        assert_eq!(
            decode(encoding, [&b"data: {}\n\n data: {}\n\n"[..]], LIMITS).1,
            Err(ObserverFault::Decompress),
            "{encoding}"
        );
    }
}

#[test]
fn a_cut_copy_keeps_what_was_decoded() {
    for (kind, encoding) in CODINGS {
        let sent = compress(kind, &[b"data: a\n\n", b"data: b\n\n"]);
        let half = [&*sent[0], &sent[1][..sent[1].len() / 2]];
        let (plain, done) = decode(encoding, half, LIMITS);
        assert!(plain.starts_with(b"data: a\n\n"), "{kind}");
        assert_eq!(done, Ok(()), "{kind}");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_coding_are_survived_and_damage_too(
        coding in 0usize..5,
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let (kind, encoding) = CODINGS[coding];
        let (whole, _) = decode(encoding, [&*garbage], LIMITS);
        let (bytewise, _) = decode(encoding, garbage.chunks(1), LIMITS);
        prop_assert!(whole.starts_with(&bytewise) || bytewise.starts_with(&whole));
        let mut sent = compress(kind, &[&b"data: {\"choices\":[]}\n\n".repeat(30)]).concat();
        let at = at.index(sent.len());
        sent[at] ^= flip;
        let _ = decode(encoding, sent.chunks(7), LIMITS);
    }
}
