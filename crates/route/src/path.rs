//! Paths as a careless reader might take them.
//!
//! A path goes up byte for byte. Where it is confined, to a base path or to what a key of the operator's is for, it must not
//! lead out by dot segments (RFC 3986 §5.2.4), however they are written: servers differ on whether they decode before they
//! resolve, once or twice, whether a backslash parts segments, and what ends one.

/// Whether some reader would find a `.` or `..` among the path's segments. Parted by `/`, `\`, `%2f`, `%5c`; dots may be
/// encoded, several times over (`%252e`) or overlong (`%c0%ae`); what follows `;`, `?`, `#` or NUL within a segment, and
/// blanks and control bytes, do not count (`..;x`, `..%20`).
#[must_use]
pub fn has_dot_segments(path: &str) -> bool {
    let plain = |b: u8| !matches!(b, b'%' | b'\\');
    if path.bytes().all(plain) && !path.contains("/.") {
        return false;
    }
    let (mut dots, mut others, mut over) = (0_u32, false, false);
    let mut lead = None;
    // The end of the path is the end of a segment.
    for byte in decoded(path.as_bytes()).chain([b'/']) {
        let byte = match (lead.take(), byte) {
            (Some(lead), 0x80..=0xbf) => (lead & 1) << 6 | (byte & 0x3f),
            (_, 0xc0 | 0xc1) => {
                lead = Some(byte);
                continue;
            }
            _ => byte,
        };
        match byte {
            b'/' | b'\\' => {
                if !others && matches!(dots, 1 | 2) {
                    return true;
                }
                (dots, others, over) = (0, false, false);
            }
            _ if over => {}
            b'.' => dots += 1,
            b';' | b'?' | b'#' | 0 => over = true,
            1..=b' ' | 0x7f => {}
            _ => others = true,
        }
    }
    false
}

/// The bytes with their percent-encoding taken off, all layers of it.
pub fn decoded(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (first, mut tail) = rest.split_first()?;
        let hex = |tail: &[u8]| match tail {
            [a, b, ..] => u8::try_from(char::from(*a).to_digit(16)? * 16 + char::from(*b).to_digit(16)?).ok(),
            _ => None,
        };
        if *first != b'%' || hex(tail).is_none() {
            rest = tail;
            return Some(*first);
        }
        while let Some(inner) = tail.strip_prefix(b"25").filter(|inner| hex(inner).is_some()) {
            tail = inner;
        }
        rest = tail.get(2..).unwrap_or_default();
        hex(tail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_found_however_they_are_written() {
        for path in [
            "/..",
            "/.",
            "/a/../../admin",
            "/a/..",
            "/a/./b",
            "/%2e%2e/admin",
            "/%2E./admin",
            "/.%2e",
            "/%252e%252e/admin",
            "/%25252e%2e/",
            "/..;/admin",
            "/..;a=b/admin",
            "/%2e%2e%3bx/",
            "/a/..\\admin",
            "/a\\..\\admin",
            "/a/..%5cadmin",
            "/a/..%2fadmin",
            "/a%2f..%2fadmin",
            "/a%252f..%252fadmin",
            "/a/..%00/x",
            "/a/..%20/x",
            "/a/..%09",
            "/a/..%3fx",
            "/a/..%23",
            "/a/%c0%ae%c0%ae/x",
            "/a/..%c0%afx",
            "/a%c1%9c..",
        ] {
            assert!(has_dot_segments(path), "{path}");
        }
    }

    #[test]
    fn other_paths_have_none() {
        for path in [
            "/",
            "",
            "*",
            "/v1/models/a%2Fb",
            "/v1/models/org/model-1.5.gguf",
            "/.well-known/x",
            "/a/...",
            "/a/..b",
            "/a/b..",
            "/a/..%zz",
            "/a/%",
            "/a/%2",
            "/a//b",
            "/v1/models/gemini-2.5:streamGenerateContent",
            "/a;..",
            "/%c3%a9.",
            "/%25",
        ] {
            assert!(!has_dot_segments(path), "{path}");
        }
    }

    #[test]
    fn all_layers_come_off() {
        let text = |s: &str| String::from_utf8(decoded(s.as_bytes()).collect()).unwrap();
        assert_eq!(text("a%20b%2525%6b%256B%4"), "a b%kk%4");
    }
}
