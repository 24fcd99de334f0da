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

/// A share that is taken off prices, in millionths; from nothing to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Discount(u32);

impl Discount {
    /// No discount.
    pub const NONE: Discount = Discount(0);

    const WHOLE: u32 = 1_000_000;

    /// Reads a share such as `20%`, `12.5%` or `0.2`, exactly. `None` for anything else: more than all, a sign, a share
    /// that is finer than a millionth.
    pub fn parse(text: &str) -> Option<Discount> {
        let (number, millionth) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), PicoUsd::DOLLAR / 10_000),
            None => (text, PicoUsd::DOLLAR / 1_000_000),
        };
        let PicoUsd(pico) = PicoUsd::parse(number)?;
        let share = u32::try_from(pico / millionth).ok()?;
        (pico % millionth == 0 && share <= Self::WHOLE).then_some(Discount(share))
    }

    /// As a number from 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// The price less the discount, rounded half up to a whole pico-dollar.
    #[must_use]
    pub fn off(self, price: PicoUsd) -> PicoUsd {
        let whole = u128::from(Self::WHOLE);
        let left = u128::from(price.0) * (whole - u128::from(self.0)) + whole / 2;
        // Never more than the price itself, so it fits.
        PicoUsd(u64::try_from(left / whole).unwrap_or(price.0))
    }
}

/// In percent: `20%`, `12.5%`.
impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", PicoUsd(u64::from(self.0) * (PicoUsd::DOLLAR / 10_000)))
    }
}

impl serde::Serialize for Discount {
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
    fn a_discount_is_exact() {
        for (text, shown) in [("20%", "20%"), ("0.2", "20%"), ("12.5 %", "12.5%"), ("0", "0%"), ("100%", "100%")] {
            assert_eq!(Discount::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "%", "-5%", "101%", "1.01", "20", "0.0000001", "0.00001%", "a fifth"] {
            assert_eq!(Discount::parse(text), None, "{text}");
        }
        let fifth = Discount::parse("20%").unwrap();
        assert_eq!(
            (fifth.off(PicoUsd(10)), fifth.off(PicoUsd(3)), fifth.off(PicoUsd(0))),
            (PicoUsd(8), PicoUsd(2), PicoUsd(0))
        );
        assert_eq!(Discount::parse("100%").unwrap().off(PicoUsd(u64::MAX)), PicoUsd(0));
        assert_eq!(Discount::NONE.off(PicoUsd(u64::MAX)), PicoUsd(u64::MAX));
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in ["", ".", "-1", "1 ", "NaN", "19000000", "1e99", "0x1", "1e"] {
            assert_eq!(PicoUsd::parse(text), None, "{text}");
        }
    }
}
