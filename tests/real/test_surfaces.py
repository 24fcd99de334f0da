"""One record feeds every surface: the exchange log, the JSON API, the live events and the metrics say the same."""

from __future__ import annotations

import json
import threading

import pytest

import rawhttp
from processes import until
from rawhttp import Connection


@pytest.fixture
def used(tiny, limpid):
    """A limpid that has seen three exchanges: streamed, whole, failed; with their records, oldest first."""
    through = limpid(tiny.url)
    for more in ({"stream": True, "stream_options": {"include_usage": True}}, {}):
        assert through.ask("POST", "/v1/chat/completions", tiny.chat("A secret prompt", max_tokens=6, ignore_eos=True, **more),
                           [("x-limpid-project", "search"), ("authorization", "Bearer sk-secret-key")]).status == 200  # fmt: skip
    assert through.ask("POST", "/v1/chat/completions", b"{").status >= 400
    through.log_records = through.records(3)
    return through


def admin(through, path: str):
    reply = rawhttp.ask(through.admin, "GET", path)
    assert reply.status == 200, (path, reply.body)
    return reply.json()


def exchanges(through) -> list[dict]:
    got = admin(through, "/api/v1/exchanges?limit=50")
    return got if isinstance(got, list) else got["exchanges"]


def test_the_api_returns_the_records_of_the_log(used):
    until("three exchanges", lambda: len(exchanges(used)) == 3, 5)
    assert exchanges(used) == used.log_records[::-1]


def test_metrics_count_what_the_log_says(used):
    m = used.metrics()
    assert m.total("limpid_requests_total") == 3
    for r in used.log_records:
        assert m.total("limpid_requests_total", category=r["outcome"]["category"], reason=r["outcome"]["reason"], stream=str(r["stream"]).lower()) == 1
    output = sum(r.get("usage", {}).get("output_tokens", 0) for r in used.log_records)
    assert m.total("limpid_tokens_total", type="output") == output == 12
    assert m.total("limpid_requests_total", project="search") == 2
    assert m.total("gen_ai_server_time_to_first_token_seconds_count") == 1
    streamed = used.log_records[0]
    ttft = m.total("gen_ai_server_time_to_first_token_seconds_sum")
    assert abs(ttft * 1000 - streamed["timing"]["ttft_ms"]) < 0.01


def test_the_summary_counts_what_the_log_says(used):
    text = json.dumps(admin(used, "/api/v1/summary?window=5m&group_by=model,endpoint"))
    assert '"tiny"' in text and '"chat"' in text
    assert admin(used, "/api/v1/series?metric=ttft&window=5m&step=10s") is not None


def test_a_wrong_query_is_a_400_that_says_why(used):
    for path in ("/api/v1/summary?window=never", "/api/v1/series?metric=no_such", "/api/v1/exchanges?limit=-1"):
        reply = rawhttp.ask(used.admin, "GET", path)
        assert reply.status == 400 and reply.body, path


def test_live_events_bring_the_record(tiny, limpid):
    through = limpid(tiny.url)
    seen: list[dict] = []
    with Connection(rawhttp.address(through.admin)) as c:
        c.send("GET", "/api/v1/events", fields=[("Accept", "text/event-stream")])
        assert (c.head().get("content-type") or "").startswith("text/event-stream")

        def read() -> None:
            body = b""
            for piece in c.chunks():
                body += piece
                seen[:] = [json.loads(line[5:]) for line in body.split(b"\n")[:-1] if line.startswith(b"data:")]
                if any("outcome" in e for e in seen):
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert through.ask("POST", "/v1/chat/completions", tiny.chat("Hi", max_tokens=2)).status == 200
        reader.join(10)
    record = through.record()
    assert record in seen


def test_the_dashboard_is_served(used):
    page = rawhttp.ask(used.admin, "GET", "/")
    assert page.status == 200 and (page.head.get("content-type") or "").startswith("text/html")
    assert b"<html" in page.body.lower()
    assert b"//cdn" not in page.body and b"https://" not in page.body, "it must work without the internet"


def test_no_secret_and_no_prompt_shows_anywhere(used):
    shown = used.exchange_log.read_text() + used.text() + used.metrics_text()
    for path in ("/api/v1/exchanges?limit=50", "/api/v1/summary?window=5m&group_by=key", "/"):
        shown += rawhttp.ask(used.admin, "GET", path).body.decode()
    assert "secret" not in shown.replace("client_secret", "")
