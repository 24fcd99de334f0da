"""limpid's times against llama.cpp's own clock, which rides in the last chunk of the same reply as `timings`.

What the clocks measure. llama.cpp's `prompt_ms` runs from the start of the prompt's processing to the sampling of the
first token; `predicted_ms` runs on from there to the last token, and so covers n − 1 steps for `predicted_n` = n tokens
(its own `predicted_per_token_ms` divides by n). limpid's TTFT runs from the arrival of the request's head to the read
that brings the first token event, so it holds besides the prompt: the request's parsing, tokenizing and queueing at
llama.cpp and the way back, some milliseconds. Its TPOT is (last − first) / (n − 1).
"""

from __future__ import annotations

import json
import threading
import time

import rawhttp
from rawhttp import events
from scripted import Scripted, chunk, chunked_head

RUNS = 5
PROMPT = "Continue this text. " + "The lighthouse keeper counts the ships that pass. " * 16
OUTPUT = 128


class Timed:
    """A reply with the moments at which the client had what, in ms from before the request was sent."""

    def __init__(self, to, body: bytes):
        self.body, self.at = b"", []
        begun = time.monotonic()

        def now() -> float:
            return 1000 * (time.monotonic() - begun)

        with rawhttp.Connection(to) as c:
            c.send("POST", "/v1/chat/completions", body)
            assert c.head().status == 200
            for piece in c.chunks():
                self.body += piece
                self.at += [now()] * len(events(piece))
        self.events, self.end = events(self.body), now()
        tokens = [at for at, e in zip(self.at, self.events) if is_token(e)]
        self.first, self.last, self.tokens = tokens[0], tokens[-1], len(tokens)


def is_token(e: bytes) -> bool:
    return e != b"[DONE]" and any(c["delta"].get("content") for c in json.loads(e)["choices"])


def run(backend, through, **more) -> tuple[dict, dict, Timed]:
    timed = Timed(through.address, backend.chat(PROMPT, stream=True, max_tokens=OUTPUT, ignore_eos=True, **more))
    last = next(json.loads(e) for e in reversed(timed.events) if b'"timings"' in e)
    return through.record(), last["timings"], timed


def test_ttft_and_tpot_agree_with_the_backends_own_clock(smollm, limpid, record_property):
    """What limpid measures lies between what llama.cpp and what the client measure, for the one's times lie within the
    other's: of the first token, and of all from the first to the last. No bound is a guess at the machine. llama.cpp
    rounds to a thousandth of a millisecond. Tokens without a text of their own (half a character) have no event, so as many
    steps may be missing at the ends."""
    through = limpid(smollm.url)
    figures = []
    for _ in range(RUNS):
        record, timings, client = run(smollm, through, stream_options={"include_usage": True})
        n, ttft = timings["predicted_n"], record["timing"]["ttft_ms"]
        assert record["usage"] == {"input_tokens": timings["prompt_n"], "output_tokens": n, "source": "reported",
                                   "cached_input_tokens": 0} and n == OUTPUT  # fmt: skip
        figures.append({"prompt_ms": timings["prompt_ms"], "ttft_ms": ttft, "client's": client.first})
        assert timings["prompt_ms"] - 0.01 <= ttft <= client.first + 0.01, figures
        # llama.cpp's first token is at the earliest prompt_ms after the client began, its last predicted_ms behind that.
        took, untold = record["timing"]["tpot_ms"] * (n - 1), (n - client.tokens) * timings["predicted_ms"] / (n - 1)
        earliest = timings["prompt_ms"] + timings["predicted_ms"] - client.first
        latest = client.last - timings["prompt_ms"]
        figures[-1] |= {"predicted_ms": timings["predicted_ms"], "between tokens": took, "at least": earliest, "at most": latest}
        assert earliest - untold - 0.1 <= took <= latest + untold + 0.1, figures
    figures = [{k: round(v, 2) for k, v in f.items()} for f in figures]
    print(figures)
    record_property("figures", figures)


def test_the_parts_of_a_record_fit_together(smollm, limpid):
    through = limpid(smollm.url)
    record, timings, client = run(smollm, through, stream_options={"include_usage": True})
    t = record["timing"]
    assert t["upstream_headers_ms"] <= t["first_byte_ms"] <= t["first_event_ms"] <= t["ttft_ms"] <= t["first_content_ms"] <= t["total_ms"]
    assert t["upstream_ttft_ms"] <= t["ttft_ms"]
    assert t["stall_ms"] >= t["tpot_ms"]
    assert 0 <= t["overhead_ms"] <= client.first - timings["prompt_ms"] + 0.01, "it lies before the prompt"
    assert t["total_ms"] >= timings["prompt_ms"] + timings["predicted_ms"]
    assert abs(t["output_tokens_per_s"] * t["tpot_ms"] / 1000 - OUTPUT / (OUTPUT - 1)) < 0.01
    assert record["chunks"]["events"] == len(client.events)
    assert record["chunks"]["tokens_events"] == client.tokens
    assert record["bytes"]["response"] == len(client.body)
    assert record["model"] == {"requested": smollm.model, "responded": smollm.model}
    assert (record["endpoint"], record["status"], record["stream"]) == ("chat", 200, True)
    assert record["outcome"] == {"category": "ok", "reason": "length", "ending": "end"}
    assert record["input_tokens_band"] == "<=512" and record["usage"]["input_tokens"] > 128


def test_a_stream_without_usage_claims_no_reported_tokens(smollm, limpid):
    """llama.cpp's timings count the tokens without doubt, but they are not a usage that the backend reported."""
    through = limpid(smollm.url)
    record, timings, _ = run(smollm, through)
    assert record["chunks"]["tokens_events"] > 90
    usage = record.get("usage")
    if usage is not None:
        assert usage["source"] in ("exact", "estimated")
        if usage["source"] == "exact":
            assert usage["output_tokens"] == timings["predicted_n"]


def test_a_reply_that_is_not_streamed_has_no_time_to_first_token(smollm, limpid):
    through = limpid(smollm.url)
    reply = through.ask("POST", "/v1/chat/completions", smollm.chat("Hello", max_tokens=16, ignore_eos=True))
    record, usage = through.record(), reply.json()["usage"]
    assert not {"ttft_ms", "tpot_ms", "first_content_ms", "stall_ms"} & record["timing"].keys()
    assert "chunks" not in record and record["stream"] is False
    assert (record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == (usage["prompt_tokens"], 16)
    assert record["timing"]["total_ms"] >= reply.json()["timings"]["predicted_ms"]


def test_times_agree_with_a_known_schedule(limpid):
    """An upstream that notes when it wrote what: a role chunk, and when the client has that, after 120 ms the first token,
    nine more 15 ms apart but one after 90 ms. limpid reads each event after it is written and before the client has it, so
    every duration of the record lies between two that are measured outside. The bounds follow from that alone, and are
    tight on a machine that is not busy."""
    wrote: list[float] = []
    has_role = threading.Event()

    def delta(**d) -> bytes:
        return chunk(b"data: " + json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "delta": d}]}).encode() + b"\n\n")

    def script(s, _request):
        s.sendall(chunked_head() + delta(role="assistant", content=""))
        s.sendall(chunk(b": ping\n\n"))
        assert has_role.wait(10)
        for i in range(10):
            time.sleep({0: 0.12, 6: 0.09}.get(i, 0.015))
            wrote.append(1000 * time.monotonic())
            s.sendall(delta(content=f"t{i}"))
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}}
        s.sendall(chunk(b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n")

    figures = []
    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        for _ in range(5):
            wrote.clear()
            has_role.clear()
            got: list[float] = []
            with rawhttp.Connection(through.address) as c:
                begun = 1000 * time.monotonic()
                c.send("POST", "/v1/chat/completions", b'{"model":"m","messages":[],"stream":true}')
                c.head()
                for piece in c.chunks():
                    now = 1000 * time.monotonic()
                    got += [now for e in events(piece) if b'"content"' in e]
                    has_role.set()
            t, (role, *got) = through.record()["timing"], got
            gaps = [(w - before, g - after) for before, w, after, g in zip(got, wrote[1:], wrote, got[1:])]
            between = {
                # From the role, which the client had before the first was written.
                "ttft": (wrote[0] - role, t["ttft_ms"] - t["first_event_ms"], got[0] - begun),
                "ttft in all": (0, t["ttft_ms"], got[0] - begun),
                "first_event": (0, t["first_event_ms"], role - begun),
                "tpot": ((wrote[-1] - got[0]) / 9, t["tpot_ms"], (got[-1] - wrote[0]) / 9),
                "stall": (max(low for low, _ in gaps), t["stall_ms"], max(high for _, high in gaps)),
            }  # fmt: skip
            figures.append({name: [round(v, 3) for v in values] for name, values in between.items()})
            for name, (low, value, high) in between.items():
                assert low - 0.002 <= value <= high + 0.002, (name, figures)
            assert wrote[0] - role >= 120, "the role chunk is the first event and not the first token"
    print(figures)
