//! Helpers for tests: scripted servers, clients, records.
