"""limpid asks llama.cpp for the usage of its streams, and the client sees nothing of it.

llama.cpp tells its `timings` in the finish event unasked and in the usage event asked; limpid puts them back. So what
a client gets from an upstream with `ask_for_usage` equals, but for ids and measured times, what it gets straight.
"""

from __future__ import annotations

import json

import pytest

import rawhttp
from rawhttp import address, events
from scripted import Tap
from test_transparency import chat, end_to_end, normalised, replayed

ASKING = {"LIMPID_UPSTREAMS__DEFAULT__ASK_FOR_USAGE": "true"}


def requests(model: str) -> dict[str, tuple[str, dict]]:
    completion = {"model": model, "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0, "seed": 7,
                  "cache_prompt": False, "stream": True}  # fmt: skip
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    return {
        "plain": ("/v1/chat/completions", chat(model, stream=True)),
        "empty-options": ("/v1/chat/completions", chat(model, stream=True, stream_options={})),
        "null-options": ("/v1/chat/completions", chat(model, stream=True, stream_options=None)),
        "n2": ("/v1/chat/completions", chat(model, stream=True, n=2)),
        "timings-and-progress": ("/v1/chat/completions", chat(model, stream=True, timings_per_token=True, return_progress=True)),
        "logprobs": ("/v1/chat/completions", chat(model, stream=True, logprobs=True, top_logprobs=2)),
        "tools": ("/v1/chat/completions", chat(model, stream=True, tools=[tool])),
        "completions": ("/v1/completions", completion),
        "too-long": ("/v1/chat/completions", {**chat(model, stream=True), "messages": [{"role": "user", "content": "word " * 3000}]}),
        "not-streamed": ("/v1/chat/completions", chat(model)),
        "refused-by-the-client": ("/v1/chat/completions", chat(model, stream=True, stream_options={"include_usage": False})),
        "asked-by-the-client": ("/v1/chat/completions", chat(model, stream=True, stream_options={"include_usage": True})),
    }  # fmt: skip


@pytest.mark.parametrize("case", list(requests("")))
def test_the_client_gets_the_unasked_stream(case, tiny, limpid):
    path, body = requests(tiny.model)[case]
    through = limpid(tiny.url, **ASKING)
    straight = rawhttp.ask(tiny.url, "POST", path, body)
    relayed = rawhttp.ask(through.data, "POST", path, body)
    assert relayed.whole and straight.whole
    assert relayed.head.start == straight.head.start
    assert end_to_end(relayed.head) == end_to_end(straight.head)
    assert normalised(relayed.body) == normalised(straight.body)
    record = through.record()
    asked = "client" not in case and case != "not-streamed"
    assert record.get("usage_asked") == ("asked" if asked else None)
    if straight.status == 200 and case not in ("n2", "refused-by-the-client"):
        assert (record["usage"]["source"], record["usage"]["output_tokens"]) == ("reported", 24)
    assert through.metrics().total("limpid_usage_asked_total", why="asked") == asked


def test_the_tokens_are_known_and_the_edit_is_the_only_one(smollm, limpid):
    body = json.dumps(chat(smollm.model, stream=True, max_tokens=48), indent=1).encode()
    with Tap(address(smollm.url)) as tap:
        through = limpid(tap.url, **ASKING)
        relayed = rawhttp.ask(through.data, "POST", "/v1/chat/completions", body)
        sent = replayed(tap.sent)
    upstream, client = events(sent.body), events(relayed.body)
    usage = json.loads(upstream[-2])
    assert usage["choices"] == [] and [*client[:-2], client[-1]] == [*upstream[:-3], upstream[-1]]
    finish = json.loads(upstream[-3])
    assert json.loads(client[-2]) == {**finish, "timings": usage["timings"]}
    record = through.record()
    assert record["usage"] == {
        "input_tokens": usage["usage"]["prompt_tokens"],
        "output_tokens": usage["usage"]["completion_tokens"],
        "cached_input_tokens": usage["usage"]["prompt_tokens_details"]["cached_tokens"],
        "source": "reported",
    }
    assert record["bytes"] == {"request": len(body), "response": len(sent.body)}
    assert record["chunks"]["events"] == len(upstream)
