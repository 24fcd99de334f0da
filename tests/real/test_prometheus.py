"""Debian's Prometheus scrapes limpid, and promtool finds nothing to complain about."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import urllib.parse

import pytest

import rawhttp
from processes import Process, accepts, clean_env, free_port, until

pytestmark = pytest.mark.skipif(not (shutil.which("prometheus") and shutil.which("promtool")), reason="no prometheus on this machine")


def traffic(backend, through) -> None:
    """One of everything that makes metrics: streamed, whole, failed."""
    for more in ({"stream": True, "stream_options": {"include_usage": True}}, {}):
        assert through.ask("POST", "/v1/chat/completions", backend.chat("Hi", max_tokens=6, ignore_eos=True, **more)).status == 200
    assert through.ask("POST", "/v1/chat/completions", b"{").status >= 400
    through.records(3)


def test_prometheus_scrapes_and_answers_queries(tiny, limpid, folder):
    through = limpid(tiny.url)
    traffic(tiny, through)
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: limpid
    static_configs: [{{targets: ["{through.admin.removeprefix("http://")}"]}}]
""")
    with tempfile.TemporaryDirectory() as data:
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}"]
        server = Process(command, folder / "prometheus.log", clean_env())
        try:
            server.wait_for("prometheus' port", lambda: accepts(port), 30)

            def query(what: str) -> list:
                path = "/api/v1/query?" + urllib.parse.urlencode({"query": what})
                reply = rawhttp.ask(f"http://127.0.0.1:{port}", "GET", path)
                return reply.json()["data"]["result"] if reply.status == 200 else []

            def value(what: str) -> float | None:
                result = query(what)
                return float(result[0]["value"][1]) if result else None

            until("the first scrape", lambda: value('up{job="limpid"}') == 1, 15)
            assert until("the requests", lambda: value("sum(limpid_requests_total)"), 5) == 3
            assert value('sum(limpid_requests_total{category="ok",endpoint="chat"})') == 2
            quantile = value("histogram_quantile(0.5, sum by (le) (gen_ai_server_time_to_first_token_seconds_bucket))")
            assert quantile is not None and 0 < quantile < 60
            assert value('sum(limpid_tokens_total{type="output"})') == 12
            targets = rawhttp.ask(f"http://127.0.0.1:{port}", "GET", "/api/v1/targets").json()["data"]["activeTargets"]
            assert [(t["health"], t["lastError"]) for t in targets] == [("up", "")]
        finally:
            server.end()


def test_promtool_finds_nothing(tiny, limpid):
    through = limpid(tiny.url)
    for state in ("without traffic", "with traffic"):
        text = through.metrics_text()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), state
        if state == "without traffic":
            traffic(tiny, through)


def test_openmetrics_by_accept(tiny, limpid):
    through = limpid(tiny.url)
    traffic(tiny, through)
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    reply = rawhttp.ask(through.admin, "GET", "/metrics", fields=[("Accept", accept)])
    assert reply.head.get("content-type").startswith("application/openmetrics-text")
    assert reply.body.endswith(b"# EOF\n")
    plain = rawhttp.ask(through.admin, "GET", "/metrics")
    assert plain.head.get("content-type").startswith("text/plain")
    assert b"# EOF" not in plain.body and b"# TYPE limpid_requests_total counter" in plain.body
