//! The relay: the only crate that touches a client's bytes.
