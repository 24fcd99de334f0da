//! A simulated inference backend with a known schedule.
