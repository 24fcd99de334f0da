//! OpenMetrics text to Prometheus' classic text format, 0.0.4.
//!
//! The two differ in four ways that matter to a strict parser: the classic format names a counter's `HELP` and `TYPE`
//! with `_total` as its samples are, knows no `UNIT`, no `EOF`, no exemplars, and says `untyped` for `unknown`. The input
//! is what `prometheus-client` writes: `HELP`, `TYPE`, then an optional `UNIT`, each family in one block.

use std::fmt::Write as _;

/// The same metrics in the classic format.
pub(crate) fn classic(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.push_str(sample(line));
            out.push('\n');
            continue;
        };
        if let Some(text) = comment.strip_prefix("HELP ") {
            help = text.split_once(' ');
        } else if let Some((name, kind)) = comment.strip_prefix("TYPE ").and_then(|t| t.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let kind = if kind == "unknown" { "untyped" } else { kind };
            // Writing to a string does not fail.
            if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                let _ = writeln!(out, "# HELP {name}{suffix} {text}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        }
    }
    out
}

/// A sample without its exemplar, which follows the value after ` # `.
fn sample(line: &str) -> &str {
    let value = end_of_labels(line);
    match line.get(value..).and_then(|rest| rest.find(" # ")) {
        Some(exemplar) => &line[..value + exemplar],
        None => line,
    }
}

/// Where the labels end: a label's value may hold anything, so quotes and backslashes are read as such.
fn end_of_labels(line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (i, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' | b' ' if !quoted => return i,
            _ => {}
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_their_samples_and_the_rest_is_left_out() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_bucket{le=\"1.0\"} 3 # {trace_id=\"00ff\"} 0.5 1700000000.0\n\
                    # HELP b Count.\n# TYPE b counter\nb_total{x=\"1\"} 2\nb_total 3\n# EOF\n";
        let want = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1.0\"} 3\n\
                    # HELP b_total Count.\n# TYPE b_total counter\nb_total{x=\"1\"} 2\nb_total 3\n";
        assert_eq!(classic(open), want);
    }

    #[test]
    fn a_label_that_looks_like_an_exemplar_stays() {
        let line = r#"a{model="x\" # {} 1"} 7"#;
        assert_eq!(sample(line), line);
        assert_eq!(sample(&format!("{line} # {{t=\"1\"}} 1.0")), line);
    }
}
