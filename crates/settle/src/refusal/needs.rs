//! Which pieces of text a rule cannot do without.
//!
//! A rule asks for some of a few words, so a text that has none of them need not be tried. The words are read off the
//! rule's own syntax tree and cannot disagree with it. Where the tree is no more than a list of words, one of them in
//! the text *is* a match.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// More words than this are no list.
const MOST: usize = 256;
/// More combinations of neighbours than this are not worth their states.
const COMBINED: usize = 64;
/// A larger class is no list.
const CLASS: usize = 10;
/// Shorter pieces are in every text.
const SHORTEST: usize = 2;

/// One of `pieces` is in every text that the rule meets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) pieces: Vec<Vec<u8>>,
    /// And every text that has one of them is met.
    pub(super) exact: bool,
}

/// What a rule needs; `None` if no useful list can be told.
pub(super) fn of(rule: &Hir) -> Option<Needs> {
    if let Some(pieces) = all(rule) {
        return useful(&pieces).then_some(Needs { pieces, exact: true });
    }
    let pieces = one_of(rule)?;
    useful(&pieces).then_some(Needs { pieces, exact: false })
}

fn useful(pieces: &[Vec<u8>]) -> bool {
    shortest(pieces) >= SHORTEST && pieces.len() <= MOST
}

fn shortest(pieces: &[Vec<u8>]) -> usize {
    pieces.iter().map(Vec::len).min().unwrap_or(0)
}

/// The letters of a piece's longest word, for the piece where they are fewest.
fn rarity(pieces: &[Vec<u8>]) -> usize {
    let longest = |piece: &Vec<u8>| piece.split(|b| !b.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
    pieces.iter().map(longest).min().unwrap_or(0)
}

/// Every text that the tree matches, if they are few.
fn all(tree: &Hir) -> Option<Vec<Vec<u8>>> {
    match tree.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Capture(group) => all(&group.sub),
        HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
            let mut texts = all(&r.sub)?;
            texts.push(Vec::new());
            Some(texts)
        }
        HirKind::Alternation(branches) => {
            let mut texts = Vec::new();
            for branch in branches {
                texts.extend(all(branch)?);
            }
            (texts.len() <= MOST).then_some(texts)
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |texts: Vec<Vec<u8>>, part| {
            let ends = all(part)?;
            let join = |text: &Vec<u8>| ends.iter().map(|end| [text.as_slice(), end].concat()).collect::<Vec<_>>();
            combine(&texts, &ends).then(|| texts.iter().flat_map(join).collect())
        }),
        HirKind::Class(class) => letters(class),
        HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The members of a small class.
fn letters(class: &Class) -> Option<Vec<Vec<u8>>> {
    let ranges: Vec<(u8, u8)> = match class {
        Class::Bytes(bytes) => bytes.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        Class::Unicode(chars) => {
            let ascii = |r: &ClassUnicodeRange| u8::try_from(r.start()).ok().zip(u8::try_from(r.end()).ok());
            chars.ranges().iter().map(ascii).collect::<Option<_>>()?
        }
    };
    let members: Vec<Vec<u8>> =
        ranges.iter().flat_map(|(from, to)| *from..=*to).map(|b| vec![b]).take(CLASS + 1).collect();
    (members.len() <= CLASS && members.iter().flatten().all(u8::is_ascii)).then_some(members)
}

/// Whether two lists may become one of all pairs.
fn combine(texts: &[Vec<u8>], ends: &[Vec<u8>]) -> bool {
    texts.len() == 1 || ends.len() == 1 || texts.len() * ends.len() <= COMBINED
}

/// Pieces of which every match has one.
fn one_of(tree: &Hir) -> Option<Vec<Vec<u8>>> {
    if let Some(texts) = all(tree) {
        return (shortest(&texts) > 0).then_some(texts);
    }
    match tree.kind() {
        HirKind::Capture(group) => one_of(&group.sub),
        HirKind::Repetition(r) if r.min > 0 => one_of(&r.sub),
        HirKind::Alternation(branches) => {
            let mut pieces = Vec::new();
            for branch in branches {
                pieces.extend(one_of(branch)?);
            }
            Some(pieces)
        }
        // Long words are rare.
        HirKind::Concat(parts) => runs(parts).into_iter().max_by_key(|pieces| rarity(pieces)),
        _ => None,
    }
}

/// The pieces of each part; neighbours that are lists are joined as long as they stay short.
fn runs(parts: &[Hir]) -> Vec<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut joined = false;
    for part in parts {
        match (all(part), found.last_mut().filter(|_| joined)) {
            (Some(ends), Some(last)) if combine(last, &ends) => {
                let join = |text: &Vec<u8>| ends.iter().map(|end| [text.as_slice(), end].concat()).collect::<Vec<_>>();
                *last = last.iter().flat_map(join).collect();
            }
            (Some(ends), _) => {
                found.push(ends);
                joined = true;
            }
            (None, _) => {
                found.extend(one_of(part));
                joined = false;
            }
        }
    }
    found.retain(|pieces| shortest(pieces) > 0);
    found
}
