//! Query parameters: read strictly, so that a misspelt filter is an error and not an unfiltered answer.

use std::time::Duration;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use limpid_core::{Category, Endpoint, InputTokensBand};
use limpid_insight::{Dimension, Filters};

use crate::ApiError;

/// How axum hands them over.
pub(crate) type RawParams = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The parameters of one request. Filters may be repeated, which means any of the values; the others may not.
pub(crate) struct Params {
    single: Vec<(&'static str, String)>,
    pub(crate) filters: Filters,
}

impl Params {
    /// Reads them; `own` are the path's parameters beside the filters.
    pub(crate) fn read(raw: RawParams, own: &'static [&'static str]) -> Result<Params, ApiError> {
        let Query(pairs) = raw.map_err(|_undecodable| ApiError::Query)?;
        let mut params = Params { single: Vec::new(), filters: Filters::default() };
        for (name, value) in pairs {
            if let Some(known) = own.iter().copied().find(|known| *known == name) {
                if params.single(known).is_some() {
                    return Err(ApiError::Repeated { name: known });
                }
                params.single.push((known, value));
            } else if let Some(dimension) = Dimension::from_name(&name) {
                check(dimension, &value)?;
                params.filters.allow(dimension, &value);
            } else {
                let allowed = own.iter().copied().chain(Dimension::ALL.map(Dimension::name)).collect();
                return Err(ApiError::UnknownParameter { name, allowed });
            }
        }
        Ok(params)
    }

    /// A parameter's text.
    pub(crate) fn single(&self, name: &str) -> Option<&str> {
        self.single.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A duration such as `5m`.
    pub(crate) fn duration(
        &self,
        name: &'static str,
        least: Duration,
        most: Duration,
    ) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.single(name) else { return Ok(None) };
        let value = || text.to_owned();
        let duration = parse_duration(text).ok_or_else(|| ApiError::Duration { name, value: value() })?;
        if duration < least || duration > most {
            return Err(ApiError::DurationRange { name, value: value(), least, most });
        }
        Ok(Some(duration))
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn number(&self, name: &'static str, most: usize) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.single(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::Number { name, value: text.to_owned(), least: 1, most }),
        }
    }

    /// `group_by=model,endpoint`; empty or absent for none.
    pub(crate) fn group_by(&self) -> Result<Vec<Dimension>, ApiError> {
        let mut dimensions = Vec::new();
        for name in self.single("group_by").unwrap_or("").split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let dimension = Dimension::from_name(name).ok_or_else(|| ApiError::NotOneOf {
                name: "group_by",
                value: name.to_owned(),
                allowed: Dimension::ALL.map(Dimension::name).to_vec(),
            })?;
            if !dimensions.contains(&dimension) {
                dimensions.push(dimension);
            }
        }
        Ok(dimensions)
    }
}

/// A value of a closed list must be in it; the empty value stands for "not known".
fn check(dimension: Dimension, value: &str) -> Result<(), ApiError> {
    let allowed: Vec<&'static str> = match dimension {
        Dimension::Endpoint => Endpoint::ALL.iter().map(|e| e.as_str()).collect(),
        Dimension::Outcome => Category::ALL.iter().map(|c| c.as_str()).collect(),
        Dimension::Band => InputTokensBand::ALL.iter().map(|b| b.as_str()).collect(),
        _ => return Ok(()),
    };
    if value.is_empty() || allowed.contains(&value) {
        return Ok(());
    }
    Err(ApiError::NotOneOf { name: dimension.name(), value: value.to_owned(), allowed })
}

/// A whole number and `s`, `m` or `h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h", 3600), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "5", "-5m", "+5m", "1.5h", "5 m", "5M", "5mm", "5é", "99999999999999999999h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
