"""Upstreams that send nonsense: every byte of it reaches the client, an abort reaches it as an abort, and what the
observer could not read is counted."""

from __future__ import annotations

import gzip
import json
import os
import random
import threading

import pytest

from processes import until
from rawhttp import Connection, Gone
from scripted import Scripted, chunk, chunked_head, reply

EVENT = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
NOISE = random.Random(7).randbytes(50_000)
ENDLESS_LINE = b"data: " + b"x" * (24 << 20)
BOMB = gzip.compress(b"data: " + b"0" * (400 << 20), 9)  # 400 KB that unpack to 400 MB
SSE, JSON = "text/event-stream", "application/json"

# name: (content type, further fields, body, whether the observer must have counted a fault)
BODIES = {
    "noise as events": (SSE, "", NOISE, None),
    "noise as json": (JSON, "", NOISE, True),
    "zero bytes as events": (SSE, "", b"\0" * 10_000, None),
    "events that are not json": (SSE, "", b"data: {not json\n\n" * 20 + DONE, True),
    "json of the wrong shape": (JSON, "", b'[1, "a", null, {"choices": 7, "usage": "many"}]', None),
    "events of the wrong shape": (SSE, "", b'data: {"choices":{"a":1},"usage":[],"model":5}\n\n' * 5 + DONE, None),
    "huge numbers": (SSE, "", b'data: {"choices":[],"usage":{"prompt_tokens":1e400,"completion_tokens":-5}}\n\n' + DONE, None),
    "deep nesting": (JSON, "", b"[" * 200_000, True),
    "a line without an end": (SSE, "", ENDLESS_LINE, True),
    "a large event": (SSE, "", b'data: {"choices":[{"index":0,"delta":{"content":"' + b"y" * (20 << 20) + b'"}}]}\n\n' + DONE, None),
    "events labelled json": (JSON, "", EVENT * 5 + DONE, True),
    "json labelled events": (SSE, "", b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}', None),
    "html labelled json": (JSON, "", b"<html><body>502 Bad Gateway</body></html>", True),
    "no content type": (None, "", EVENT * 3 + DONE, None),
    "an odd content type": ("Text/Event-Stream ; charset=\"utf-8\"; boundary=x", "", EVENT * 3 + DONE, None),
    "carriage returns alone": (SSE, "", (EVENT * 3 + DONE).replace(b"\n", b"\r"), None),
    "a byte order mark": (SSE, "", b"\xef\xbb\xbf" + EVENT * 3 + DONE, None),
    "broken utf-8": (SSE, "", b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe\xc3"}}]}\n\n' + DONE, None),
    "gzip that is none": (SSE, "Content-Encoding: gzip\r\n", EVENT * 5 + DONE, True),
    "gzip cut in half": (SSE, "Content-Encoding: gzip\r\n", gzip.compress(EVENT * 400 + DONE)[:120], None),
    "gzip with a broken middle": (SSE, "Content-Encoding: gzip\r\n", (lambda g: g[:40] + b"\xff" * 40 + g[80:])(gzip.compress(EVENT + os.urandom(400) + DONE)), True),
    "a gzip bomb": (SSE, "Content-Encoding: gzip\r\n", BOMB, True),
    "brotli that is none": (SSE, "Content-Encoding: br\r\n", NOISE, True),
    "an unknown coding": (SSE, "Content-Encoding: rot13\r\n", EVENT * 3 + DONE, True),
    "ten codings": (SSE, "Content-Encoding: gzip, br, zstd, gzip, br, zstd, gzip, br, zstd, gzip\r\n", NOISE, True),
    "empty": (SSE, "", b"", None),
    "empty json": (JSON, "", b"", None),
}  # fmt: skip
REQUEST = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()


def head(content_type: str | None, more: str, framing: str) -> bytes:
    label = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 200 OK\r\n{label}{more}{framing}\r\n\r\n".encode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("case", BODIES)
def test_the_bytes_pass_unchanged(case, framing, limpid):
    content_type, more, body, faulty = BODIES[case]

    def script(s, _request):
        if framing == "length":
            s.sendall(head(content_type, more, f"Content-Length: {len(body)}") + body)
            return
        s.sendall(head(content_type, more, "Transfer-Encoding: chunked"))
        step = 7 if len(body) < 4000 else 60_000
        s.sendall(b"".join(chunk(body[i : i + step]) for i in range(0, len(body), step)) + b"0\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        got = through.ask("POST", "/v1/chat/completions", REQUEST)
        assert got.whole and got.status == 200
        assert (len(got.body), got.body == body) == (len(body), True)
        assert got.head.get("content-type") == content_type
        assert got.framing == ("content-length" if framing == "length" else "chunked")
        record = through.record()
        assert record["bytes"]["response"] == len(body)
        assert record["outcome"]["ending"] == "end"
        if faulty:
            assert "observer_fault" in record
        counted = lambda: through.metrics().total("limpid_observer_errors_total")  # noqa: E731
        if "observer_fault" in record:
            until("the fault to be counted", counted, 5)
        assert counted() == ("observer_fault" in record)
        assert through.rss_kib() < 200 * 1024


CUTS = {
    "in a chunk": chunked_head() + chunk(EVENT) + b"fff\r\ndata: {",
    "between chunks": chunked_head() + chunk(EVENT * 3),
    "after [DONE] but before the last chunk": chunked_head() + chunk(EVENT * 3 + DONE),
    "in a chunk's size": chunked_head() + chunk(EVENT) + b"1f",
    "short of the length": reply(EVENT + b"{" * 500, SSE)[:-400],
    "a bad chunk size": chunked_head() + chunk(EVENT) + b"zz\r\n" + EVENT,
}


@pytest.mark.parametrize("case", CUTS)
def test_a_body_that_breaks_off_breaks_off_for_the_client(case, limpid):
    """Closing the stream properly would tell the client that it has everything."""

    def script(s, _request):
        s.sendall(CUTS[case])
        raise OSError("hang up")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        got = through.ask("POST", "/v1/chat/completions", REQUEST)
        assert got.status == 200 and not got.whole
        assert got.body.startswith(EVENT)
        record = through.record()
    assert record["outcome"]["category"] == "stream_error"
    assert record["outcome"]["ending"] == "upstream_error"
    assert record["chunks"]["tokens_events"] == (3 if "[DONE]" in case or "between" in case else 1)


HEADS = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n" * 3,
    "noise": b"\x15\x03\x01\x00\x02\x02\x46" * 20,
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000,
}


@pytest.mark.parametrize("case", HEADS)
def test_a_reply_that_is_no_http_becomes_a_502(case, limpid):
    def script(s, _request):
        s.sendall(HEADS[case])
        raise OSError("hang up")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        got = through.ask("POST", "/v1/chat/completions", REQUEST)
        record = through.record()
    assert (got.status, got.whole) == (502, True)
    assert got.json()["error"]["type"].startswith("limpid_")
    assert got.head.get("x-limpid-error") == record["outcome"]["reason"]
    assert record["outcome"]["category"] == "network"
    assert record["outcome"]["reason"] in ("reset_before_headers", "bad_response", "response_head_too_large")


def test_events_of_one_byte_at_a_time_are_counted_right(limpid):
    def script(s, _request):
        s.sendall(chunked_head())
        for byte in EVENT * 3 + DONE:
            s.sendall(chunk(bytes([byte])))
        s.sendall(b"0\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        got = through.ask("POST", "/v1/chat/completions", REQUEST)
        assert got.body == EVENT * 3 + DONE
        record = through.record()
    assert record["chunks"] == {"events": 5, "tokens_events": 3}
    assert record["outcome"]["category"] == "ok"


def test_trailers_and_early_hints_do_not_break_the_reply(limpid):
    """A 103 before the reply and fields after its body: passing them on is not asked, surviving them is."""
    body = EVENT + DONE

    def script(s, _request):
        s.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        s.sendall(chunked_head(more="Trailer: X-After\r\n") + chunk(body) + b"0\r\nX-After: yes\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.send("POST", "/v1/chat/completions", REQUEST, [("TE", "trailers")])
            got = c.reply("POST")
            while got.status == 103:
                got = c.reply("POST")
            assert (got.status, got.body, got.whole) == (200, body, True)


def test_an_event_is_not_held_back(limpid):
    """The first event must reach the client while the upstream waits: the relay does not wait for more."""
    seen = threading.Event()

    def script(s, _request):
        s.sendall(chunked_head() + chunk(EVENT))
        assert seen.wait(10)
        s.sendall(chunk(DONE) + b"0\r\n\r\n")

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address, timeout=5) as c:
            c.send("POST", "/v1/chat/completions", REQUEST)
            c.head()
            pieces = c.chunks()
            assert next(pieces) == EVENT
            seen.set()
            rest = b""
            try:
                for piece in pieces:
                    rest += piece
            except Gone:
                pytest.fail("the stream broke off")
            assert rest == DONE
