"""All three signals by all three protocols, compressed or not, as the official Python messages and rotel read them; TLS
with a test authority; and the exchange log's file under logrotate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import pytest

from collector import Collector
from processes import until
from receiver import Receiver, attributes
from scripted import Scripted, chunk, chunked_head

FAST = {"OTEL_METRIC_EXPORT_INTERVAL": "300", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BLRP_SCHEDULE_DELAY": "50", "OTEL_LOGS_EXPORTER": "otlp"}
DELTA = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
LAST = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAM = chunked_head() + chunk(DELTA * 4) + chunk(LAST) + b"0\r\n\r\n"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "A secret prompt"}], "stream": True}).encode()
WAYS = [(p, g) for p in ("http/protobuf", "http/json", "grpc") for g in ("none", "gzip")]


@pytest.fixture
def upstream():
    with Scripted(lambda s, _: s.sendall(STREAM)) as one:
        yield one


def ask(through) -> dict:
    assert through.ask("POST", "/v1/chat/completions", BODY).status == 200
    return through.record()


def exporting(endpoint: str, protocol: str, compression: str = "none", **more: str) -> dict[str, str]:
    return {**FAST, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression, **more}  # fmt: skip


@pytest.mark.parametrize("protocol, compression", WAYS)
def test_the_official_messages_read_every_signal(protocol, compression, limpid, upstream):
    with Receiver() as receiver:
        through = limpid(upstream.url, **exporting(receiver.base(protocol), protocol, compression))
        record = ask(through)
        until("a span", receiver.spans)
        until("a log record", receiver.logs)
        until("the metrics", lambda: "gen_ai.client.operation.duration" in receiver.metrics())
        (span,), (log,) = receiver.spans(), receiver.logs()
        assert (span.trace_id.hex(), span.span_id.hex()) == (record["trace_id"], record["span_id"])
        assert span.name == "chat m" and attributes(span)["gen_ai.request.model"] == "m"
        assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 == pytest.approx(record["timing"]["total_ms"], abs=0.01)
        assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
        assert (log.event_name, log.severity_text) == ("gen_ai.client.inference.operation.details", "INFO")
        assert log.body.string_value == "chat m: ok/stop" and log.time_unix_nano == span.end_time_unix_nano
        assert attributes(log).keys() == attributes(span).keys()
        duration = receiver.metrics()["gen_ai.client.operation.duration"].histogram.data_points[0]
        assert duration.count == 1 and duration.sum * 1000 == pytest.approx(record["timing"]["total_ms"], abs=0.01)
        assert sum(duration.bucket_counts) == 1 and len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
        assert receiver.faults == []
        assert {encoding for _, encoding, _ in receiver.got} <= {"gzip" if compression == "gzip" else "", "identity"} or protocol == "grpc"
        assert "secret prompt" not in str(receiver.got)
        m = through.metrics()
        assert m.total("limpid_export_failed_total") == 0
        assert (m.total("limpid_export_sent_total", what="spans"), m.total("limpid_export_sent_total", what="log_records")) == (1, 1)


@pytest.mark.parametrize("protocol, compression", WAYS)
def test_rotel_takes_every_signal(protocol, compression, limpid, upstream, folder):
    collector = Collector(folder)
    try:
        endpoint = collector.grpc if protocol == "grpc" else collector.http
        through = limpid(upstream.url, **exporting(endpoint, protocol, compression))
        record = ask(through)
        until("a span", lambda: [s for s in collector.spans() if s.id == record["span_id"]], 10)
        until("the metrics", lambda: "gen_ai.client.operation.duration" in collector.metrics(), 10)

        def sent() -> bool:
            m = through.metrics()
            return all(m.total("limpid_export_sent_total", what=w) for w in ("spans", "log_records", "metrics"))

        until("what rotel took", sent)
        assert through.metrics().total("limpid_export_failed_total") == 0
    finally:
        collector.end()


def test_delta_and_exponential_histograms_arrive(limpid, upstream):
    with Receiver() as receiver:
        through = limpid(upstream.url, **exporting(
            receiver.http, "http/json", OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram"))  # fmt: skip
        ask(through)
        until("the metrics", lambda: "gen_ai.client.operation.duration" in receiver.metrics())
        data = receiver.metrics()["gen_ai.client.operation.duration"].exponential_histogram
        assert data.aggregation_temporality == 1 and data.data_points[0].count == 1
        assert receiver.faults == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority of our own, and a certificate of 127.0.0.1 from it, which both sides show."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on this machine")
    at = tmp_path_factory.mktemp("ca")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=at, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=one", "-keyout", "one.key", "-out", "one.csr")
    (at / "ext").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "one.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", "one.pem")
    return at


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_with_a_test_authority_and_a_client_certificate(protocol, limpid, upstream, authority):
    ca, certificate, key = (authority / name for name in ("ca.pem", "one.pem", "one.key"))
    with Receiver((certificate, key, ca)) as receiver:
        whole = exporting(receiver.base(protocol), protocol, OTEL_EXPORTER_OTLP_CERTIFICATE=str(ca),
                          OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(certificate), OTEL_EXPORTER_OTLP_CLIENT_KEY=str(key))  # fmt: skip
        ask(limpid(upstream.url, **whole))
        until("a span", receiver.spans)
        before = len(receiver.spans())
        untrusting = {k: v for k, v in whole.items() if k != "OTEL_EXPORTER_OTLP_CERTIFICATE"} | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}
        through = limpid(upstream.url, **untrusting)
        ask(through)
        until("the loss to be counted", lambda: through.metrics().total("limpid_export_failed_total", what="spans", why="export"), 15)
        assert len(receiver.spans()) == before


def test_a_collector_that_refuses_is_told_from_one_that_is_gone(limpid, upstream):
    with Receiver() as receiver:
        wrong = exporting(receiver.http, "http/protobuf", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.http}/v1/nowhere")
        through = limpid(upstream.url, **wrong)
        ask(through)
        until("the refusal to be counted", lambda: through.metrics().total("limpid_export_failed_total", what="spans", why="refused") == 1)
        until("the line in the log", lambda: "telemetry was lost" in through.text())
        assert "400" in through.text()


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_exchange_log_follows_logrotate(limpid, upstream):
    through = limpid(upstream.url)
    log = through.exchange_log
    first = ask(through)
    moved = log.with_name("moved.jsonl")
    os.rename(log, moved)
    assert through.ask("POST", "/v1/chat/completions", BODY).status == 200
    until("a new file", lambda: log.exists() and log.read_text().endswith("\n"))
    assert [r["id"] for r in lines(moved)] == [first["id"]] and len(lines(log)) == 1
    # And with the signal, which must not end the process.
    os.rename(log, log.with_name("moved-again.jsonl"))
    os.kill(through.pid, signal.SIGHUP)
    until("the signal's line", lambda: "SIGHUP" in through.text())
    assert through.ask("POST", "/v1/chat/completions", BODY).status == 200
    until("a new file", lambda: log.exists() and log.read_text().endswith("\n"))
    assert through.metrics().total("limpid_export_sent_total", what="log_lines") == 3


def test_the_exchange_log_rotates_by_size_and_keeps_so_many(limpid, upstream):
    through = limpid(upstream.url, LIMPID_EXCHANGE_LOG__ROTATE_SIZE="256KiB", LIMPID_EXCHANGE_LOG__KEEP="2", LIMPID_TOKENS__ESTIMATE="false")
    log = through.exchange_log
    files = lambda: sorted(p.name for p in log.parent.glob(log.name + "*"))  # noqa: E731
    for stale in log.parent.glob(log.name + ".*"):
        stale.unlink()
    count = 0
    while not log.with_name(log.name + ".2").exists():
        assert through.ask("POST", "/v1/chat/completions", BODY).status == 200
        count += 1
        assert count < 3000
    until("all lines", lambda: through.metrics().total("limpid_export_sent_total", what="log_lines") == count)
    assert files() == [log.name, log.name + ".1", log.name + ".2"]
    whole = [r for name in files() for r in lines(log.with_name(name))]
    assert len({r["id"] for r in whole}) == count, "no line is lost"
    assert all(log.with_name(name).stat().st_size <= 256 * 1024 for name in files())
