//! Settings before they are typed: a tree of values that know where they came from.
//!
//! File, environment and flags are laid over each other here, value by value, so the typed sections never ask who won.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::faults::{Fault, Origin};

/// A table of the tree.
pub(super) type Table = BTreeMap<String, Item>;

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// The text of an environment variable or a flag: what a setting that wants a string takes, though `1` or `true`
    /// would also read as TOML.
    pub(super) raw: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    /// What no setting takes, unless as text from the environment: a date, a number out of all range.
    Other(&'static str),
    List(Vec<Value>),
    Table(Table),
}

impl Item {
    pub(super) fn table(table: Table, origin: Origin) -> Item {
        Item { value: Value::Table(table), origin, raw: None }
    }

    /// A value given as bare text: TOML where it reads as such, else a string.
    pub(super) fn from_text(text: &str, origin: Origin) -> Item {
        let value = match DeValue::parse(text) {
            Ok(value) => convert(value.get_ref(), &|_| origin.clone()),
            Err(_) => Value::Text(text.to_owned()),
        };
        Item { value, origin, raw: Some(text.to_owned()) }
    }

    /// The string that it is, or was written as.
    pub(super) fn text(&self) -> Option<&str> {
        match (&self.value, &self.raw) {
            (Value::Text(text), _) => Some(text),
            (_, raw) => raw.as_deref(),
        }
    }
}

impl Value {
    /// The kind of value, for a sentence.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::Other(kind) => kind,
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As TOML on one line, for a fault's text.
    pub(super) fn show(&self) -> String {
        match self {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(n) => n.to_string(),
            Value::Float(x) => x.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::Other(kind) => (*kind).to_owned(),
            Value::List(values) => format!("[{}]", values.iter().map(Value::show).collect::<Vec<_>>().join(", ")),
            Value::Table(_) => "{…}".to_owned(),
        }
    }
}

/// Reads the text of a settings file. Syntax errors are faults, all that the parser can find; with one of them there is
/// no tree, for what remains may not mean what was written.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<Table, Vec<Fault>> {
    let at = |span: Range<usize>| Origin::File { file: Arc::clone(file), line: line_of(text, span.start) };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(convert_table(table.get_ref(), &at));
    }
    Err(errors
        .into_iter()
        .map(|error| Fault {
            at: at(error.span().unwrap_or(0..0)),
            what: "this is not TOML".to_owned(),
            why: error.message().replace('\n', "; "),
            mend: "mend the syntax of this line (https://toml.io)".to_owned(),
        })
        .collect())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1
}

fn convert_table(table: &DeTable<'_>, at: &dyn Fn(Range<usize>) -> Origin) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let item = Item { value: convert(value.get_ref(), at), origin: at(key.span()), raw: None };
            (key.get_ref().to_string(), item)
        })
        .collect()
}

fn convert(value: &DeValue<'_>, at: &dyn Fn(Range<usize>) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => {
            i128::from_str_radix(n.as_str(), n.radix()).map_or(Value::Other("a number out of range"), Value::Integer)
        }
        DeValue::Float(x) => x.as_str().parse().map_or(Value::Other("a number out of range"), Value::Float),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(values) => Value::List(values.iter().map(|v| convert(v.get_ref(), at)).collect()),
        DeValue::Table(table) => Value::Table(convert_table(table, at)),
    }
}
