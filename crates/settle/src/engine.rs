//! What the engine of regular expressions says of an operator's pattern.

/// What is wrong with its syntax, in the engine's words; `None`: it would be too large. The engine draws the place below
/// the pattern; one line has to do here.
pub(crate) fn syntax(error: &regex::Error) -> Option<String> {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return None;
    }
    let told = error.to_string();
    Some(told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
}
