"""llama.cpp says `Keep-Alive: timeout=5, max=100` and closes its connection after each streamed reply all the same, and
after its 100th request. A proxy that takes a connection from its pool at the wrong moment answers 502."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import rawhttp
from rawhttp import Connection, events

REQUESTS = 200  # on each of two connections


def test_streams_on_kept_client_connections_never_fail(tiny, limpid):
    through = limpid(tiny.url)
    body = tiny.chat("Hi", stream=True, max_tokens=3, ignore_eos=True)

    def one_client(_: int) -> list[str]:
        faults = []
        with Connection(through.address) as c:  # never made anew: limpid must keep it open
            for i in range(REQUESTS):
                reply = c.ask("POST", "/v1/chat/completions", body)
                if reply.status != 200 or not reply.whole or events(reply.body)[-1] != b"[DONE]":
                    faults.append(f"{i}: {reply.head.start} {reply.head.get('x-limpid-error')} {reply.body[-200:]!r}")
        return faults

    with ThreadPoolExecutor(2) as pool:
        faults = sum(pool.map(one_client, range(2)), [])
    assert faults == []
    records = through.records(2 * REQUESTS)
    assert {r["outcome"]["category"] for r in records} == {"ok"}
    assert {r["chunks"]["tokens_events"] for r in records} == {3}


def test_replies_that_are_not_streamed_on_kept_connections_never_fail(tiny, limpid):
    """Beyond llama.cpp's 100 requests a connection, mixed with streams, so that pooled connections are reused and lost."""
    through = limpid(tiny.url)
    with Connection(through.address) as c:
        for i in range(240):
            reply = c.ask("POST", "/v1/chat/completions", tiny.chat("Hi", stream=i % 5 == 4, max_tokens=1))
            assert (reply.status, reply.whole) == (200, True), (i, reply.head, reply.body)
    records = through.records(240)
    assert {r["outcome"]["category"] for r in records} == {"ok"}
    assert through.metrics().total("limpid_requests_total") == 240


def test_the_admin_listener_keeps_its_connections_too(tiny, limpid):
    through = limpid(tiny.url)
    with Connection(rawhttp.address(through.admin)) as c:
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/summary?window=5m", "/api/v1/exchanges?limit=5"):
            reply = c.ask("GET", path)
            assert (reply.status, reply.whole) == (200, True), path
            if path.startswith("/api/"):
                json.loads(reply.body)
