//! One JSON array that grows: each element is an event, told when the comma or bracket behind it has come.
//!
//! Gemini streams so where `alt=sse` is not asked for. What stands behind the array is ignored; an element that was cut
//! off is told at the end, as not whole.

use limpid_core::ObserverFault;
use memchr::memchr2;

use super::{Event, Outcome, recycle};

/// See the module. `limit` bounds an element, in bytes.
#[derive(Debug)]
pub(crate) struct Array {
    limit: usize,
    element: Vec<u8>,
    /// Open brackets; the array's own is the first.
    depth: u32,
    in_string: bool,
    /// Behind a backslash.
    escaped: bool,
    over: bool,
}

impl Array {
    pub(crate) fn new(limit: usize) -> Array {
        Array { limit, element: Vec::new(), depth: 0, in_string: false, escaped: false, over: false }
    }

    /// Takes the next bytes and tells each element that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        if self.over {
            return Ok(());
        }
        let (mut from, mut at) = (0, 0);
        while let Some(byte) = bytes.get(at).copied() {
            if self.in_string {
                at = self.in_string(bytes, at);
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth == 1 {
                        from = at + 1;
                    }
                }
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b',' if self.depth == 1 => {
                    self.tell(bytes.get(from..at).unwrap_or_default(), sink)?;
                    from = at + 1;
                }
                b'}' | b']' => {
                    self.over = true;
                    return self.tell(bytes.get(from..at).unwrap_or_default(), sink);
                }
                _ => {}
            }
            at += 1;
        }
        self.carry(bytes.get(from..).unwrap_or_default())
    }

    /// The body is over: tells what is left.
    pub(crate) fn finish(&mut self, sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        let element = std::mem::take(&mut self.element);
        sink(Event { data: &element, named_error: false, whole: false })
    }

    /// Where to go on reading, from within a string.
    fn in_string(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        match memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
            Some(more) => {
                let end = at + more;
                self.escaped = bytes.get(end) == Some(&b'\\');
                self.in_string = self.escaped;
                end + 1
            }
            None => bytes.len(),
        }
    }

    fn tell(&mut self, end: &[u8], sink: &mut impl FnMut(Event<'_>) -> Outcome) -> Outcome {
        if self.element.is_empty() {
            if end.len() > self.limit {
                return Err(ObserverFault::TooLarge);
            }
            return sink(Event { data: end, named_error: false, whole: true });
        }
        self.carry(end)?;
        sink(Event { data: &self.element, named_error: false, whole: true })?;
        recycle(&mut self.element);
        Ok(())
    }

    fn carry(&mut self, part: &[u8]) -> Outcome {
        if self.element.len().saturating_add(part.len()) > self.limit {
            return Err(ObserverFault::TooLarge);
        }
        self.element.extend_from_slice(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, piece: usize) -> Vec<(String, bool)> {
        let mut elements = Vec::new();
        let mut sink = |event: Event<'_>| {
            let text = String::from_utf8(event.data.trim_ascii().to_vec()).unwrap();
            if !text.is_empty() {
                elements.push((text, event.whole));
            }
            Ok(())
        };
        let mut array = Array::new(40);
        for piece in text.as_bytes().chunks(piece) {
            array.feed(piece, &mut sink).unwrap();
        }
        array.finish(&mut sink).unwrap();
        elements
    }

    #[test]
    fn elements_are_told_whole_wherever_they_are_cut() {
        for (text, want) in [
            ("[]", vec![]),
            ("[{\"a\":1}\n,\r\n{\"b\":[1,2]}\n]\n", vec![("{\"a\":1}", true), ("{\"b\":[1,2]}", true)]),
            (r#"[{"a":"]},\"[{\\"},2]tail"#, vec![(r#"{"a":"]},\"[{\\"}"#, true), ("2", true)]),
            (r#"[{"a":1},{"b":"#, vec![(r#"{"a":1}"#, true), (r#"{"b":"#, false)]),
            (r#"[{"a":1}"#, vec![(r#"{"a":1}"#, false)]),
            ("]]", vec![]),
        ] {
            let want: Vec<_> = want.into_iter().map(|(t, whole)| (t.to_owned(), whole)).collect();
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(told(text, piece), want, "{text} by {piece}");
            }
        }
    }

    #[test]
    fn an_element_above_the_limit_is_too_large() {
        let long = format!("[\"{}\",1]", "x".repeat(39));
        for piece in [1, 1000] {
            let mut array = Array::new(40);
            let fed = long.as_bytes().chunks(piece).try_for_each(|p| array.feed(p, &mut |_| Ok(())));
            assert_eq!(fed, Err(ObserverFault::TooLarge));
        }
    }
}
