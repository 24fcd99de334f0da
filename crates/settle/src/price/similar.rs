//! Names that look like a given one: the "did you mean" of a mistyped model.

/// The edit distance (Levenshtein) of two texts, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// At most `limit` of the names, the likest first: those that hold `wanted` or differ from it in at most a third of its
/// letters. `names` are pairs of a model and what to show for it. Work is bounded: `wanted` is cut to 128 bytes.
pub(super) fn similar<'a>(wanted: &str, names: impl Iterator<Item = (&'a str, &'a str)>, limit: usize) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let wanted = wanted.char_indices().nth(128).and_then(|(end, _)| wanted.get(..end)).unwrap_or(&wanted);
    let allowed = (wanted.len() / 3).max(1);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|(model, shown)| {
            let with_provider = wanted.contains('/').then(|| distance(wanted, shown));
            let edits = distance(wanted, model).min(with_provider.unwrap_or(usize::MAX));
            let near = edits <= allowed || (wanted.len() >= 3 && model.contains(wanted));
            near.then_some((edits, shown))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(limit).map(|(_, shown)| shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("gpt-4o", "gpt-4o", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
            assert_eq!(distance(b, a), n, "{b} {a}");
        }
    }

    #[test]
    fn the_likest_comes_first() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-3-opus"];
        let like = |wanted| similar(wanted, names.iter().map(|n| (*n, *n)), 5);
        assert_eq!(like("gpt4o"), ["gpt-4o"]);
        assert_eq!(like("GPT-4o-mnii"), ["gpt-4o-mini"]);
        assert_eq!(like("4o-mini"), ["gpt-4o-mini"]);
        assert_eq!(like("zzz"), [""; 0]);
    }
}
