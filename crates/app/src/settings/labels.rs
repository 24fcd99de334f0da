//! `[labels.NAME]`: labels of the operator's own.
//!
//! What a name or a source must not be is refused here, with the reason: a label that hides one of limpid's own makes every
//! dashboard wrong, and a credential in a label is in every store of metrics within a minute.

use std::ops::RangeInclusive;
use std::sync::Arc;

use limpid_core::OwnLabel;
use limpid_route::{BadSource, LabelSource};
use limpid_telemetry::is_reserved_label;

use super::faults::Origin;
use super::kinds::Kind;
use super::reader::Reader;
use super::tree::Item;

/// A label whose value comes from the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name: small letters, digits and `_`, a letter first, at most 32. Shown as `limpid.label.NAME` on spans.
    pub name: Arc<str>,
    /// Where its value stands: `header:NAME`, `metadata:NAME` or `response_header:NAME`. No default.
    pub from: LabelSource,
    /// Whether metrics have it, and not the record, the log and the spans alone. Default true.
    pub metrics: bool,
    /// How many values metrics tell apart; the rest are `other`. Default 50.
    pub max_values: usize,
}

const MAX_VALUES: RangeInclusive<usize> = 1..=1000;

impl Label {
    /// `None` after a fault.
    pub(super) fn read(name: &str, mut r: Reader<'_>) -> Option<Label> {
        let good = name_fault(name);
        if let Some((why, mend)) = good {
            let at = r.origin();
            r.fault(at, format!("labels.{name}"), why, mend);
        }
        let mend = "write from = \"header:x-user-segment\", \"metadata:template_id\" or \"response_header:x-replica\"";
        let from = r.required("from", mend, |_: &LabelSource| Ok(()));
        let metrics = r.value("metrics", true);
        let max_values = r.count("max_values", 50, MAX_VALUES);
        r.finish();
        good.is_none().then_some(Label { name: Arc::from(name), from: from?, metrics, max_values })
    }
}

fn name_fault(name: &str) -> Option<(&'static str, &'static str)> {
    const LONGEST: usize = 32;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !plain || name.len() > LONGEST || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let mend = "write small letters, digits and _, a letter first, at most 32, such as [labels.segment]";
        return Some(("that cannot be the name of a label", mend));
    }
    let why = "metrics or those who scrape them have a label of that name already";
    is_reserved_label(name).then_some((why, "choose another, such as user_segment or serving_replica"))
}

/// Each label multiplies the series of the metrics, so there are few.
pub(super) fn refuse_many(labels: &[Label], r: &mut Reader<'_>) {
    if labels.len() > OwnLabel::MOST {
        let what = format!("{} sections [labels.NAME]", labels.len());
        let why = format!("each multiplies the number of series, so the most is {}", OwnLabel::MOST);
        r.fault(Origin::Default, what, why, "take the least useful out");
    }
    for (i, label) in labels.iter().enumerate() {
        if let Some(twin) = labels.iter().take(i).find(|other| other.from == label.from) {
            let what = format!("labels.{} and labels.{}", twin.name, label.name);
            r.fault(Origin::Default, what, format!("both are from \"{}\"", label.from), "take one out");
        }
    }
}

impl Kind for LabelSource {
    const WRITE: &'static str =
        "write \"header:x-user-segment\", \"metadata:template_id\" or \"response_header:x-replica\"";

    fn read(item: &Item) -> Result<LabelSource, String> {
        let text = item.text().ok_or_else(|| format!("{} is not a string", item.value.name()))?;
        text.parse().map_err(|bad| {
            match bad {
                BadSource::Kind => "it begins with none of `header:`, `metadata:` and `response_header:`",
                BadSource::Name => "behind the colon is no name of a header or member",
                BadSource::Credential => {
                    "by its name that holds a credential, and a label's values go to every store of metrics and spans"
                }
            }
            .to_owned()
        })
    }

    fn show(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Env, Faults, Flags, Sources};
    use super::*;

    fn load(sections: &str, env: &[(&str, &str)]) -> Result<Vec<Label>, Faults> {
        let text = format!("[upstreams.default]\nurl = \"http://127.0.0.1:8000\"\n{sections}\n");
        let env: Env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let sources = Sources { file: Some((PathBuf::from("proxy.toml"), text)), env, flags: Flags::default() };
        sources.load().map(|loaded| loaded.settings.labels)
    }

    #[test]
    fn labels_are_read_from_file_and_environment() {
        let labels = load(
            "[labels.segment]\nfrom = \"header:X-User-Segment\"\nmax_values = 5",
            &[
                ("LIMPID_LABELS__REPLICA__FROM", "response_header:x-served-by"),
                ("LIMPID_LABELS__REPLICA__METRICS", "false"),
            ],
        );
        let told: Vec<_> =
            labels.unwrap().iter().map(|l| (l.name.to_string(), l.from.to_string(), l.metrics, l.max_values)).collect();
        assert_eq!(
            told,
            [
                ("replica".into(), "response_header:x-served-by".into(), false, 50),
                ("segment".into(), "header:x-user-segment".into(), true, 5)
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_one_clear_fault() {
        for (sections, said) in [
            ("[labels.key]\nfrom = \"header:x-a\"", "have a label of that name already"),
            ("[labels.gen_ai_request_model]\nfrom = \"header:x-a\"", "have a label of that name already"),
            ("[labels.le]\nfrom = \"header:x-a\"", "have a label of that name already"),
            ("[labels.User-Segment]\nfrom = \"header:x-a\"", "cannot be the name of a label"),
            ("[labels.a]\nfrom = \"header:Authorization\"", "holds a credential"),
            ("[labels.a]\nfrom = \"header:cookie\"", "holds a credential"),
            ("[labels.a]\nfrom = \"metadata:api_key\"", "holds a credential"),
            ("[labels.a]\nfrom = \"x-user\"", "begins with none of"),
            ("[labels.a]\nfrom = \"header:a b\"", "no name of a header"),
            ("[labels.a]\nmax_values = 3", "has no `from`"),
            ("[labels.a]\nfrom = \"header:x\"\nmax_values = 0", "the least is 1"),
            ("[labels.a]\nfrom = \"header:x\"\n[labels.b]\nfrom = \"header:X\"", "both are from"),
            (
                "[labels]\na.from=\"header:a\"\nb.from=\"header:b\"\nc.from=\"header:c\"\nd.from=\"header:d\"\ne.from=\"header:e\"",
                "the most is 4",
            ),
        ] {
            let faults = load(sections, &[]).unwrap_err();
            let told = faults.to_string();
            assert_eq!(faults.0.len(), 1, "{told}");
            assert!(told.contains(said), "{told}");
        }
    }
}
