"""Dashboards of what clients see: overview, latency, errors, refusals."""

from __future__ import annotations

from kit import CALLS, FAULTS, GENERATING, RATE, REQUESTS, SERVED, Column, Query, board, course, grid, heat, number, quantile, rate, share

ALL = "limpid_requests_total"
TTFT = "gen_ai_server_time_to_first_token_seconds"
TPOT = "gen_ai_server_time_per_output_token_seconds"
TOTAL = "gen_ai_client_operation_duration_seconds"

GOOD_SHARE = ((None, "red"), (0.99, "orange"), (0.995, "green"))
BAD_SHARE = ((None, "green"), (0.01, "orange"), (0.05, "red"))
TTFT_LIMITS = ((None, "green"), (2.5, "orange"), (5, "red"))
TPOT_LIMITS = ((None, "green"), (0.1, "orange"), (0.25, "red"))

MODEL = "gen_ai_request_model"
CERTAIN = CALLS + ',verdict="certain"'
GENERATED = f'{CALLS},endpoint=~"{GENERATING}"'
AVAILABILITY = "Share of requests that were served, among those that were served or failed by a fault of the server's side (overload, unavailability, server error, network, time limit, broken stream); what the client did, limits, quota and policy are left out."


def quantiles(metric: str, *qs: float, labels: str = CALLS) -> list[Query]:
    return [Query(quantile(q, metric, labels=labels), f"p{q * 100:g}") for q in qs]


def overview():
    served = f'{REQUESTS},category=~"{SERVED}"'
    return board(
        "overview", "overview", "Is the service well: traffic, errors, latency, tokens and cost on one page.",
        number("Requests", "Finished exchanges per second.", "reqps", rate(ALL, REQUESTS), to="capacity"),
        number("Availability", AVAILABILITY, "percentunit", share(ALL, 'category="ok"', served), GOOD_SHARE, to="errors", decimals=2),
        number("Limited", "Share of all requests that met a rate limit or a spent quota.", "percentunit", share(ALL, 'category=~"rate_limit|quota"', REQUESTS), BAD_SHARE, to="errors", decimals=2),
        number("TTFT p95", "95th percentile of the time from the request's arrival to the first generated output of a successful stream.", "s", quantile(0.95, TTFT), TTFT_LIMITS, to="latency"),
        number("Output", "Output tokens per second of all calls together, estimates included.", "suffix: tokens/s", rate("limpid_tokens_total", CALLS + ',type="output"'), to="tokens"),
        number("Cost", "Price of the tokens in US dollars, at the pace of the last interval, per hour.", "currencyUSD", f"3600 * {rate('limpid_cost_total')}", to="cost"),
        course("Requests by outcome", "Finished exchanges per second by category of the outcome.", "reqps", Query(rate(ALL, REQUESTS, "category"), "{{category}}"), stacked=True),
        course("Availability by upstream", AVAILABILITY, "percentunit", Query(share(ALL, 'category="ok"', served, "upstream"), "{{upstream}}"), limits=((None, "transparent"), (0.995, "green")), top=1),
        course("Time to first token", "Percentiles of the time from the request's arrival to the first generated output of a successful stream.", "s", *quantiles(TTFT, 0.5, 0.9, 0.95, 0.99), exemplars=True),
        course("Total time", "Percentiles of the time from the request's arrival to the end of the response, failed calls included.", "s", *quantiles(TOTAL, 0.5, 0.9, 0.95, 0.99), exemplars=True),
        course("Token flow", "Input and output tokens per second, estimates included; cached and reasoning tokens are parts of these two.", "suffix: tokens/s", Query(rate("limpid_tokens_total", CALLS + ',type=~"input|output"', "type"), "{{type}}")),
        course("Cost per hour", "Price of the tokens in US dollars by model, at the pace of each interval, per hour.", "currencyUSD", Query(f"3600 * {rate('limpid_cost_total', by=MODEL)}", "{{gen_ai_request_model}}"), stacked=True),
        course("In flight", "Exchanges that have begun and not ended, by kind of API.", "short", Query('sum by (endpoint) (limpid_in_flight{endpoint=~"$endpoint"}) > 0', "{{endpoint}}"), stacked=True),
        course("Refused replies", "Share of the calls to generating APIs that were certainly refused, by the model or by a content filter.", "percentunit",
               Query(f"({rate('limpid_refusals_total', CERTAIN)} or {rate(ALL, GENERATED)} * 0) / {rate(ALL, GENERATED)}", "certain")),
        grid("By model", "The newest numbers of each model: pace, availability, latency, tokens, cost.", {MODEL: "Model"},
             Column("Requests/s", rate(ALL, REQUESTS, MODEL), "reqps"),
             Column("Availability", share(ALL, 'category="ok"', served, MODEL), "percentunit", GOOD_SHARE),
             Column("TTFT p95", quantile(0.95, TTFT, MODEL), "s", TTFT_LIMITS),
             Column("Time per token p50", quantile(0.5, TPOT, MODEL), "s", TPOT_LIMITS),
             Column("Output tokens/s", rate("limpid_tokens_total", CALLS + ',type="output"', MODEL), "short"),
             Column("USD/h", f"3600 * {rate('limpid_cost_total', by=MODEL)}", "currencyUSD")),
    )


def latency():
    first = "from the request's arrival to the first generated output of a successful stream"
    in_time = CALLS + ',le="2.5"'
    slo = f"{rate(TTFT + '_bucket', in_time, 'upstream')} / {rate(TTFT + '_count', CALLS, 'upstream')}"
    return board(
        "latency", "latency", "Where the time goes: first token, pace of the stream, the whole call, and what limpid or a slow reader adds.",
        *(number(f"TTFT p{q * 100:g}", f"The {q * 100:g}th percentile of the time {first}.", "s", quantile(q, TTFT), TTFT_LIMITS, w=6) for q in (0.5, 0.9, 0.95, 0.99)),
        "Time to first token",
        heat("Time to first token", f"How many streams had which time {first}.", "s", TTFT),
        course("By length of the prompt", f"95th percentile of the time {first}, by band of input tokens; `unknown` had no count of them.", "s",
               Query(f'label_replace({quantile(0.95, TTFT, "input_tokens_band")}, "input_tokens_band", "unknown", "input_tokens_band", "")', "{{input_tokens_band}}"), h=9),
        course("By model", f"95th percentile of the time {first}, by model.", "s", Query(quantile(0.95, TTFT, MODEL), "{{gen_ai_request_model}}"), limits=TTFT_LIMITS, exemplars=True),
        course("Within 2.5 s", f"Share of successful streams whose time {first} is at most 2.5 s, the objective of the alerting rules, by upstream.", "percentunit", Query(slo, "{{upstream}}"), limits=((None, "transparent"), (0.95, "green")), top=1),
        course("What comes first", "Medians from the request's arrival to the body's first byte, the first event of any kind, the first generated output, and the first visible text (for a reasoning model much later). The first event has coarser buckets than the others, as its convention advises, so its line may be a little off.", "s",
               Query(quantile(0.5, "limpid_time_to_first_byte_seconds"), "first byte"), Query(quantile(0.5, "gen_ai_client_operation_time_to_first_chunk_seconds"), "first event"),
               Query(quantile(0.5, TTFT), "first token"), Query(quantile(0.5, "limpid_time_to_first_content_seconds"), "first visible text")),
        course("First visible text", "95th percentile of the time from the request's arrival to the first visible text of a stream, by model.", "s", Query(quantile(0.95, "limpid_time_to_first_content_seconds", MODEL), "{{gen_ai_request_model}}")),
        "Pace of the stream",
        heat("Time per output token", "How many successful streams had which time per output token after the first.", "s", TPOT),
        course("Time per output token", "Median and 95th percentile of the time per output token after the first of a successful stream, by model.", "s",
               Query(quantile(0.5, TPOT, MODEL), "{{gen_ai_request_model}} p50"), Query(quantile(0.95, TPOT, MODEL), "{{gen_ai_request_model}} p95"), limits=TPOT_LIMITS, h=9),
        course("Between token events", "Percentiles of the time between consecutive events with generated output; an event may carry many tokens.", "s", *quantiles("gen_ai_client_operation_time_per_output_chunk_seconds", 0.5, 0.95, 0.99)),
        course("Stalls", "Percentiles of the longest gap between events with generated output of each stream.", "s", *quantiles("limpid_stall_seconds", 0.5, 0.95, 0.99)),
        "The whole call",
        heat("Total time", "How many calls took which time from the request's arrival to the end of the response.", "s", TOTAL),
        course("Total time by model", "95th percentile of the time from the request's arrival to the end of the response, by model.", "s", Query(quantile(0.95, TOTAL, MODEL), "{{gen_ai_request_model}}"), h=9, exemplars=True),
        course("Slow readers", "Percentiles of the time for which a response waited for its client to read on; it is no fault of the model.", "s", *quantiles("limpid_reader_lag_seconds", 0.5, 0.95, 0.99)),
        course("limpid's own work", "Percentiles of the time that limpid itself took before a request went upstream, without queue and connect.", "s", *quantiles("limpid_overhead_seconds", 0.5, 0.95, 0.99), limits=((None, "transparent"), (0.001, "orange"))),
    )


def errors():
    failed = REQUESTS + ',category!="ok"'
    limited = REQUESTS + ',category=~"rate_limit|quota"'
    served = f'{REQUESTS},category=~"{SERVED}"'
    split = [("requests", ',reason="rate_limit_requests"'), ("tokens", ',reason="rate_limit_tokens"'), ("limit not told", ',reason="rate_limit"'), ("quota spent", ',category="quota"')]
    return board(
        "errors", "errors", "What fails, whose fault it is, and what the 429s are about.",
        number("Availability", AVAILABILITY, "percentunit", share(ALL, 'category="ok"', served), GOOD_SHARE, decimals=2),
        number("Failed", "Share of requests that failed by a fault of the server's side, among all.", "percentunit", share(ALL, f'category=~"{FAULTS}"', REQUESTS), BAD_SHARE, decimals=2),
        number("Broken streams", "Share of requests that were answered with success and then broke off or told an error in mid-stream.", "percentunit", share(ALL, 'category="stream_error"', REQUESTS), BAD_SHARE, decimals=2),
        number("Limited", "Share of requests that met a rate limit.", "percentunit", share(ALL, 'category="rate_limit"', REQUESTS), BAD_SHARE, decimals=2),
        number("Quota spent", "Requests in the chosen time range that were refused for want of credit or budget; retrying does not help.", "short", f'round(sum(increase({ALL}{{{REQUESTS},category="quota"}}[$__range])))', ((None, "green"), (1, "red"))),
        number("Cancelled", "Share of requests whose client went away before the end.", "percentunit", share(ALL, 'category="cancelled"', REQUESTS), decimals=2),
        "By class",
        course("Failures by category", "Exchanges per second that did not end well, by category of the outcome.", "reqps", Query(rate(ALL, failed, "category"), "{{category}}"), stacked=True),
        course("Failures by reason", "Exchanges per second that did not end well, by their most specific known cause.", "reqps", Query(rate(ALL, failed, "reason"), "{{reason}}")),
        course("Failed, by upstream", "Share of requests that failed by a fault of the server's side, by upstream.", "percentunit", Query(share(ALL, f'category=~"{FAULTS}"', REQUESTS, "upstream"), "{{upstream}}"), limits=((None, "transparent"), (0.05, "red"))),
        course("Failed, by model", "Share of requests that failed by a fault of the server's side, by model.", "percentunit", Query(share(ALL, f'category=~"{FAULTS}"', REQUESTS, MODEL), "{{gen_ai_request_model}}"), limits=((None, "transparent"), (0.05, "red"))),
        course("Failures by status", "Exchanges per second that did not end well, by HTTP status; a broken stream has 200, and no status means that no reply came.", "reqps", Query(rate(ALL, failed, "status_code"), "{{status_code}}"), stacked=True),
        course("The client's own", "Exchanges per second that failed by the request, the key, a policy or limpid's own rules, or that the client cancelled, by reason.", "reqps", Query(rate(ALL, REQUESTS + ',category=~"client_request|auth|policy|rejected|cancelled"', "reason"), "{{reason}}")),
        "429: which limit",
        course("Limits and quota by reason", "Exchanges per second that met a limit: of requests, of tokens, one that was not told, or a spent quota.", "reqps",
               *(Query(f"{rate(ALL, REQUESTS + reason)} or {rate(ALL, REQUESTS)} * 0", title) for title, reason in split), stacked=True),
        course("Limited, by upstream", "Share of requests that met a rate limit or a spent quota, by upstream.", "percentunit", Query(share(ALL, 'category=~"rate_limit|quota"', REQUESTS, "upstream"), "{{upstream}}"), limits=((None, "transparent"), (0.05, "orange"))),
        course("Status 429 by what it meant", "Replies with status 429 per second by category and reason; some servers say 429 when they are overloaded, and some say 402 for a spent quota.", "reqps", Query(rate(ALL, REQUESTS + ',status_code="429"', "category, reason"), "{{category}}/{{reason}}"), stacked=True),
        course("Who is limited", "Exchanges per second that met a rate limit or a spent quota, by project and key.", "reqps", Query(rate(ALL, limited, "project, key"), "{{project}} {{key}}")),
        "Details",
        grid("Failures in this time range", "How many exchanges did not end well in the chosen time range, by cause, upstream and model.",
             {"category": "Category", "reason": "Reason", "status_code": "Status", "upstream": "Upstream", MODEL: "Model"},
             Column("Exchanges", f"round(sum by (category, reason, status_code, upstream, {MODEL}) (increase({ALL}{{{failed}}}[$__range]))) > 0", "short")),
    )


def refusals():
    def refused(window: str, labels: str = CALLS, by: str = "") -> str:
        calls = rate(ALL, GENERATED, by, window)
        return f'({rate("limpid_refusals_total", labels, by, window)} or {calls} * 0) / {calls}'

    now = refused("5m")
    mean, spread = f"avg_over_time(({now})[1d:5m])", f"3 * stddev_over_time(({now})[1d:5m])"
    return board(
        "refusals", "refusals", "How often models or content filters decline, and when that is more than usual. Most refusals are a 200.",
        number("Refused", "Share of the calls to generating APIs whose reply was a refusal or read like one.", "percentunit", refused(RATE), ((None, "text"), (0.05, "orange"), (0.1, "red")), w=6, decimals=2),
        number("Certain", "Share of the calls to generating APIs whose reply's structure says that it was a refusal.", "percentunit", refused(RATE, CERTAIN), w=6, decimals=2),
        number("Refusals", "Replies in the chosen time range that were a refusal or read like one.", "short", f"round(sum(increase(limpid_refusals_total{{{CALLS}}}[$__range])))", w=6),
        number("Stopped by policy", "Share of requests that a content filter stopped before a reply.", "percentunit", share(ALL, 'category="policy"', REQUESTS), w=6, decimals=2),
        course("Refused, and the usual band", "Share of the calls to generating APIs of the last 5 minutes whose reply was a refusal or read like one; the band is the last day's mean plus and minus three standard deviations.", "percentunit",
               Query(now, "now"), Query(mean, "mean of a day"), Query(f"{mean} + {spread}", "mean + 3σ"), Query(f"clamp_min({mean} - {spread}, 0)", "mean − 3σ"), w=24, h=10, band=("mean + 3σ", "mean − 3σ")),
        course("By verdict", "Refusals per second: `certain` by the reply's structure, `suspected` where its text reads like one.", "reqps", Query(rate("limpid_refusals_total", by="verdict"), "{{verdict}}"), stacked=True),
        course("By what told it", "Refusals per second by what told them: a field, a finish reason, an error code, the text.", "reqps", Query(rate("limpid_refusals_total", by="source"), "{{source}}"), stacked=True),
        course("By model", "Share of each model's calls to generating APIs whose reply was a refusal or read like one.", "percentunit", Query(refused("5m", by=MODEL), "{{gen_ai_request_model}}")),
        course("By upstream", "Share of each upstream's calls to generating APIs whose reply was a refusal or read like one.", "percentunit", Query(refused("5m", by="upstream"), "{{upstream}}")),
        grid("Refusals in this time range", "How many replies were a refusal or read like one in the chosen time range, by model.", {MODEL: "Model", "verdict": "Verdict", "source": "Told by"},
             Column("Replies", f"round(sum by ({MODEL}, verdict, source) (increase(limpid_refusals_total{{{CALLS}}}[$__range]))) > 0", "short")),
    )
