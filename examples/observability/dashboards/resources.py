"""Dashboards of what the traffic takes: tokens, cost, capacity, and limpid itself."""

from __future__ import annotations

from kit import CALLS, GENERATING, RATE, REQUESTS, Column, Query, board, course, grid, heat, number, quantile, rate, share

MODEL = "gen_ai_request_model"
ALL = "limpid_requests_total"
FLOW = "limpid_tokens_total"
COST = "limpid_cost_total"
USAGE = "gen_ai_client_token_usage"
TPOT = "gen_ai_server_time_per_output_token_seconds"
PER_SECOND = "suffix: tokens/s"
NONE_LOST = ((None, "green"), (1, "red"))


def kind(*types: str) -> str:
    return f'{CALLS},type=~"{"|".join(types)}"'


def total(metric: str, labels: str = CALLS) -> str:
    """What a counter grew by in the chosen time range."""
    return f"sum(increase({metric}{{{labels}}}[$__range]))"


def tokens():
    cached = f'({rate(FLOW, kind("cached_input"), MODEL)} or {rate(FLOW, kind("input"), MODEL)} * 0) / {rate(FLOW, kind("input"), MODEL)}'
    size = lambda q, way: quantile(q, USAGE, MODEL, f'{CALLS},gen_ai_token_type="{way}"')  # noqa: E731
    return board(
        "tokens", "token flow", "How many tokens go in and come out, of which kind, for whom, and how well prompt caches work.",
        number("Input", "Input tokens in the chosen time range, cached ones included.", "short", total(FLOW, kind("input")), w=6),
        number("Output", "Output tokens in the chosen time range, reasoning included.", "short", total(FLOW, kind("output")), w=6),
        number("Cached", "Share of the input tokens that were read from a prompt cache.", "percentunit",
               f'({rate(FLOW, kind("cached_input"))} or {rate(FLOW, kind("input"))} * 0) / {rate(FLOW, kind("input"))}', w=6, decimals=1),
        number("Calls with a count", "Share of successful requests in the chosen time range whose output tokens the backend told; those of the others are estimates, or missing.", "percentunit",
               f'sum(increase({USAGE}_count{{{CALLS},gen_ai_token_type="output"}}[$__range])) / sum(increase({ALL}{{{CALLS},category="ok",endpoint=~"{GENERATING}"}}[$__range]))', ((None, "orange"), (0.9, "green")), w=6, decimals=1),
        course("Flow", "Input and output tokens per second of all calls together.", PER_SECOND, Query(rate(FLOW, kind("input", "output"), "type"), "{{type}}")),
        course("Parts", "Tokens per second of the kinds that are parts of input or output: from and to a cache, reasoning, audio, image.", PER_SECOND, Query(rate(FLOW, CALLS + ',type!~"input|output"', "type"), "{{type}}")),
        course("Input by model", "Input tokens per second by model.", PER_SECOND, Query(rate(FLOW, kind("input"), MODEL), "{{gen_ai_request_model}}"), stacked=True),
        course("Output by model", "Output tokens per second by model.", PER_SECOND, Query(rate(FLOW, kind("output"), MODEL), "{{gen_ai_request_model}}"), stacked=True),
        course("By project", "Input and output tokens per second by project.", PER_SECOND, Query(rate(FLOW, kind("input", "output"), "project, type"), "{{project}} {{type}}")),
        course("Cached input", "Share of the input tokens that were read from a prompt cache, by model.", "percentunit", Query(cached, "{{gen_ai_request_model}}"), top=1),
        "Per call",
        heat("Input tokens of a call", "How many calls had how many input tokens.", "short", USAGE, CALLS + ',gen_ai_token_type="input"'),
        heat("Output tokens of a call", "How many calls had how many output tokens.", "short", USAGE, CALLS + ',gen_ai_token_type="output"'),
        course("Prompt length", "Median and 95th percentile of a call's input tokens, by model; coarse, for the buckets are powers of four.", "short", Query(size(0.5, "input"), "{{gen_ai_request_model}} p50"), Query(size(0.95, "input"), "{{gen_ai_request_model}} p95")),
        course("Reply length", "Median and 95th percentile of a call's output tokens, by model; coarse, for the buckets are powers of four.", "short", Query(size(0.5, "output"), "{{gen_ai_request_model}} p50"), Query(size(0.95, "output"), "{{gen_ai_request_model}} p95")),
        course("Pace of a stream", "Output tokens per second of the median successful stream after its first token, by model.", PER_SECOND, Query(f"1 / {quantile(0.5, TPOT, MODEL)}", "{{gen_ai_request_model}}")),
        course("Neither counted nor estimated", "Exchanges per second whose reply left token counts out that could not be estimated either, by the cause; they are in no number of tokens.", "reqps", Query(rate("limpid_unestimated_total", by="why"), "{{why}}"), stacked=True),
        course("Where the counts come from", "Tokens per second by the provenance of their count: told by the backend, counted without doubt, or limpid's estimate.", PER_SECOND, Query(rate(FLOW, kind("input", "output"), "source"), "{{source}}"), stacked=True),
        course("Asked for usage", "Streams per second that were to be asked for their usage in the client's stead (`ask_for_usage`), by what became of it: `asked`, `left_in` a compressed reply, or the cause why not.", "reqps", Query(rate("limpid_usage_asked_total", by="why"), "{{why}}"), stacked=True),
    )


def cost():
    hour = lambda by: f"3600 * {rate(COST, by=by)}"  # noqa: E731
    return board(
        "cost", "cost", "What the tokens cost, for whom, for what, and how much of the traffic has no price.",
        number("Cost", "Price in US dollars of the tokens of the chosen time range.", "currencyUSD", total(COST), w=6),
        number("Per hour", "Price in US dollars at the pace of the last hour.", "currencyUSD", f"sum(increase({COST}{{{CALLS}}}[1h]))", w=6),
        number("A thousand requests", "Price in US dollars of a thousand requests of the chosen time range, failed and unpriced ones included.", "currencyUSD", f"1000 * {total(COST)} / {total(ALL)}", w=6),
        number("Without a price", "Share of requests in the chosen time range whose tokens are known and whose price is not.", "percentunit", f"(sum(increase(limpid_unpriced_total{{{CALLS}}}[$__range])) or {total(ALL)} * 0) / {total(ALL)}", ((None, "green"), (0.01, "orange")), w=6, decimals=1),
        course("By model", "US dollars per hour by model, at the pace of each interval.", "currencyUSD", Query(hour(MODEL), "{{gen_ai_request_model}}"), stacked=True),
        course("By project", "US dollars per hour by project, at the pace of each interval.", "currencyUSD", Query(hour("project"), "{{project}}"), stacked=True),
        course("By key", "US dollars per hour by API key, at the pace of each interval.", "currencyUSD", Query(hour("key"), "{{key}}"), stacked=True),
        course("By part", "US dollars per hour by what is paid for; `total` is a price that is only known as a sum.", "currencyUSD", Query(hour("type"), "{{type}}"), stacked=True),
        course("A million output tokens", "US dollars, input included, for each million output tokens, by model: what a reply really costs.", "currencyUSD", Query(f'1e6 * {rate(COST, by=MODEL)} / {rate(FLOW, kind("output"), MODEL)}', "{{gen_ai_request_model}}")),
        course("Today and yesterday", "US dollars of the last hour, and of the hour that ended a day before.", "currencyUSD",
               Query(f"sum(increase({COST}{{{CALLS}}}[1h]))", "last hour"), Query(f"sum(increase({COST}{{{CALLS}}}[1h] offset 1d))", "a day before")),
        course("Where the prices come from", "US dollars per hour by what it rests on: the provider's word, the settings, limpid's table, or, whatever the prices, estimated tokens.", "currencyUSD", Query(hour("source"), "{{source}}"), stacked=True),
        course("Without a price", "Exchanges per second with known tokens and no price, by model and cause.", "reqps", Query(rate("limpid_unpriced_total", by=f"{MODEL}, why"), "{{gen_ai_request_model}} {{why}}"), stacked=True),
        grid("In this time range", "US dollars, input and output tokens of the chosen time range, by project and model.", {"project": "Project", MODEL: "Model"},
             Column("USD", f"sum by (project, {MODEL}) (increase({COST}{{{CALLS}}}[$__range]))", "currencyUSD"),
             Column("Input tokens", f"sum by (project, {MODEL}) (increase({FLOW}{{{kind('input')}}}[$__range]))", "short"),
             Column("Output tokens", f"sum by (project, {MODEL}) (increase({FLOW}{{{kind('output')}}}[$__range]))", "short")),
    )


def capacity():
    took = "gen_ai_server_request_duration_seconds"
    return board(
        "capacity", "capacity", "How much runs at once, on which upstream, and what happens when it gets too much.",
        number("In flight", "Exchanges that have begun and not ended.", "short", 'sum(limpid_in_flight{endpoint=~"$endpoint"})', w=6),
        number("Requests", "Finished exchanges per second.", "reqps", rate(ALL, REQUESTS), w=6),
        number("Overloaded", "Share of requests for which the server had no capacity.", "percentunit", share(ALL, 'category="overloaded"', REQUESTS), ((None, "green"), (0.01, "orange"), (0.05, "red")), w=6, decimals=2),
        number("Could not connect", "Share of requests that failed in the network before a reply's head.", "percentunit", share(ALL, 'category="network"', REQUESTS), ((None, "green"), (0.01, "orange"), (0.05, "red")), w=6, decimals=2),
        course("In flight by endpoint", "Exchanges that have begun and not ended, by kind of API.", "short", Query('sum by (endpoint) (limpid_in_flight{endpoint=~"$endpoint"}) > 0', "{{endpoint}}"), stacked=True),
        course("Busy, by upstream", "Mean number of calls that each upstream worked on: the seconds that finished calls took, per second (Little's law); a long call counts when it ends.", "short", Query(rate(took + "_sum", by="upstream"), "{{upstream}}"), stacked=True),
        course("Busy, by model", "Mean number of calls that ran for each model: the seconds that finished calls took, per second (Little's law).", "short", Query(rate(took + "_sum", by=MODEL), "{{gen_ai_request_model}}"), stacked=True),
        course("Requests by upstream", "Finished exchanges per second by upstream.", "reqps", Query(rate(ALL, REQUESTS, "upstream"), "{{upstream}}"), stacked=True),
        course("Output by upstream", "Output tokens per second that each upstream made.", PER_SECOND, Query(rate(FLOW, kind("output"), "upstream"), "{{upstream}}")),
        course("Pace against load", "Output tokens per second of the median stream, by upstream: it falls when a batch gets too full.", PER_SECOND, Query(f"1 / {quantile(0.5, TPOT, 'upstream')}", "{{upstream}}")),
        course("Waiting for the head", "95th percentile of the time from the request's arrival to the first byte of the body, by upstream: queues upstream show here first.", "s", Query(quantile(0.95, "limpid_time_to_first_byte_seconds", "upstream"), "{{upstream}}")),
        course("Turned away", "Exchanges per second that met overload, a server not ready, a network fault or a time limit, by upstream and reason.", "reqps", Query(rate(ALL, REQUESTS + ',category=~"overloaded|unavailable|network|timeout"', "upstream, reason"), "{{upstream}} {{reason}}"), stacked=True),
        course("Limited", "Exchanges per second that met a rate limit, by upstream and reason.", "reqps", Query(rate(ALL, REQUESTS + ',category="rate_limit"', "upstream, reason"), "{{upstream}} {{reason}}"), stacked=True),
        course("limpid's sockets", "Open file descriptors of limpid, clients' and upstreams' connections among them, and the most that there may be.", "short", Query("process_open_fds and on (job, instance) limpid_records_dropped_total", "{{instance}} open"), Query("process_max_fds and on (job, instance) limpid_records_dropped_total", "{{instance}} limit")),
    )


def itself():
    lost = ' and on (job, instance) limpid_records_dropped_total'
    return board(
        "itself", "limpid itself", "Whether limpid's own numbers can be trusted: what it lost, what it could not read, what it takes. None of it touches the traffic.",
        number("Instances up", "How many limpid processes answered the last scrape.", "short", 'count(limpid_records_dropped_total)', ((None, "red"), (1, "green"))),
        number("Records dropped", "Finished exchanges of the chosen time range that are in no number because the queue of records was full.", "short", "sum(increase(limpid_records_dropped_total[$__range]))", NONE_LOST),
        number("Export lost", "Spans, metric exports and log lines of the chosen time range that were lost.", "short", "sum(increase(limpid_export_failed_total[$__range]))", NONE_LOST),
        number("Not read", "Share of requests whose reply the observer stopped reading.", "percentunit", f"(sum(rate(limpid_observer_errors_total[{RATE}])) or sum(rate({ALL}[{RATE}])) * 0) / sum(rate({ALL}[{RATE}]))", ((None, "green"), (0.01, "orange")), decimals=2),
        number("Label overflow", "Times in the chosen range that a label's value was replaced by `other`.", "short", "sum(increase(limpid_labels_overflow_total[$__range]))", ((None, "green"), (1, "orange"))),
        number("Overhead p99", "99th percentile of the time that limpid itself took before a request went upstream.", "s", quantile(0.99, "limpid_overhead_seconds"), ((None, "green"), (0.001, "orange"), (0.01, "red"))),
        "Losses",
        course("Records dropped", "Finished exchanges per second that are in no number because the queue of records was full, by cause.", "short", Query(f"sum by (instance, why) (rate(limpid_records_dropped_total[{RATE}]))", "{{instance}} {{why}}")),
        course("Exports lost", "Spans, metric exports and log lines per second that were lost, by what and why.", "short", Query(f"sum by (what, why) (rate(limpid_export_failed_total[{RATE}]))", "{{what}} {{why}}")),
        course("Replies not read to the end", "Responses per second that the observer stopped reading, by the cause; the relay went on.", "short", Query(f"sum by (why) (rate(limpid_observer_errors_total{{{CALLS}}}[{RATE}]))", "{{why}}")),
        course("Label overflow", "Times per second that a label's value was replaced by `other` because there were too many values, or label sets.", "short", Query(f"sum by (label) (rate(limpid_labels_overflow_total[{RATE}]))", "{{label}}")),
        course("No requests", "Answers per second of 400, 414 or 431 to what is no HTTP request, or has too large a head; they are no exchanges and in no other number.", "reqps", Query(f"sum by (why) (rate(limpid_requests_unreadable_total[{RATE}]))", "{{why}}")),
        "Process",
        course("CPU", "Cores that the process uses: user and system time per second.", "short", Query(f"rate(process_cpu_seconds_total[{RATE}]){lost}", "{{instance}}")),
        course("Memory", "Physical memory of the process.", "bytes", Query(f"process_resident_memory_bytes{lost}", "{{instance}}")),
        course("Open file descriptors", "Open file descriptors of the process, connections among them, as a share of the most that there may be.", "percentunit", Query(f"process_open_fds / process_max_fds{lost}", "{{instance}}"), limits=((None, "transparent"), (0.8, "red")), top=1),
        course("Up for", "Time since the process started.", "s", Query(f"time() - process_start_time_seconds{lost}", "{{instance}}")),
        course("Overhead", "Percentiles of the time that limpid itself took before a request went upstream, without queue and connect.", "s", *(Query(quantile(q, "limpid_overhead_seconds"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))),
        course("Scrape", "How long Prometheus took to scrape limpid.", "s", Query(f"scrape_duration_seconds{lost}", "{{instance}}")),
        course("Series", "How many samples a scrape of limpid brings; `telemetry.max_label_sets` bounds it.", "short", Query(f"scrape_samples_scraped{lost}", "{{instance}}")),
    )
