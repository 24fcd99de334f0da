//! `[routing]`: what becomes of requests that no route has by their model, where upstreams have `models`.

use std::sync::Arc;

use super::faults::Origin;
use super::kinds::named_kind;
use super::reader::Reader;
use super::upstreams::Upstream;

named_kind! {
    /// What becomes of a request whose model cannot be told, or that no upstream has in its `models`.
    UnknownModel, "write \"default\" or \"reject\"" {
        /// The upstream without `models` gets it, and record, metric and log say so.
        Default = "default",
        /// It is refused: 400 where no model can be told, 404 where no upstream has it.
        Reject = "reject",
    }
}

/// How requests are routed by model. Without effect where no upstream has `models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// What becomes of a request whose model cannot be told, or that no upstream has. Default `default`.
    pub unknown_model: UnknownModel,
    /// The upstream that gets requests that name no model by their kind (`GET /v1/models`, files), where none is without
    /// `models`. Default: absent, they get 404; a preflight (OPTIONS) goes to the first upstream that host and path allow.
    pub without_model: Option<Arc<str>>,
    /// How much of a body is read ahead for its model, bytes. Default 64 MiB: an image of 40 MiB in base64. What stands behind it is
    /// an unknown model.
    pub lookahead_bytes: usize,
    /// How much may be held for that at a time, in all, bytes. Default 256 MiB. The first 64 KiB of each request are free; where
    /// the rest is spent, the model is unknown.
    pub lookahead_budget_bytes: usize,
    without_model_at: Origin,
}

impl Routing {
    pub(super) fn read(mut r: Reader<'_>) -> Routing {
        let unknown_model = r.value("unknown_model", UnknownModel::Default);
        let without_model = r.optional_or("without_model", None, |_| Ok(()));
        let (without_model, at) = without_model.map_or((None, Origin::Default), |(name, at)| (Some(name), at));
        let routing = Routing {
            unknown_model,
            without_model,
            lookahead_bytes: r.size("lookahead_bytes", 64 << 20, 1 << 10..=1 << 30),
            lookahead_budget_bytes: r.size("lookahead_budget_bytes", 256 << 20, 0..=1 << 40),
            without_model_at: at,
        };
        r.finish();
        routing
    }

    /// `without_model` names an upstream.
    pub(super) fn check(&self, upstreams: &[Upstream], r: &mut Reader<'_>) {
        let Some(name) = self.without_model.as_ref().filter(|name| upstreams.iter().all(|u| u.name != **name)) else {
            return;
        };
        let names: Vec<&str> = upstreams.iter().map(|u| &*u.name).collect();
        let what = format!("routing.without_model = {name:?}");
        r.fault(
            self.without_model_at.clone(),
            what,
            "there is no such upstream",
            format!("write one of {}", names.join(", ")),
        );
    }
}
