//! Numbers of payment cards: 13 to 19 digits, with or without separators, that begin as an issuer's do and pass the check
//! of their last digit (ISO/IEC 7812).
//!
//! A number stands between separators: a run of digits inside a longer one is a timestamp or an id. Several numbers may
//! follow each other with nothing but separators between them, so every group of digits may be the first.

use std::ops::Range;

/// Digits of a card number.
const LENGTHS: Range<usize> = 13..20;
/// A longer row of digits is looked at in pieces; the last digits of one are looked at again with the next.
const ROW: usize = 512;

#[derive(Clone, Copy)]
struct Digit {
    value: u8,
    at: usize,
    /// It begins a group: no digit stands directly before it.
    first: bool,
}

/// Tells the place of every card number.
pub(super) fn find(text: &str, mut tell: impl FnMut(Range<usize>)) {
    let mut row: Vec<Digit> = Vec::new();
    // Characters since the last digit, and digits of its group.
    let (mut gap, mut group) = (0, 0);
    for (at, c) in text.char_indices() {
        if let Some(value) = c.to_digit(10).and_then(|d| u8::try_from(d).ok()) {
            let first = gap > 0 || row.is_empty();
            group = if first { 1 } else { group + 1 };
            row.push(Digit { value, at, first });
            gap = 0;
            if row.len() == ROW {
                scan(&row, false, &mut tell);
                row.drain(..ROW - LENGTHS.end);
            }
        } else if !row.is_empty() {
            gap += 1;
            // 4.25 is a number.
            let point = c == '.' && group < 3;
            if gap > 2
                || point
                || !matches!(c, ' ' | '-' | '.' | '/' | '\t' | '\u{a0}' | '\u{202f}' | '\u{2010}'..='\u{2013}')
            {
                scan(&row, true, &mut tell);
                row.clear();
                gap = 0;
            }
        }
    }
    scan(&row, true, &mut tell);
}

/// `ended`: no digit follows the row directly.
fn scan(row: &[Digit], ended: bool, tell: &mut impl FnMut(Range<usize>)) {
    let mut from = 0;
    while let Some(rest) = row.get(from..).filter(|rest| rest.len() >= LENGTHS.start) {
        let starts = rest.first().is_some_and(|d| d.first);
        let whole = |length: &usize| rest.get(*length).map_or(ended && rest.len() == *length, |next| next.first);
        let is_card = |length: &usize| rest.get(..*length).is_some_and(|number| issued(number) && checked(number));
        match LENGTHS.rev().filter(|_| starts).filter(whole).find(is_card) {
            Some(length) => {
                if let (Some(first), Some(last)) = (rest.first(), rest.get(length - 1)) {
                    tell(first.at..last.at + 1);
                }
                from += length;
            }
            None => from += 1,
        }
    }
}

/// Whether an issuer's numbers begin so and are so long.
fn issued(number: &[Digit]) -> bool {
    let head = |n: usize| number.iter().take(n).fold(0, |sum, d| sum * 10 + u32::from(d.value));
    match number.len() {
        13 => head(1) == 4,
        14 => matches!(head(2), 36 | 38 | 39) || matches!(head(3), 300..=305),
        15 => matches!(head(2), 34 | 37) || matches!(head(4), 1800 | 2131),
        16 => {
            matches!(head(1), 4 | 6)
                || matches!(head(2), 35 | 50..=58 | 81)
                || matches!(head(4), 2200..=2204 | 2221..=2720)
        }
        17 | 18 => matches!(head(2), 50 | 56..=69),
        19 => matches!(head(1), 4 | 6) || matches!(head(2), 35 | 50 | 56..=58),
        _ => false,
    }
}

/// Luhn's sum.
fn checked(number: &[Digit]) -> bool {
    let sum: u32 = (number.iter().rev().enumerate())
        .map(|(i, d)| match (i % 2, u32::from(d.value)) {
            (0, n) => n,
            (_, n) => n * 2 / 10 + n * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, |at| found.push(&text[at]));
        found
    }

    #[test]
    fn numbers_that_pass_the_check_are_found_however_they_are_written() {
        for (text, want) in [
            ("pay 4111 1111 1111 1111 now", &["4111 1111 1111 1111"][..]),
            ("4111111111111111", &["4111111111111111"]),
            ("é4111-1111-1111-1111é", &["4111-1111-1111-1111"]),
            ("no. 12 4111\u{a0}1111\u{a0}1111\u{a0}1111 12/27", &["4111\u{a0}1111\u{a0}1111\u{a0}1111"]),
            ("378282246310005, 30569309025904", &["378282246310005", "30569309025904"]),
            ("5555555555554444 6011111111111117", &["5555555555554444", "6011111111111117"]),
            ("4222222222222", &["4222222222222"]),
            ("6304000000000000 3530111333300000", &["6304000000000000", "3530111333300000"]),
            ("4111 1111 1111 1112", &[]),
            ("1763841600123456789 1763841600123", &[]),
            ("94111111111111111", &[]),
            ("1111111111111117", &[]),
            ("4111.1111.1111.1111", &["4111.1111.1111.1111"]),
            ("4.111111111111111, 11.11", &[]),
            ("41111111", &[]),
        ] {
            assert_eq!(cards(text), want, "{text}");
        }
    }

    #[test]
    fn a_long_row_hides_none() {
        for before in 480..560 {
            let text = format!("{} 4111 1111 1111 1111", "12 ".repeat(before / 2));
            assert_eq!(cards(&text).last(), Some(&"4111 1111 1111 1111"), "{before}");
        }
    }
}
