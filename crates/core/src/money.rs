//! Money in whole pico-dollars.
//!
//! The cheapest listed token costs 10⁻⁸ USD (10,000 pico-dollars), so a price per token is whole in this unit and sums
//! are exact, which floats are not. A `u64` holds 18.4 million dollars: more than one exchange can cost.

use std::fmt;

/// An amount in units of 10⁻¹² USD; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// One dollar.
    pub const DOLLAR: u64 = 1_000_000_000_000;

    /// The sum; saturates.
    #[must_use]
    pub fn plus(self, other: PicoUsd) -> PicoUsd {
        PicoUsd(self.0.saturating_add(other.0))
    }

    /// Dollars as a float, for instruments that know no other number.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / Self::DOLLAR as f64
    }

    /// Reads a plain decimal number of dollars such as `0.000123` or `1.5e-7`; digits past the twelfth are rounded half
    /// up. `None` for anything else: a sign, a blank, more than 18 million.
    pub fn parse(text: &str) -> Option<PicoUsd> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok().filter(|e| e.abs() <= 30)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        let shift = 12 + exponent - i32::try_from(fraction.len()).ok()?;
        let pico = match u32::try_from(shift) {
            Ok(up) => digits.checked_mul(10u128.checked_pow(up)?)?,
            Err(_) => match 10u128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => digits.checked_add(divisor / 2)? / divisor,
                None => 0,
            },
        };
        u64::try_from(pico).ok().map(PicoUsd)
    }
}

/// Dollars in plain decimal digits, without trailing zeros: `0.000123`.
impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, pico) = (self.0 / Self::DOLLAR, self.0 % Self::DOLLAR);
        if pico == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{pico:012}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl serde::Serialize for PicoUsd {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_the_same_digits() {
        for text in ["0", "0.000123", "1.5", "18000000", "0.000000000001"] {
            assert_eq!(PicoUsd::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(PicoUsd::parse("1.5e-7"), Some(PicoUsd(150_000)));
        assert_eq!(PicoUsd::parse("0.0000000000005"), Some(PicoUsd(1)));
        assert_eq!(PicoUsd::parse(".5"), Some(PicoUsd(500_000_000_000)));
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in ["", ".", "-1", "1 ", "NaN", "19000000", "1e99", "0x1", "1e"] {
            assert_eq!(PicoUsd::parse(text), None, "{text}");
        }
    }
}
