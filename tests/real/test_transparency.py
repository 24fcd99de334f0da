"""What a client gets through limpid is what it would have got without it, and what the backend gets is what was sent.

Two views. *Through a tap* between limpid and llama.cpp, the bytes of one and the same reply are compared: nothing may
differ but hop-by-hop fields and the places where the chunked coding splits the body. *Straight and through* asks twice
and compares two replies; these differ by themselves in what `normalised` lists, and in nothing else.
"""

from __future__ import annotations

import json
import re

import pytest

import rawhttp
from rawhttp import Connection, Fields, Head, address, events
from scripted import Scripted, Tap

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "upgrade"}
STORY = "Tell me a story about a lighthouse."


def normalised(body: bytes) -> bytes:
    """A body without what differs between two runs of one request at llama.cpp: random ids (`chatcmpl-…`, `resp_…`,
    `msg_…`, `rs_…`, `fc_…`, tool calls' 32 letters), clock times (`created`, `created_at`, `completed_at`), and
    measured durations (the members of `timings` ending in `_ms` or `_per_second`)."""
    body = re.sub(rb'("(?:id|item_id|response_id|call_id)"\s*:\s*")(chatcmpl-|cmpl-|resp_|msg_|rs_|fc_|call_)?[\w-]+"', rb'\1\2*"', body)
    body = re.sub(rb'("(?:created|created_at|completed_at)"\s*:\s*)[\d.]+', rb"\1*", body)
    return re.sub(rb'("\w+(?:_ms|_per_second)"\s*:\s*)[\d.e+-]+', rb"\1*", body)


def end_to_end(head: Head) -> Fields:
    """The fields that are not hop-by-hop, in order, in their case. The value of Content-Length is left out: it counts
    the digits of the durations; the client has checked that it holds."""
    kept = [(n, v) for n, v in head.fields if n.lower() not in HOP_BY_HOP]
    return [(n, "*" if n.lower() == "content-length" else v) for n, v in kept]


def chat(model: str, **more) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": STORY}], "max_tokens": 24, "temperature": 0,
            "seed": 7, "cache_prompt": False, **more}


def requests(model: str) -> dict[str, tuple]:
    messages = {"model": model, "max_tokens": 24, "temperature": 0, "seed": 7, "cache_prompt": False,
                "messages": [{"role": "user", "content": STORY}]}
    responses = {"model": model, "input": STORY, "max_output_tokens": 24, "temperature": 0, "seed": 7, "cache_prompt": False}
    completion = {"model": model, "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0, "seed": 7, "cache_prompt": False}
    return {
        "chat": ("POST", "/v1/chat/completions", chat(model)),
        "chat-stream": ("POST", "/v1/chat/completions", chat(model, stream=True)),
        "chat-stream-usage": ("POST", "/v1/chat/completions", chat(model, stream=True, stream_options={"include_usage": True})),
        "chat-stream-timings": ("POST", "/v1/chat/completions", chat(model, stream=True, timings_per_token=True, return_progress=True)),
        "chat-stream-n2": ("POST", "/v1/chat/completions", chat(model, stream=True, n=2)),
        "chat-logprobs": ("POST", "/v1/chat/completions", chat(model, logprobs=True, top_logprobs=2)),
        "completions": ("POST", "/v1/completions", completion),
        "completions-stream": ("POST", "/v1/completions", {**completion, "stream": True}),
        "native-completion-stream": ("POST", "/completion", {**completion, "n_predict": 24, "stream": True}),
        "responses": ("POST", "/v1/responses", responses),
        "responses-stream": ("POST", "/v1/responses", {**responses, "stream": True}),
        "messages": ("POST", "/v1/messages", messages),
        "messages-stream": ("POST", "/v1/messages", {**messages, "stream": True}),
        "count-tokens": ("POST", "/v1/messages/count_tokens", messages),
        "tokenize": ("POST", "/tokenize", {"content": STORY}),
        "models": ("GET", "/v1/models", None),
        "health": ("GET", "/health", None),
        "query-string": ("GET", "/v1/models?limit=2&after=%2Fa%20b&&x=;y", None),
        "head": ("HEAD", "/health", None),
        "options": ("OPTIONS", "/v1/chat/completions", None),
        "not-found": ("GET", "/v1/no/such/path", None),
        "not-found-post": ("POST", "/v2//odd/./path%20", {"a": 1}),
        "bad-json": ("POST", "/v1/chat/completions", b'{"messages": [}'),
        "context-too-long": ("POST", "/v1/chat/completions", {**chat(model), "messages": [{"role": "user", "content": "word " * 3000}]}),
        "context-too-long-stream": ("POST", "/v1/chat/completions", {**chat(model, stream=True), "messages": [{"role": "user", "content": "word " * 3000}]}),
    }  # fmt: skip


CASES = list(requests(""))


@pytest.mark.parametrize("case", CASES)
def test_the_same_reply_straight_and_through(case, tiny, limpid):
    method, path, body = requests(tiny.model)[case]
    through = limpid(tiny.url)
    straight = rawhttp.ask(tiny.url, method, path, body)
    relayed = rawhttp.ask(through.data, method, path, body)
    assert relayed.head.start == straight.head.start
    assert end_to_end(relayed.head) == end_to_end(straight.head)
    assert relayed.framing == straight.framing
    assert relayed.whole and straight.whole
    assert normalised(relayed.body) == normalised(straight.body)
    if "stream" in case and straight.status == 200:
        assert len(events(relayed.body)) > 8, "the case should stream"
    record = through.record()
    assert record["status"] == straight.status
    assert record["bytes"]["response"] == len(relayed.body)


def test_embeddings_straight_and_through(tiny_embeddings, limpid):
    body = {"model": tiny_embeddings.model, "input": ["a lighthouse", "the sea"]}
    through = limpid(tiny_embeddings.url)
    straight = rawhttp.ask(tiny_embeddings.url, "POST", "/v1/embeddings", body)
    relayed = rawhttp.ask(through.data, "POST", "/v1/embeddings", body)
    assert straight.status == 200 and len(straight.json()["data"]) == 2
    assert (relayed.head.start, end_to_end(relayed.head), relayed.body) == (
        straight.head.start, end_to_end(straight.head), straight.body)  # fmt: skip
    record = through.record()
    assert (record["endpoint"], record["usage"]["input_tokens"]) == ("embeddings", straight.json()["usage"]["prompt_tokens"])


def test_the_bytes_of_one_streamed_reply_pass_unchanged(smollm, limpid):
    with Tap(address(smollm.url)) as tap:
        through = limpid(tap.url)
        relayed = rawhttp.ask(through.data, "POST", "/v1/chat/completions", chat(smollm.model, stream=True, max_tokens=64))
        sent = replayed(tap.sent)
    assert relayed.body == sent.body
    assert [f for f in relayed.head.fields if f[0].lower() not in HOP_BY_HOP] == [
        f for f in sent.head.fields if f[0].lower() not in HOP_BY_HOP]  # fmt: skip
    assert len(events(sent.body)) > 30


ODD_HEAD = (
    b"HTTP/1.1 299 Very Odd Reason\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
    b"Set-Cookie: b=2\r\nsErVeR: odd\r\nX-Latin: caf\xe9\r\nEmpty:\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"content-type: text/plain\r\nZ: z\r\nContent-Length: 2\r\n\r\n"
)


def test_an_odd_reply_passes_with_its_reason_case_and_bytes(limpid):
    """One liberty is taken: fields of one name stand together, where the first of them stood, in their own order."""
    with Scripted(lambda s, _: s.sendall(ODD_HEAD + b"hi")) as upstream:
        relayed = limpid(upstream.url).ask("GET", "/v1/models")
    assert relayed.head.start == "HTTP/1.1 299 Very Odd Reason"
    assert relayed.head.fields == [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("sErVeR", "odd"), ("X-Latin", "caf\xe9"), ("Empty", ""),
        ("Date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("content-type", "text/plain"), ("Z", "z"), ("Content-Length", "2")]  # fmt: skip
    assert relayed.body == b"hi"


def test_a_redirect_is_passed_on_and_not_followed(limpid):
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
    with Scripted(lambda s, _: s.sendall(head)) as upstream:
        relayed = limpid(upstream.url).ask("POST", "/v1/chat/completions", {"model": "m"})
    assert (relayed.status, relayed.head.get("location")) == (307, "http://127.0.0.1:1/x")


def test_a_reply_with_many_fields_passes(limpid):
    fields = [(f"X-{i}", "y") for i in range(150)]
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in fields) + b"Content-Length: 0\r\n\r\n"
    with Scripted(lambda s, _: s.sendall(head)) as upstream:
        relayed = limpid(upstream.url).ask("GET", "/v1/models")
    assert relayed.head.fields[:-1] == fields


ODD_FIELDS: Fields = [
    ("authorization", "Bearer sk-not-a-secret"),
    ("X-Odd-CASE", "kept"),
    ("x-odd-case", "and doubled"),
    ("Accept", "*/*;q=0.1"),
    ("User-Agent", "tests/1"),
    ("X-Forwarded-For", "192.0.2.7"),
    ("Empty", ""),
    ("Cookie", "a=1; b=2"),
]


def test_the_backend_gets_the_request_as_it_was_sent(tiny, limpid):
    body = json.dumps(chat(tiny.model, max_tokens=2), indent=1).encode()
    own = [("X-Limpid-Project", "search"), ("x-limpid-user", "u1"), ("x-limpid-session", "s1"),
           ("X-LIMPID-TEMPLATE", "t1"), ("x-limpid-priority", "low")]  # fmt: skip
    hops = [("Connection", "keep-alive, X-Hop"), ("X-Hop", "for limpid alone"), ("Keep-Alive", "timeout=9"), ("TE", "trailers")]
    with Tap(address(tiny.url)) as tap:
        through = limpid(tap.url)
        relayed = rawhttp.ask(through.data, "POST", "/v1/chat/completions?a=b%20c", body, ODD_FIELDS + own + hops)
        assert relayed.status == 200
        raw_head, passed = tap.received.split(b"\r\n\r\n", 1)
    head = Head.parse(raw_head + b"\r\n\r\n")
    assert head.start == "POST /v1/chat/completions?a=b%20c HTTP/1.1"
    assert passed == body
    # Host names whom limpid calls: an upstream behind a name-based front would not know limpid's own.
    assert head.get("host") == tap.url.removeprefix("http://")
    rest = [(n, v) for n, v in head.fields if n.lower() != "host"]
    assert rest == ODD_FIELDS + [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    assert b"limpid" not in raw_head.lower()
    record = through.record()
    assert (record["project"], record["user"], record["session"], record["template"], record["priority"]) == (
        "search", "u1", "s1", "t1", "low")  # fmt: skip


def test_a_chunked_request_body_arrives_whole(tiny, limpid):
    body = json.dumps(chat(tiny.model, max_tokens=2)).encode()
    with Tap(address(tiny.url)) as tap:
        through = limpid(tap.url)
        with Connection(through.address) as c:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {c.to[0]}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            c.socket.sendall(head.encode())
            for i in range(0, len(body), 50):
                piece = body[i : i + 50]
                c.socket.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            c.socket.sendall(b"0\r\n\r\n")
            assert c.reply("POST").status == 200
        assert b"content-length" not in tap.received.split(b"\r\n\r\n")[0].lower()
    assert through.record()["bytes"]["request"] == len(body)


def test_a_large_request_body_passes(tiny, limpid):
    """8 MB: an image in base64 is of that size. llama.cpp answers what it answers; the same straight and through."""
    body = {"model": tiny.model, "prompt": "a", "max_tokens": 2, "temperature": 0, "cache_prompt": False, "unknown": "A" * (8 << 20)}
    through = limpid(tiny.url)
    straight = rawhttp.ask(tiny.url, "POST", "/v1/completions", body)
    relayed = rawhttp.ask(through.data, "POST", "/v1/completions", body)
    assert straight.status == relayed.status == 200
    assert normalised(relayed.body) == normalised(straight.body)
    assert through.record()["bytes"]["request"] == len(json.dumps(body))


def replayed(raw: bytes) -> rawhttp.Reply:
    """A reply parsed from the bytes of a connection, by the same code that reads one from a socket."""
    c = Connection.__new__(Connection)
    c.buffer, c.read = raw, lambda: False
    return c.reply()
