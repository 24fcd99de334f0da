"""limpid's times against llama.cpp's own clock, which rides in the last chunk of the same reply as `timings`.

What the clocks measure. llama.cpp's `prompt_ms` runs from the start of the prompt's processing to the sampling of the
first token; `predicted_ms` runs on from there to the last token, and so covers n − 1 steps for `predicted_n` = n tokens
(its own `predicted_per_token_ms` divides by n). limpid's TTFT runs from the arrival of the request's head to the read
that brings the first token event, so it holds besides the prompt: the request's parsing, tokenizing and queueing at
llama.cpp and the way back, some milliseconds. Its TPOT is (last − first) / (n − 1).
"""

from __future__ import annotations

import json
import statistics
import time

import rawhttp
from rawhttp import events
from scripted import Scripted, chunk, chunked_head

RUNS = 5
PROMPT = "Continue this text. " + "The lighthouse keeper counts the ships that pass. " * 16
OUTPUT = 128


def run(backend, through, **more) -> tuple[dict, dict, bytes]:
    body = backend.chat(PROMPT, stream=True, max_tokens=OUTPUT, ignore_eos=True, **more)
    reply = rawhttp.ask(through.data, "POST", "/v1/chat/completions", body)
    assert reply.status == 200 and reply.whole
    last = next(json.loads(e) for e in reversed(events(reply.body)) if b'"timings"' in e)
    return through.record(), last["timings"], reply.body


def test_ttft_and_tpot_agree_with_the_backends_own_clock(smollm, limpid, record_property):
    through = limpid(smollm.url)
    ttft_off_ms, tpot_off_percent = [], []
    for _ in range(RUNS):
        record, timings, _ = run(smollm, through, stream_options={"include_usage": True})
        n = timings["predicted_n"]
        assert record["usage"] == {"input_tokens": timings["prompt_n"], "output_tokens": n, "source": "reported",
                                   "cached_input_tokens": 0} and n == OUTPUT  # fmt: skip
        ttft_off_ms.append(record["timing"]["ttft_ms"] - timings["prompt_ms"])
        tpot_off_percent.append(100 * (record["timing"]["tpot_ms"] / (timings["predicted_ms"] / (n - 1)) - 1))
    figures = {"ttft − prompt_ms, ms": rounded(ttft_off_ms), "tpot, % off": rounded(tpot_off_percent)}
    print(figures)
    record_property("figures", figures)
    assert 0 <= statistics.median(ttft_off_ms) <= 15, figures
    assert abs(statistics.median(tpot_off_percent)) <= 2, figures


def test_the_parts_of_a_record_fit_together(smollm, limpid):
    through = limpid(smollm.url)
    record, timings, body = run(smollm, through, stream_options={"include_usage": True})
    t, data = record["timing"], events(body)
    assert t["upstream_headers_ms"] <= t["first_byte_ms"] <= t["first_event_ms"] <= t["ttft_ms"] <= t["first_content_ms"] <= t["total_ms"]
    assert t["upstream_ttft_ms"] <= t["ttft_ms"]
    assert t["stall_ms"] >= t["tpot_ms"]
    assert 0 <= t["overhead_ms"] < 50
    assert t["total_ms"] >= timings["prompt_ms"] + timings["predicted_ms"]
    assert abs(t["output_tokens_per_s"] * t["tpot_ms"] / 1000 - OUTPUT / (OUTPUT - 1)) < 0.01
    assert record["chunks"]["events"] == len(data)
    tokens = [e for e in data if e != b"[DONE]" and any(c["delta"].get("content") for c in json.loads(e)["choices"])]
    assert record["chunks"]["tokens_events"] == len(tokens)
    assert record["bytes"]["response"] == len(body)
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
    """An upstream that notes when it wrote what: a role chunk at once, a comment, the first token after 120 ms, nine
    more 15 ms apart but one after 90 ms. No model in the way, so the bounds are a few milliseconds."""
    wrote: list[float] = []

    def delta(**d) -> bytes:
        return chunk(b"data: " + json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "delta": d}]}).encode() + b"\n\n")

    def script(s, _request):
        wrote.append(time.monotonic())
        s.sendall(chunked_head() + delta(role="assistant", content=""))
        s.sendall(chunk(b": ping\n\n"))
        for i in range(10):
            time.sleep({0: 0.12, 6: 0.09}.get(i, 0.015))
            wrote.append(time.monotonic())
            s.sendall(delta(content=f"t{i}"))
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}}
        s.sendall(chunk(b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n")

    off = []
    with Scripted(script) as upstream:
        through = limpid(upstream.url)
        for _ in range(5):
            wrote.clear()
            through.ask("POST", "/v1/chat/completions", {"model": "m", "messages": [], "stream": True})
            t = through.record()["timing"]
            gaps = [b - a for a, b in zip(wrote[1:], wrote[2:])]
            off.append({
                "ttft": t["ttft_ms"] - 1000 * (wrote[1] - wrote[0]),
                "tpot": t["tpot_ms"] - 1000 * (wrote[-1] - wrote[1]) / 9,
                "stall": t["stall_ms"] - 1000 * max(gaps),
                "first_event": t["first_event_ms"],
            })  # fmt: skip
    median = {k: round(statistics.median(o[k] for o in off), 3) for k in off[0]}
    print({"off, ms": median})
    assert 0 <= median["ttft"] < 4
    assert abs(median["tpot"]) < 0.3
    assert abs(median["stall"]) < 3
    assert median["first_event"] < 10, "the role chunk is the first event and not the first token"


def rounded(values: list[float]) -> list[float]:
    return [round(v, 2) for v in values]
