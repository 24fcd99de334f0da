//! `[keys.NAME]`: names for API keys.
//!
//! A key that is not named here shows as `k-` and a short keyed hash. The file holds no keys, only the names of the
//! variables that do. A variable that is not set is a warning, not a fault: its requests still pass, under a hash, and
//! a proxy that does not start would cost more than a label.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::faults::{Fault, Origin};
use super::kinds::{Kind, Secret};
use super::reader::Reader;
use super::tree::Item;

/// A named API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name in records and labels.
    pub name: Arc<str>,
    /// The environment variable that holds the key. No default.
    pub env: Arc<str>,
    /// The key; absent if that variable is not set or empty.
    pub value: Option<Secret>,
    /// The project of its requests unless they send `x-limpid-project`. Default: absent.
    pub project: Option<Arc<str>>,
}

impl Key {
    /// `None` after a fault.
    pub(super) fn read(name: &str, env: &BTreeMap<String, String>, mut r: Reader<'_>) -> Option<Key> {
        let at = r.origin();
        let mend = format!("write env = \"{}_KEY\", the variable that holds the API key", variable_part(name));
        let variable: Option<Variable> = r.required("env", &mend, |_| Ok(()));
        let variable = variable.map(|Variable(name)| name);
        let project = r.optional("project", |_| Ok(()));
        let value = variable.as_deref().and_then(|v| env.get(v)).filter(|v| !v.is_empty()).map(|v| Secret::new(v));
        if let (Some(variable), None) = (&variable, &value) {
            r.report.warnings.push(Fault {
                at,
                what: format!("keys.{name}.env = {variable:?}"),
                why: "that variable is not set, so requests with this key show under a hash".to_owned(),
                mend: format!("set {variable}, or take the section out"),
            });
        }
        if let Some(variable) = &variable {
            let state = if value.is_some() { "set (****)" } else { "not set" };
            r.explain("key", state.to_owned(), Origin::Env(variable.to_string()));
        }
        r.finish();
        Some(Key { name: Arc::from(name), env: variable?, value, project })
    }
}

/// Two names for one key: which one a request shows would be chance.
pub(super) fn refuse_twins(keys: &[Key], r: &mut Reader<'_>) {
    for (i, key) in keys.iter().enumerate() {
        let twin = keys.iter().take(i).find(|other| key.value.is_some() && other.value == key.value);
        if let Some(twin) = twin {
            let what = format!("keys.{} and keys.{}", twin.name, key.name);
            r.fault(Origin::Default, what, "both variables hold the same key", "give each its own, or take one out");
        }
    }
}

/// The name of a variable. Who writes the key itself here by mistake must not find it in a fault.
pub(super) struct Variable(pub(super) Arc<str>);

impl Kind for Variable {
    const WRITE: &'static str = "write the variable's name, never the key itself";
    const SECRET: bool = true;

    fn read(item: &Item) -> Result<Variable, String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match item.text() {
            Some(name) if !name.is_empty() && name.bytes().all(good) && !name.as_bytes()[0].is_ascii_digit() => {
                Ok(Variable(Arc::from(name)))
            }
            _ => Err("that is not the name of a variable".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
