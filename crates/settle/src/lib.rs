//! Pure settlement: outcome, refusal, price.
