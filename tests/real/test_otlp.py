"""Spans and metrics reach a real collector, and traffic does not notice a collector that is gone or hangs."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from collector import Collector
from processes import free_port, until
from rawhttp import Connection
from scripted import Scripted, chunk, chunked_head

FAST = {"OTEL_METRIC_EXPORT_INTERVAL": "300", "OTEL_BSP_SCHEDULE_DELAY": "100"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(folder):
    c = Collector(folder)
    yield c
    c.end()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_and_metrics_arrive(protocol, tiny, limpid, collector):
    endpoint = collector.grpc if protocol == "grpc" else collector.http
    through = limpid(tiny.url, **FAST, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                     OTEL_SERVICE_NAME="limpid-under-test", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test")  # fmt: skip
    body = tiny.chat("A secret prompt", stream=True, max_tokens=8, ignore_eos=True, stream_options={"include_usage": True})
    assert through.ask("POST", "/v1/chat/completions", body, [("traceparent", PARENT), ("x-limpid-project", "search")]).status == 200
    failed = through.ask("POST", "/v1/chat/completions", b'{"model": "tiny"}')
    assert failed.status >= 400
    good, bad = through.records(2)

    until("two spans", lambda: len(collector.spans()) >= 2, 10)
    spans = {s.id: s for s in collector.spans()}
    assert len(spans) == 2, "one span an exchange"
    span = spans[good["span_id"]]
    assert (span.name, span.kind, span.status) == ("chat tiny", "SPAN_KIND_CLIENT", "STATUS_CODE_UNSET")
    assert (span.trace_id, span.parent_id) == tuple(PARENT.split("-")[1:3]) == (good["trace_id"], "b7ad6b7169203331")
    assert abs((span.end - span.start) / 1e6 - good["timing"]["total_ms"]) < 0.01
    a = span.attributes
    port = tiny.url.rsplit(":", 1)[1]
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "tiny", "gen_ai.response.model": "tiny",
        "gen_ai.usage.input_tokens": str(good["usage"]["input_tokens"]), "gen_ai.usage.output_tokens": "8",
        "gen_ai.request.max_tokens": "8", "gen_ai.request.stream": "true", "gen_ai.request.seed": "7",
        "server.address": "127.0.0.1", "server.port": port, "gen_ai.provider.name": good["provider"],
    }  # fmt: skip
    assert {k: a.get(k) for k in expected} == expected
    assert "length" in a["gen_ai.response.finish_reasons"] and span.types["gen_ai.response.finish_reasons"] == "Slice"
    assert a["gen_ai.response.id"].startswith("chatcmpl-")
    assert abs(float(a["gen_ai.response.time_to_first_chunk"]) * 1000 - good["timing"]["first_event_ms"]) < 0.01
    assert "error.type" not in a
    assert (span.resource["service.name"], span.resource["deployment.environment.name"]) == ("limpid-under-test", "test")
    error = spans[bad["span_id"]]
    assert error.attributes["error.type"] == bad["outcome"]["reason"]
    assert error.status == "STATUS_CODE_ERROR"
    assert "secret prompt" not in collector.output()

    names = {"gen_ai.client.operation.duration": "s", "gen_ai.client.operation.time_to_first_chunk": "s",
             "gen_ai.client.operation.time_per_output_chunk": "s", "gen_ai.client.token.usage": "{token}",
             "gen_ai.server.request.duration": "s", "gen_ai.server.time_to_first_token": "s",
             "gen_ai.server.time_per_output_token": "s", "limpid.tokens": "{token}"}  # fmt: skip
    names_only = {"limpid.requests", "limpid.in_flight", "limpid.time_to_first_byte", "limpid.stall", "limpid.overhead"}
    until("all metrics", lambda: names.keys() | names_only <= collector.metrics().keys(), 10)
    metrics = collector.metrics()
    assert {n: metrics[n].unit for n in names} == names
    points = metrics["gen_ai.client.operation.duration"].points
    assert any(p.get("gen_ai.request.model") == "tiny" and p.get("gen_ai.operation.name") == "chat" for p in points), points
    until("the failed request's point", lambda: any(
        p.get("error.type") == bad["outcome"]["reason"] for p in collector.metrics()["gen_ai.client.operation.duration"].points))  # fmt: skip
    requests = collector.metrics()["limpid.requests"].points
    assert any(p.get("category") == "ok" and p.get("endpoint") == "chat" and p.get("project") == "search" for p in requests), requests
    assert through.metrics().total("limpid_export_failed_total") == 0


def test_what_is_queued_is_exported_on_shutdown(tiny, limpid, collector):
    """With schedules of a minute, only the flush on SIGTERM can bring it."""
    through = limpid(tiny.url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.http, OTEL_BSP_SCHEDULE_DELAY="60000", OTEL_METRIC_EXPORT_INTERVAL="60000")
    through.ask("POST", "/v1/chat/completions", tiny.chat("Hi", max_tokens=2))
    record = through.record()
    assert through.end() == 0
    until("the span", lambda: [s for s in collector.spans() if s.id == record["span_id"]], 5)
    until("the metrics", lambda: "gen_ai.client.operation.duration" in collector.metrics(), 5)


DELTA = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
LAST = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
# Each upstream connection ends with its reply: those that the pool rests take some 25 KiB each, up to 64 a core, and how many
# there are follows the pace of requests, so they would hide what is measured.
STREAM = chunked_head(more="Connection: close\r\n") + chunk(DELTA * 4) + chunk(LAST) + b"0\r\n\r\n"
ALONE = {"LIMPID_INSIGHT__RECENT": "10", "LIMPID_TOKENS__ESTIMATE": "false"}  # nor the dashboard's records, nor a tokenizer's tables
WARM, MEASURED = 1200, 2400
GROWTH_KIB = 1536  # 0.6 KiB an exchange, a quarter of a kept record; 0.1 MiB on a quiet machine, 0.5 on a busy one


def drive(through, n: int) -> None:
    """n streamed requests over one kept connection, each checked."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
    with Connection(through.address) as c:
        for _ in range(n):
            reply = c.ask("POST", "/v1/chat/completions", body)
            assert reply.status == 200 and reply.whole and reply.body == DELTA * 4 + LAST


class Silent:
    """Accepts connections, reads nothing, answers never."""

    def __enter__(self) -> str:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.held = []

        def hold():
            while True:
                try:
                    self.held.append(self.listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=hold, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.held:
            s.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("fault", ["stopped", "silent"])
def test_a_dead_collector_costs_numbers_and_nothing_else(fault, protocol, limpid):
    """Small queues fill while warming up; after that, memory must not grow, whatever is lost must be counted, and
    each request must be served."""
    quick = {**FAST, "OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_BSP_MAX_QUEUE_SIZE": "256", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}
    with Silent() as silent, Scripted(lambda s, _: s.sendall(STREAM)) as upstream:
        endpoint = silent if fault == "silent" else f"http://127.0.0.1:{free_port()}"
        through = limpid(upstream.url, **quick, **ALONE, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        drive(through, WARM)
        warm = through.rss_kib()
        drive(through, MEASURED)
        grown = through.rss_kib() - warm
        print({"warm, KiB": warm, "grown, KiB": grown, "requests": MEASURED})
        assert grown < GROWTH_KIB
        through.records(WARM + MEASURED, 10)

        def lost() -> float:
            m = through.metrics()
            return m.total("limpid_export_failed_total") + m.total("limpid_records_dropped_total")

        until("the loss to be counted", lost, 15)
        assert through.metrics().total("limpid_export_failed_total") > 0
        assert through.end(15) == 0, "the shutdown must not wait for a dead collector for ever"


def test_a_collector_that_comes_back_gets_the_next_spans(tiny, limpid, folder):
    first = Collector(folder)
    through = limpid(tiny.url, **FAST, OTEL_EXPORTER_OTLP_ENDPOINT=first.http, OTEL_EXPORTER_OTLP_TIMEOUT="500")
    ask = lambda: through.ask("POST", "/v1/chat/completions", tiny.chat("Hi", max_tokens=2)).status  # noqa: E731
    assert ask() == 200
    until("the first span", first.spans, 10)
    first.child.kill()
    first.child.wait()
    assert ask() == 200
    until("the loss to be counted", lambda: through.metrics().total("limpid_export_failed_total"), 15)
    again = Collector(folder, first)
    try:

        def arrived() -> bool:
            assert ask() == 200
            return bool(again.spans())

        until("a span at the collector that came back", arrived, 15, pause=0.2)
    finally:
        again.end()
