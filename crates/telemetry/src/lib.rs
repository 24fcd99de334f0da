//! The record as metrics, spans and log lines.
