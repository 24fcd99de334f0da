//! Settings from the environment: `LIMPID_<SECTION>__<KEY>`, and the standard `OTEL_*`.
//!
//! A variable named `LIMPID_…` is meant for limpid, so one that fits no setting is a fault, as in the file. The variables
//! that Kubernetes adds for a service called `limpid` are the exception. `OTEL_*` variables are set for a whole machine
//! and many programs: what limpid cannot use of them is a warning, as their specification asks. An empty variable is
//! one that is not set.

use std::collections::BTreeMap;

use super::faults::{Fault, Origin};
use super::reader::Report;
use super::tree::{Item, Table, Value};

/// The environment, as read once at the start.
pub type Env = BTreeMap<String, String>;

/// The sections whose tables have names of their own.
pub(super) const NAMED: [&str; 5] = ["upstreams", "keys", "labels", "prices", "redactions"];

/// Lays the `LIMPID_` variables over the tree.
pub(super) fn lay_over(tree: &mut Table, env: &Env, report: &mut Report) {
    for (variable, text) in env {
        let Some(path) = variable.strip_prefix("LIMPID_").filter(|_| !text.is_empty()) else {
            continue;
        };
        if is_service_link(path, text) {
            continue;
        }
        let origin = Origin::Env(variable.clone());
        let path: Vec<String> = path.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let placed = match path.as_slice() {
            [section, key] if !NAMED.contains(&section.as_str()) => Ok(vec![section.clone(), key.clone()]),
            [section, name, key] if NAMED.contains(&section.as_str()) => {
                existing(tree, section, name).map(|name| vec![section.clone(), name, key.clone()])
            }
            _ => Err("it has no place: LIMPID_<SECTION>__<KEY>, or LIMPID_UPSTREAMS__<NAME>__<KEY>".to_owned()),
        };
        match placed {
            Ok(path) => insert(tree, &path, Item::from_text(text, origin)),
            Err(why) => report.faults.push(Fault {
                at: origin,
                what: format!("unknown variable `{variable}`"),
                why,
                mend: "unset it, or spell it as a setting, such as LIMPID_SERVER__LISTEN".to_owned(),
            }),
        }
    }
}

/// Puts an item into the tree, with the tables on its way.
pub(super) fn insert(tree: &mut Table, path: &[String], item: Item) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        tree.insert(first.clone(), item);
        return;
    }
    let origin = item.origin.clone();
    let slot = tree.entry(first.clone()).or_insert_with(|| Item::table(Table::new(), origin));
    // What is no table stays: its own fault tells of it.
    if let Value::Table(table) = &mut slot.value {
        insert(table, rest, item);
    }
}

/// The name that a variable's part means: that of a section of the file, `-`, `.` and `_` alike; else a new one.
fn existing(tree: &Table, section: &str, part: &str) -> Result<String, String> {
    let Some(Value::Table(table)) = tree.get(section).map(|item| &item.value) else {
        return Ok(part.to_owned());
    };
    let fold = |name: &str| name.to_ascii_lowercase().replace(['-', '.'], "_");
    let mut alike = table.keys().filter(|name| fold(name) == fold(part));
    match (alike.next(), alike.next()) {
        (None, _) => Ok(part.to_owned()),
        (Some(name), None) => Ok(name.clone()),
        (Some(a), Some(b)) => Err(format!("it could mean {section}.{a} or {section}.{b}")),
    }
}

/// `LIMPID_SERVICE_HOST`, `LIMPID_ADMIN_PORT=tcp://…`, `LIMPID_PORT_4800_TCP_ADDR`: what Kubernetes tells of services.
fn is_service_link(path: &str, text: &str) -> bool {
    let parts = || path.split('_');
    let numbered = || parts().any(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let protocol = || parts().any(|p| matches!(p, "TCP" | "UDP" | "SCTP"));
    !path.contains("__")
        && (path.ends_with("SERVICE_HOST")
            || path.contains("SERVICE_PORT")
            || path.ends_with("PORT") && text.contains("://")
            || path.contains("PORT_") && numbered() && protocol())
}

/// Reads a standard variable. One that does not read is a warning, and counts as not set.
pub(super) fn otel<T>(
    env: &Env,
    report: &mut Report,
    variable: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<(T, Origin)> {
    let text = env.get(variable).map(|text| text.trim()).filter(|text| !text.is_empty())?;
    let origin = Origin::Env(variable.to_owned());
    match read(text) {
        Ok(value) => Some((value, origin)),
        Err(why) => {
            let fault = Fault {
                at: origin,
                // The value may be a secret.
                what: "the variable is ignored".to_owned(),
                why,
                mend: "mend or unset it, or set its counterpart in the settings file".to_owned(),
            };
            // Several settings may ask for one variable.
            if !report.warnings.contains(&fault) {
                report.warnings.push(fault);
            }
            None
        }
    }
}

/// `a=1,b=2` with percent-encoded values (W3C Baggage), as `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_…_HEADERS` have it.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or("an entry has no `=`")?;
            let value = percent_decoded(value.trim()).ok_or("a value is not percent-encoded UTF-8")?;
            Ok((name.trim().to_owned(), value))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_service_links_are_not_settings() {
        for (name, text) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "4800"),
            ("SERVICE_PORT_DATA", "4800"),
            ("PORT", "tcp://10.0.0.1:4800"),
            ("PORT_4800_TCP", "tcp://10.0.0.1:4800"),
            ("PORT_4800_TCP_ADDR", "10.0.0.1"),
            ("ADMIN_SERVICE_HOST", "10.0.0.1"),
            ("ADMIN_PORT_4801_TCP_PROTO", "tcp"),
        ] {
            assert!(is_service_link(name, text), "{name}");
        }
        for (name, text) in [("PORT", "4800"), ("LISTEN", "tcp://x"), ("SERVER__PORT", "tcp://x")] {
            assert!(!is_service_link(name, text), "{name}");
        }
    }

    #[test]
    fn pairs_are_decoded_and_bad_ones_refused() {
        let got = pairs("a=1, b = x%20y%2C ,,c=k=v").unwrap();
        let got: Vec<_> = got.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(got, [("a", "1"), ("b", "x y,"), ("c", "k=v")]);
        assert!(pairs("a").is_err());
        assert!(pairs("a=%zz").is_err());
        assert!(pairs("a=%ff").is_err());
    }
}
