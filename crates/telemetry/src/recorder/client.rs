//! The conventions' client metrics, under the names of the text that is followed.
//!
//! The newer text parts tokens in two: counters, by modality, and histograms of one call, without. What the backend does
//! not tell apart has the modality `unknown`. It also wants a 0 counted where a reply told no usage; limpid counts nothing
//! there, for what is not known is absent. Embeddings have a duration and a histogram of their own, and calls that
//! generate nothing a duration alone.

use limpid_core::{Endpoint, ExchangeRecord, Source};

use super::{Backend, Exchange, NO_MORE, NOTHING, Recorder, Value};
use crate::names::{Metric, Shape};
use crate::semconv::ClientMetrics;

impl<B: Backend> Recorder<B> {
    pub(super) fn client(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        let which = self.semconv.client_metrics(r.endpoint);
        let duration = match which {
            ClientMetrics::Operation | ClientMetrics::DurationOnly => Metric::OperationDuration,
            ClientMetrics::Inference => Metric::InferenceDuration,
            ClientMetrics::Embeddings => Metric::EmbeddingsDuration,
        };
        let ends = self.set(e, Shape::Error, NO_MORE);
        self.time(e, ends, duration, Some(r.timeline.total()));
        match which {
            ClientMetrics::Operation => {
                self.chunks(r, e, Metric::TimeToFirstChunk, Metric::TimePerOutputChunk);
                self.token_usage(r, e);
            }
            ClientMetrics::Inference => {
                self.chunks(r, e, Metric::InferenceTimeToFirstChunk, Metric::InferenceTimePerOutputChunk);
                self.inference_tokens(r, e);
            }
            ClientMetrics::Embeddings => {
                let [input, _] = counted(r);
                let call = self.set(e, Shape::Base, NO_MORE);
                self.add(e, call, Metric::EmbeddingsInputTokens, input.map(Value::Whole));
            }
            ClientMetrics::DurationOnly => {}
        }
    }

    /// The time to the first event, and each gap after it.
    fn chunks(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>, first: Metric, further: Metric) {
        let t = &r.timeline;
        let chunks = self.set(e, Shape::Base, NO_MORE);
        self.time(e, chunks, first, t.first_event().filter(|_| r.stream));
        if !t.gaps.is_empty() {
            t.gaps.buckets().for_each(|(count, mean)| self.add_times(e, chunks, further, mean.into(), count));
        }
    }

    /// v1.41.1: one histogram for both kinds.
    fn token_usage(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        for (kind, count) in ["input", "output"].into_iter().zip(counted(r)) {
            let Some(count) = count else { continue };
            let tokens = self.set(e, Shape::TokenType, [kind, NOTHING]);
            self.add(e, tokens, Metric::TokenUsage, Value::Whole(count));
        }
    }

    /// The newer text: a histogram each, and counters.
    fn inference_tokens(&mut self, r: &ExchangeRecord, e: &mut Exchange<'_>) {
        let Some(usage) = &r.usage else { return };
        let [input, output] = counted(r);
        let calls = self.set(e, Shape::Base, NO_MORE);
        self.add(e, calls, Metric::OperationInputTokens, input.map(Value::Whole));
        self.add(e, calls, Metric::OperationOutputTokens, output.map(Value::Whole));

        // Completions take and give text; of all others only what is told apart is known.
        let rest = if r.endpoint == Endpoint::Completions { "text" } else { "unknown" };
        let known =
            [("audio", usage.audio_input_tokens, usage.audio_output_tokens), ("image", usage.image_input_tokens, None)];
        let (mut input_rest, mut output_rest) = (input, output);
        for (modality, of_input, of_output) in known {
            let of_input = take(&mut input_rest, of_input);
            let of_output = take(&mut output_rest, of_output);
            self.usage(e, modality, &[(Metric::UsageInputTokens, of_input), (Metric::UsageOutputTokens, of_output)]);
        }
        let input_part = |part: Option<u64>| part.filter(|_| input.is_some());
        let parts = [
            (Metric::UsageInputTokens, input_rest),
            (Metric::UsageOutputTokens, output_rest),
            (Metric::UsageCacheRead, input_part(usage.cached_input_tokens)),
            (Metric::UsageCacheWrite, input_part(usage.cache_write_input_tokens)),
            (Metric::UsageReasoning, usage.reasoning_output_tokens.filter(|_| output.is_some())),
        ];
        self.usage(e, rest, &parts);
    }

    fn usage(&mut self, e: &mut Exchange<'_>, modality: &'static str, counts: &[(Metric, Option<u64>)]) {
        let tokens = self.set(e, Shape::Modality, [modality, NOTHING]);
        for (metric, count) in counts {
            self.add(e, tokens, *metric, count.map(Value::Whole));
        }
    }
}

/// Input and output tokens, estimates left out: the conventions' metrics have no label for one.
fn counted(r: &ExchangeRecord) -> [Option<u64>; 2] {
    let Some(usage) = &r.usage else { return [None, None] };
    let input = usage.input_tokens.filter(|_| usage.source_of_input() != Source::Estimated);
    let output = usage.output_tokens.filter(|_| usage.source_of_output() != Source::Estimated);
    [input, output]
}

/// Takes a modality's tokens off the total. None of them, and more than there are, are as good as not told.
fn take(total: &mut Option<u64>, part: Option<u64>) -> Option<u64> {
    let part = part.filter(|n| *n > 0)?;
    *total = Some(total.as_ref()?.checked_sub(part)?);
    Some(part)
}
