//! The record as rolling windows, percentiles and recent exchanges.
