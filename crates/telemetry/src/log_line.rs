//! A record as a line of the exchange log, written straight into the log's buffer.
//!
//! The line is what serde makes of the record, byte for byte, and a test holds it to that. It is written by hand because
//! it is written for every exchange: this way the members' names are constants, numbers with three decimals are whole
//! numbers with a point in them, and nothing is allocated, which is a tenth of the work. What a record is made of is
//! taken apart without `..`, and the test's record knows every number, so no new member is forgotten here.

mod object;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use limpid_core::{
    Caller, ExchangeRecord, ModelNames, Outcome, Price, RateLimit, RateLimits, Refusal, Timeline, UpstreamInfo, Usage,
};

use self::object::{Object, four, key, pair};

/// Writes lines. Holds the last second in letters, for many exchanges begin in the same one, and likewise the last upstream.
#[derive(Debug, Default)]
pub(crate) struct LineWriter {
    second: Option<u64>,
    /// `2026-11-22T08:00:00`.
    letters: String,
    upstream: Option<Arc<UpstreamInfo>>,
    /// Its members.
    about: Vec<u8>,
}

impl LineWriter {
    /// The line of a record, less its end, behind what is there.
    pub(crate) fn write(&mut self, r: &ExchangeRecord, out: &mut Vec<u8>) {
        let mut o = Object::begin(out);
        o.ascii(key!("id"), r.id.array_to_str(&mut [0; 26]));
        self.started_at(&mut o, r.started_at);
        head(&mut o, r);
        self.upstream(&mut o, r.upstream.as_ref());
        model(&mut o, &r.model);
        caller(&mut o, &r.caller);
        if !r.labels.is_empty() {
            let mut labels = o.object(key!("labels"));
            r.labels.iter().for_each(|label| labels.named_text(&label.name, &label.value));
            labels.end();
        }
        o.hex(key!("trace_id"), r.trace_id.to_be_bytes());
        o.hex(key!("span_id"), r.span_id.to_be_bytes());
        outcome(&mut o, &r.outcome);
        refusal(&mut o, &r.refusal);
        timing(&mut o, r);
        reply(&mut o, r);
        money(&mut o, r);
        o.number(key!("attempts"), r.attempts.into());
        let mut bytes = o.object(key!("bytes"));
        bytes.number(key!("request"), r.bytes.request);
        bytes.number(key!("response"), r.bytes.response);
        bytes.end();
        o.some_ascii(key!("observer_fault"), r.observer_fault.map(limpid_core::ObserverFault::as_str));
        o.end();
    }

    /// RFC 3339 in UTC with microseconds; a moment before 1970 is told as its beginning.
    fn started_at(&mut self, o: &mut Object<'_>, at: SystemTime) {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(since.as_secs()) {
            let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
            let letters = humantime::format_rfc3339_seconds(whole).to_string();
            letters.trim_end_matches('Z').clone_into(&mut self.letters);
            self.second = Some(since.as_secs());
        }
        o.name(key!("started_at"));
        o.out.push(b'"');
        o.out.extend_from_slice(self.letters.as_bytes());
        let micros = u64::from(since.subsec_micros());
        o.out.push(b'.');
        o.out.extend_from_slice(&pair(micros / 10_000));
        o.out.extend_from_slice(&four(micros));
        o.out.extend_from_slice(b"Z\"");
    }

    fn upstream(&mut self, o: &mut Object<'_>, upstream: Option<&Arc<UpstreamInfo>>) {
        let Some(upstream) = upstream else { return };
        if !self.upstream.as_ref().is_some_and(|last| Arc::ptr_eq(last, upstream)) {
            self.about.clear();
            let mut about = Object::begin(&mut self.about);
            about.text(key!("upstream"), &upstream.name);
            about.text(key!("provider"), &upstream.provider);
            about.some_text(key!("region"), upstream.region.as_deref());
            self.upstream = Some(Arc::clone(upstream));
        }
        o.out.extend_from_slice(&self.about);
    }
}

fn head(o: &mut Object<'_>, r: &ExchangeRecord) {
    o.ascii(key!("endpoint"), r.endpoint.as_str());
    o.text(key!("method"), &r.method);
    o.text(key!("path"), &r.path);
    o.some_number(key!("status"), r.status.map(u64::from));
    if r.answered_by_limpid {
        o.flag(key!("answered_by_limpid"), true);
    }
    o.flag(key!("stream"), r.stream);
}

fn model(o: &mut Object<'_>, ModelNames { requested, responded }: &ModelNames) {
    if requested.is_some() || responded.is_some() {
        let mut model = o.object(key!("model"));
        model.some_text(key!("requested"), requested.as_deref());
        model.some_text(key!("responded"), responded.as_deref());
        model.end();
    }
}

fn caller(o: &mut Object<'_>, caller: &Caller) {
    let Caller { key, project, user, template, session, priority, request_id, trace: _, trace_state: _ } = caller;
    o.some_text(key!("key"), key.as_deref());
    o.some_text(key!("project"), project.as_deref());
    o.some_text(key!("user"), user.as_deref());
    o.some_text(key!("template"), template.as_deref());
    o.some_text(key!("session"), session.as_deref());
    o.some_text(key!("priority"), priority.as_deref());
    o.some_text(key!("request_id"), request_id.as_deref());
}

fn outcome(o: &mut Object<'_>, outcome: &Outcome) {
    let Outcome { category, reason, ending, fault, retryable } = outcome;
    let mut o = o.object(key!("outcome"));
    o.ascii(key!("category"), category.as_str());
    o.text(key!("reason"), reason);
    o.ascii(key!("ending"), ending.as_str());
    o.some_ascii(key!("fault"), fault.map(limpid_core::Fault::as_str));
    o.some_ascii(key!("retryable"), retryable.map(limpid_core::Retryable::as_str));
    o.end();
}

fn refusal(o: &mut Object<'_>, refusal: &Refusal) {
    let Refusal { verdict, source, kind } = refusal;
    let mut o = o.object(key!("refusal"));
    o.ascii(key!("verdict"), verdict.as_str());
    o.some_ascii(key!("source"), *source);
    o.some_ascii(key!("kind"), kind.map(limpid_core::RefusalKind::as_str));
    o.end();
}

fn timing(o: &mut Object<'_>, r: &ExchangeRecord) {
    let t: &Timeline = &r.timeline;
    let mut o = o.object(key!("timing"));
    o.some_millis(key!("queue_ms"), t.queue());
    o.some_millis(key!("connect_ms"), t.connect);
    o.some_millis(key!("upstream_headers_ms"), t.upstream_headers());
    o.some_millis(key!("first_byte_ms"), t.first_byte());
    o.some_millis(key!("first_event_ms"), t.first_event());
    o.some_millis(key!("ttft_ms"), t.ttft());
    o.some_millis(key!("first_content_ms"), t.first_content());
    o.some_millis(key!("upstream_ttft_ms"), t.upstream_ttft());
    o.some_millis(key!("tpot_ms"), r.tpot());
    o.some_millis(key!("stall_ms"), t.stall);
    o.some_millis(key!("reader_lag_ms"), t.reader_lag);
    o.some_millis(key!("overhead_ms"), t.overhead());
    o.some_millis(key!("total_ms"), Some(t.total()));
    if let Some(speed) = r.output_tokens_per_s() {
        o.rounded(key!("output_tokens_per_s"), speed);
    }
    o.end();
}

fn reply(o: &mut Object<'_>, r: &ExchangeRecord) {
    if let Some(events) = r.events {
        let mut chunks = o.object(key!("chunks"));
        chunks.number(key!("events"), events);
        chunks.some_number(key!("tokens_events"), r.token_events);
        chunks.end();
    }
    o.some_text(key!("response_id"), r.response_id.as_deref());
    if !r.finish_reasons.is_empty() {
        o.name(key!("finish_reasons"));
        o.list(&r.finish_reasons, |o, finish| o.quoted(&finish.reason));
    }
    o.some_text(key!("service_tier"), r.service_tier.as_deref());
    o.some_text(key!("system_fingerprint"), r.system_fingerprint.as_deref());
    let Some(RateLimits { retry_after, requests: _, tokens: _, input_tokens: _, output_tokens: _ }) =
        r.rate_limits.as_deref()
    else {
        return;
    };
    o.some_seconds(key!("retry_after"), *retry_after);
    if r.rate_limits.iter().any(|limits| limits.known().next().is_some()) {
        let mut all = o.object(key!("rate_limits"));
        for (name, RateLimit { limit, remaining, reset }) in r.rate_limits.iter().flat_map(|limits| limits.known()) {
            let mut one = all.named_object(name);
            one.some_number(key!("limit"), *limit);
            one.some_number(key!("remaining"), *remaining);
            one.some_seconds(key!("reset_s"), *reset);
            one.end();
        }
        all.end();
    }
}

fn money(o: &mut Object<'_>, r: &ExchangeRecord) {
    if let Some(counts) = &r.usage {
        usage(o, counts);
    }
    o.some_ascii(key!("usage_asked"), r.request.usage_asked.map(limpid_core::UsageAsked::as_str));
    o.some_ascii(key!("route_fallback"), r.request.route_fallback.map(limpid_core::RouteFallback::as_str));
    o.some_ascii(key!("input_tokens_band"), r.input_tokens_band().map(limpid_core::InputTokensBand::as_str));
    o.some_ascii(key!("unestimated"), r.unestimated);
    if let Some(told) = &r.price {
        price(o, told);
    }
    o.some_ascii(key!("unpriced"), r.unpriced);
}

fn usage(o: &mut Object<'_>, usage: &Usage) {
    let Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens,
        cache_write_input_tokens,
        cache_write_1h_input_tokens,
        audio_input_tokens,
        image_input_tokens,
        reasoning_output_tokens,
        audio_output_tokens,
        audio_ms,
        web_searches,
        source,
        input_source,
        output_source,
        method,
    } = usage;
    let mut o = o.object(key!("usage"));
    o.some_number(key!("input_tokens"), *input_tokens);
    o.some_number(key!("output_tokens"), *output_tokens);
    o.some_number(key!("cached_input_tokens"), *cached_input_tokens);
    o.some_number(key!("cache_write_input_tokens"), *cache_write_input_tokens);
    o.some_number(key!("cache_write_1h_input_tokens"), *cache_write_1h_input_tokens);
    o.some_number(key!("audio_input_tokens"), *audio_input_tokens);
    o.some_number(key!("image_input_tokens"), *image_input_tokens);
    o.some_number(key!("reasoning_output_tokens"), *reasoning_output_tokens);
    o.some_number(key!("audio_output_tokens"), *audio_output_tokens);
    o.some_number(key!("audio_ms"), *audio_ms);
    o.some_number(key!("web_searches"), *web_searches);
    o.ascii(key!("source"), source.as_str());
    o.some_ascii(key!("input_source"), input_source.map(limpid_core::Source::as_str));
    o.some_ascii(key!("output_source"), output_source.map(limpid_core::Source::as_str));
    o.some_text(key!("method"), method.as_deref());
    o.end();
}

fn price(o: &mut Object<'_>, price: &Price) {
    let Price { usd, source, estimated, matched, table, discount, parts } = price;
    let mut o = o.object(key!("price"));
    o.usd(key!("usd"), *usd);
    o.ascii(key!("source"), source.as_str());
    if *estimated {
        o.flag(key!("estimated"), true);
    }
    o.some_text(key!("matched"), matched.as_deref());
    o.some_text(key!("table"), table.as_deref());
    if let Some(discount) = discount {
        o.discount(key!("discount"), *discount);
    }
    if !parts.is_empty() {
        o.name(key!("parts"));
        o.list(parts, |o, part| {
            let mut one = Object::begin(o.out);
            one.ascii(key!("name"), part.name);
            one.number(key!("units"), part.units);
            one.usd(key!("usd_per_million"), part.per_million);
            one.usd(key!("usd"), part.usd);
            one.end();
        });
    }
    o.end();
}
