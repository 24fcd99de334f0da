"""A client that hangs up frees the backend at once: nobody pays for tokens that nobody reads.

llama.cpp's log says `cancel task` when it notices that a connection is gone. While it streams, it notices at its next
write; while it has no token to write, it looks once a second. So the mid-stream bound is 100 ms from the client's close to
the log line, and in the other cases limpid's own part is measured with a scripted upstream, to which the end of the
connection shows at once.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time

import pytest

import rawhttp
from processes import until
from rawhttp import Connection, address, events
from scripted import Scripted, chunk, chunked_head

STORY = "Tell me a very long story about a lighthouse."
LONG_REPLY = 1500  # tokens: many seconds, of which those who leave wait for 20
LONG_PROMPT = "The lighthouse keeper counts the ships that pass. " * 150  # some 1,600 tokens: seconds of prompt processing


def cancels(backend) -> list[str]:
    return re.findall(r"cancel task, id_task = (\d+)", backend.text())


def started(backend) -> list[str]:
    return re.findall(r"task (\d+) \| processing task", backend.text())


def is_idle(backend) -> bool:
    return not any(slot["is_processing"] for slot in rawhttp.ask(backend.url, "GET", "/slots").json())


def test_a_client_that_hangs_up_in_mid_stream(smollm, limpid):
    through = limpid(smollm.url)
    cancelled_after_ms = []
    for _ in range(3):
        before = len(cancels(smollm))
        with Connection(through.address) as c:
            c.send("POST", "/v1/chat/completions", smollm.chat(STORY, stream=True, max_tokens=LONG_REPLY, ignore_eos=True))
            assert c.head().status == 200
            body = b""
            for piece in c.chunks():
                body += piece
                if len(events(body)) >= 20:
                    break
            closed = time.monotonic()
        until("the cancel in llama.cpp's log", lambda: len(cancels(smollm)) > before, 5, pause=0.001)
        cancelled_after_ms.append(round((time.monotonic() - closed) * 1000, 1))
        task = cancels(smollm)[-1]
        released = until("the slot's release", lambda: re.search(rf"task {task} \| stop processing: n_tokens = (\d+)", smollm.text()), 5)
        record = through.record()
        assert record["outcome"]["category"] == "cancelled"
        assert record["outcome"]["ending"] == "client_gone"
        got = sum(b'"content":"' in e for e in events(body))
        assert got <= record["chunks"]["tokens_events"] < int(released[1])  # the slot's count holds the prompt too
        assert record["chunks"]["tokens_events"] < LONG_REPLY / 2 and int(released[1]) < LONG_REPLY, "the stream went on after the client had left"
        assert record["status"] == 200 and record["timing"]["ttft_ms"] > 0
        assert record["bytes"]["response"] >= len(body)
    print({"cancelled after, ms": cancelled_after_ms})


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_during_prompt_processing(stream, smollm, limpid):
    """llama.cpp looks once a second, and between batches of the prompt. For a stream it has sent the head at once, without a
    byte of body; else nothing has come."""
    through = limpid(smollm.url)
    begun, before = len(started(smollm)), len(cancels(smollm))
    with Connection(through.address) as c:
        c.send("POST", "/v1/chat/completions", smollm.chat(LONG_PROMPT, stream=stream, max_tokens=400, ignore_eos=True))
        until("the task's start", lambda: len(started(smollm)) > begun, 10)
        if stream:
            c.head()
        closed = time.monotonic()
    until("the cancel in llama.cpp's log", lambda: len(cancels(smollm)) > before, 5)
    print({"cancelled after, ms": round((time.monotonic() - closed) * 1e3)})
    until("idle slots", lambda: is_idle(smollm), 10)
    record = through.record()
    assert (record["outcome"]["category"], record["outcome"]["ending"]) == ("cancelled", "client_gone")
    assert record.get("status") == (200 if stream else None)
    assert not {"ttft_ms", "first_byte_ms", "tpot_ms"} & record["timing"].keys()


@pytest.mark.parametrize("when", ["before the head", "after the head", "in the body"])
def test_the_upstream_connection_goes_with_the_client(when, limpid):
    ready = threading.Event()

    def script(s, _request):
        if when != "before the head":
            s.sendall(chunked_head())
        if when == "in the body":
            s.sendall(chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
        ready.set()
        upstream.note_end(s)

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.send("POST", "/v1/chat/completions", b'{"model":"m","messages":[],"stream":true}')
            assert ready.wait(5)
            if when != "before the head":
                c.head()
            if when == "in the body":
                next(c.chunks())
        # It never writes again and no limit is set: only the client's leaving can end it.
        until("the upstream's connection to end", lambda: upstream.gone_at, 20)
        record = through.record()
    assert (record["outcome"]["category"], record["outcome"]["ending"]) == ("cancelled", "client_gone")
    assert record.get("chunks", {}).get("tokens_events", 0) == (1 if when == "in the body" else 0)


def test_a_client_that_resets_its_connection(limpid):
    """RST instead of FIN: what a killed client's kernel sends."""
    def script(s, _request):
        s.sendall(chunked_head() + chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
        upstream.note_end(s)

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        c = Connection(through.address)
        c.send("POST", "/v1/chat/completions", b'{"model":"m","messages":[],"stream":true}')
        c.head()
        next(c.chunks())
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
        until("the upstream's connection to end", lambda: upstream.gone_at, 5)
        assert through.record()["outcome"]["category"] == "cancelled"


def test_a_client_that_hangs_up_in_its_own_body(limpid):
    def script(s, _request):
        upstream.note_end(s)

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.socket.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{"model":"m"')
        record = through.record()
    assert record["outcome"]["category"] in ("client_request", "cancelled")
    assert record["outcome"]["ending"] == "client_gone"


def test_a_client_that_leaves_after_the_last_event_is_served(limpid):
    """The openai client closes at `[DONE]`, before the final chunk of the coding: nothing was lost, usage was told."""
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}
    told = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        usage,
    ]
    sent = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in told) + b"data: [DONE]\n\n"

    def script(s, _request):
        s.sendall(chunked_head() + chunk(sent))
        upstream.note_end(s)

    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        with Connection(through.address) as c:
            c.send("POST", "/v1/chat/completions", b'{"model":"m","messages":[],"stream":true}')
            c.head()
            assert next(c.chunks()) == sent
        record = through.record()
    assert record["usage"] == {"input_tokens": 3, "output_tokens": 1, "source": "reported"}
    assert record["outcome"] == {"category": "ok", "reason": "stop", "ending": "client_gone"}


def test_a_direct_hang_up_shows_the_same_log_line(smollm):
    """The tests above read the log of llama.cpp; this one fails if its words change."""
    before = len(cancels(smollm))
    with Connection(address(smollm.url)) as c:
        c.send("POST", "/v1/chat/completions", smollm.chat(STORY, stream=True, max_tokens=LONG_REPLY, ignore_eos=True))
        c.head()
        next(c.chunks())
    until("the cancel in llama.cpp's log", lambda: len(cancels(smollm)) > before, 5)
