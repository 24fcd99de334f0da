"""HTTP as clients and servers really speak it: pipelining, `Expect`, HTTP/1.0, HTTP/2, small writes, a drain in mid-stream."""

from __future__ import annotations

import json
import shutil
import signal
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import rawhttp
from processes import until
from rawhttp import Connection, Gone
from scripted import Scripted, chunk, chunked_head, reply

REQUEST = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
CHAT = "/v1/chat/completions"


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


DONE = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def test_events_are_relayed_at_once(limpid):
    """The age of an event when it reaches the client, straight and through limpid in turn, on one machine's clock. Small
    writes 10 ms apart are where a missing TCP_NODELAY costs 40 ms each (Linux' delayed acknowledgement), and a buffering
    relay more. A busy machine delays both alike, so half of that is the bound on what limpid adds."""

    def script(s, _request):
        s.sendall(chunked_head())
        for _ in range(30):
            s.sendall(chunk(event(str(time.monotonic()))))
            time.sleep(0.01)
        s.sendall(chunk(DONE) + b"0\r\n\r\n")

    def ages(to) -> list[float]:
        found = []
        with Connection(to) as c:
            c.send("POST", CHAT, REQUEST)
            c.head()
            for piece in c.chunks():
                now = time.monotonic()
                found += [1000 * (now - float(json.loads(e)["choices"][0]["delta"]["content"])) for e in rawhttp.events(piece) if b'"content"' in e]
        assert len(found) == 30
        return found

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        pairs = [(ages(rawhttp.address(upstream.url)), ages(through.address)) for _ in range(3)]
    straight, relayed = (sum(side, []) for side in zip(*pairs))
    figures = {name: {"median": round(statistics.median(v), 3), "largest": round(max(v), 3)} for name, v in (("straight", straight), ("relayed", relayed))}
    print({"age of an event, ms": figures})
    assert statistics.median(relayed) - statistics.median(straight) < 20, figures


def test_pipelined_requests_are_answered_in_order(limpid):
    """The second request comes while the first streams: it is no cancel."""
    second_sent = threading.Event()

    def script(s, request):
        if b'"first"' in request:
            s.sendall(chunked_head() + chunk(event("one")))
            assert second_sent.wait(5)
            s.sendall(chunk(DONE) + b"0\r\n\r\n")
        else:
            s.sendall(reply(b'{"second":true}'))

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.send("POST", CHAT, b'{"model":"first","stream":true}')
            head = c.head()
            assert head.status == 200
            c.send("POST", CHAT, b'{"model":"second"}')
            second_sent.set()
            assert b"".join(c.chunks()) == event("one") + DONE
            assert c._line() == b""  # the end of the first body's trailers
            assert c.reply("POST").json() == {"second": True}
        assert {r["outcome"]["category"] for r in through.records(2)} == {"ok"}


def test_expect_100_continue(limpid):
    with Scripted(lambda s, request: s.sendall(reply(request.split(b"\r\n\r\n", 1)[1]))) as upstream:
        through = limpid(upstream.url)
        body = b'{"model":"m","pad":"' + b"x" * 100_000 + b'"}'
        with Connection(through.address) as c:
            c.socket.sendall(
                b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                % (CHAT.encode(), len(body))
            )
            assert c.head().status == 100
            c.socket.sendall(body)
            assert c.reply("POST").body == body


@pytest.mark.parametrize("stream", [False, True])
def test_an_http_1_0_client(stream, limpid):
    """It knows no chunks: the body ends with the connection."""

    def script(s, _request):
        s.sendall(chunked_head() + chunk(event("a")) + chunk(DONE) + b"0\r\n\r\n" if stream else reply(b'{"a":1}'))

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.socket.sendall(b"POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(REQUEST)) + REQUEST)
            got = c.reply("POST")
            assert (got.status, got.body) == (200, event("a") + DONE if stream else b'{"a":1}')
            assert got.framing != "chunked"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine")
def test_an_http_2_client(tiny, limpid):
    """With prior knowledge, for the listener speaks plain text."""
    through = limpid(tiny.url)
    body = tiny.chat("Hi", stream=True, max_tokens=5, ignore_eos=True)
    command = ["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", "-", "-m", "20", "-H", "content-type: application/json",
               "--data-binary", "@-", through.data + CHAT]  # fmt: skip
    done = subprocess.run(command, input=body, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"HTTP/2 200") and done.stdout.endswith(b"data: [DONE]\n\n")
    record = through.record()
    assert (record["outcome"]["category"], record["chunks"]["tokens_events"]) == ("ok", 5)


def test_many_streams_at_once(limpid):
    """200 clients, each with its own text: no byte crosses over, none is lost, each has its record."""

    def script(s, request):
        name = json.loads(request.split(b"\r\n\r\n", 1)[1])["model"]
        s.sendall(chunked_head())
        for i in range(10):
            s.sendall(chunk(event(f"{name}-{i}")))
        s.sendall(chunk(DONE) + b"0\r\n\r\n")

    def client(through, i: int) -> bool:
        got = through.ask("POST", CHAT, {"model": f"client-{i}", "messages": [], "stream": True})
        return got.whole and got.body == b"".join(event(f"client-{i}-{n}") for n in range(10)) + DONE

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with ThreadPoolExecutor(50) as pool:
            assert all(pool.map(lambda i: client(through, i), range(200)))
        records = through.records(200)
        assert {r["model"]["requested"] for r in records} == {f"client-{i}" for i in range(200)}
        assert {r["chunks"]["tokens_events"] for r in records} == {10}
        assert through.metrics().total("limpid_in_flight") == 0


def test_a_slow_reader_holds_the_upstream_back(limpid):
    """No unbounded buffer between the legs: while the client does not read, the upstream's writes must come to a halt."""
    written = [0]
    piece = chunk(b": " + b"x" * 65_000 + b"\n\n")

    def script(s, _request):
        s.sendall(chunked_head())
        s.settimeout(1.0)
        try:
            while written[0] < 400 << 20:
                s.sendall(piece)
                written[0] += len(piece)
        except TimeoutError:
            pass

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        before = through.rss_kib()
        with Connection(through.address) as c:
            c.send("POST", CHAT, REQUEST)
            c.head()

            def halted() -> bool:
                seen = written[0]
                time.sleep(0.3)
                return written[0] == seen > 0

            until("the upstream to be held back", halted, 20)
            print({"written before the halt, KiB": written[0] >> 10, "grown, KiB": through.rss_kib() - before})
            assert written[0] < 32 << 20  # the kernel's socket buffers on both legs
            assert through.rss_kib() - before < 16 << 10


def test_what_a_slow_reader_costs_is_told_apart(limpid):
    """24 MB are more than the socket buffers hold. When limpid can do nothing but wait for its client, the client looks away
    for 0.6 s more: all of that lies within reader lag, and all lag within the exchange as the client sees it. The record is
    rounded to a thousandth of a millisecond."""
    size, pieces = 65_000, 380
    piece, written = chunk(b": " + b"x" * size + b"\n\n"), [0]

    def script(s, _request):
        s.sendall(chunked_head() + chunk(event("a")))
        for _ in range(pieces):
            s.sendall(piece)
            written[0] += 1
        s.sendall(chunk(event("b") + DONE) + b"0\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:

            def held() -> bool:
                """Nothing has moved for a while, and limpid sleeps: its read is done, its write waits for the client."""
                seen = written[0]
                return all(time.sleep(0.02) is None and through.rests() and written[0] == seen > 0 for _ in range(10))

            begun = time.monotonic()
            c.send("POST", CHAT, REQUEST)
            c.head()
            until("the stream to be held up", held, 20)
            away = time.monotonic()
            time.sleep(0.6)
            away = time.monotonic() - away
            assert sum(len(data) for data in c.chunks()) > size * pieces
            took = time.monotonic() - begun
        timing = through.record()["timing"]
        figures = {"away, ms": 1000 * away, "reader lag, ms": timing["reader_lag_ms"], "total, ms": timing["total_ms"], "client, ms": 1000 * took}
        print(figures)
        assert 1000 * away - 0.001 <= timing["reader_lag_ms"] <= 1000 * took + 0.001, figures
        assert timing["reader_lag_ms"] <= timing["total_ms"], figures


def test_sigterm_lets_a_stream_finish(limpid):
    finish = threading.Event()

    def script(s, _request):
        s.sendall(chunked_head() + chunk(event("a")))
        assert finish.wait(10)
        s.sendall(chunk(event("b") + DONE) + b"0\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        assert rawhttp.ask(through.admin, "GET", "/readyz").status == 200
        with Connection(through.address) as c:
            c.send("POST", CHAT, REQUEST)
            c.head()
            pieces = c.chunks()
            assert next(pieces) == event("a")
            through.child.send_signal(signal.SIGTERM)
            until("readyz to say no", lambda: rawhttp.ask(through.admin, "GET", "/readyz").status == 503, 5)
            assert rawhttp.ask(through.admin, "GET", "/healthz").status == 200
            finish.set()
            assert b"".join(pieces) == event("b") + DONE
        assert through.child.wait(10) == 0
    (record,) = through.all_records()
    assert record["outcome"] == {"category": "ok", "reason": "stop", "ending": "end"}


def test_a_stream_that_outlives_the_drain_is_recorded(limpid):
    def script(s, _request):
        s.sendall(chunked_head() + chunk(event("a")))
        upstream.note_end(s)

    with Scripted(script) as upstream:
        # Without estimates: a busy machine takes longer to load their encoding than the end waits for records.
        through = limpid(upstream.url, LIMPID_SERVER__DRAIN_TIMEOUT="300ms", LIMPID_TOKENS__ESTIMATE="false")
        with Connection(through.address) as c:
            c.send("POST", CHAT, REQUEST)
            c.head()
            pieces = c.chunks()
            next(pieces)
            through.child.send_signal(signal.SIGTERM)
            assert through.child.wait(10) == 0
            with pytest.raises(Gone):  # an abort, not a proper end
                next(pieces)
    (record,) = through.all_records()
    assert (record["outcome"]["ending"], record["chunks"]["tokens_events"]) == ("shutdown", 1)
