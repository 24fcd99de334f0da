//! A latency in two bytes.
//!
//! A code is the upper half of an `f32`: 8 bits of exponent and 7 of mantissa, hence steps of 1/128. A histogram with
//! two significant figures has the same steps (128 in each octave above 256, single units below), so a decoded value
//! falls into the bucket of the value that was encoded, and keeping codes costs the percentiles no accuracy. The one
//! exception is a value within 10⁻⁷ below a step, which `f32` rounds up to it.

/// A value, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(u16);

impl Code {
    /// No value; as an `f32` it would not be a number.
    pub(crate) const ABSENT: Code = Code(u16::MAX);

    /// Encodes; keeps the seven leading bits below the first.
    pub(crate) fn of(value: u64) -> Code {
        u16::try_from((value as f32).to_bits() >> 16).map_or(Code::ABSENT, Code)
    }

    /// The lowest value of this code.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and codes come from integers, which are not negative"
    )]
    pub(crate) fn value(self) -> Option<u64> {
        (self != Code::ABSENT).then(|| f32::from_bits(u32::from(self.0) << 16) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_exact_and_absence_is_not_zero() {
        for v in 0..=255 {
            assert_eq!(Code::of(v).value(), Some(v));
        }
        assert_eq!(Code::ABSENT.value(), None);
        assert_ne!(Code::of(0), Code::ABSENT);
        assert!(Code::of(u64::MAX).value().is_some());
    }

    #[test]
    fn a_decoded_value_falls_into_the_bucket_of_the_original() {
        let quantiler = crate::quantiles::Quantiler::new().unwrap();
        let mut value = 1_u64;
        for step in 0..4000_u64 {
            let decoded = Code::of(value).value().unwrap();
            assert!(quantiler.same_bucket(value, decoded), "{value} became {decoded}");
            value = value + value / 97 + 1 + step % 3;
            if value > 86_400_000_000_000 {
                value = step + 1;
            }
        }
    }
}
