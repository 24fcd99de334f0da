//! What is wrong with the settings: one [`Fault`] for each mistake, all of them in one run.
//!
//! A fault reads `place: what, why, mend`, so that an editor can jump to `file:line` and a reader knows what to write
//! instead. It never quotes a secret: readers of secret settings say what is wrong without the value.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the settings file, counted from 1.
    File {
        /// The file as it was named.
        file: Arc<str>,
        /// The line of the key; 0 for the file as a whole.
        line: usize,
    },
    /// An environment variable, `LIMPID_…` or `OTEL_…`.
    Env(String),
    /// A command-line flag such as `--listen`.
    Flag(&'static str),
    /// Worked out from other settings, as the text says.
    Derived(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line: 0 } => f.write_str(file),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Env(name) => f.write_str(name),
            Origin::Flag(name) => f.write_str(name),
            Origin::Derived(how) => f.write_str(how),
        }
    }
}

/// One mistake. Displays as `place: what, why, mend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands; [`Origin::Default`] where something is missing altogether.
    pub at: Origin,
    /// The setting, with its value unless that is a secret.
    pub what: String,
    /// Why that cannot be.
    pub why: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Origin::Default => f.write_str("settings")?,
            at => write!(f, "{at}")?,
        }
        write!(f, ": {}, {}, {}", self.what, self.why, self.mend)
    }
}

/// Every mistake of a run, in the order of the file's lines, then those from elsewhere. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub(super) fn sorted(mut faults: Vec<Fault>) -> Faults {
        faults.sort_by_key(|fault| match fault.at {
            Origin::File { line, .. } => line,
            _ => usize::MAX,
        });
        Faults(faults)
    }
}

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name that `name` was most likely meant to be; `None` if nothing is near: at most two slips, and in short
/// names at most a third of the letters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 2);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["listen", "header_timeout", "drain_timeout"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("header_timout", known), Some("header_timeout"));
        assert_eq!(nearest("hedaer_timeout", known), Some("header_timeout"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
