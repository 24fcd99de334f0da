"""The official clients for Python see the same through limpid as straight, against a mock of the services' dialects.

`test_clients.py` asks a real model; here a mock says what that model cannot: reasoning, uploads, audio, embeddings,
faults. Each case runs against a fresh aimock and through limpid against another, in the same order. Two runs differ
by themselves in what `test_clients_node.normalised` lists, and in nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib

import anthropic
import httpx2
import openai
import pytest

import nodejs
from test_clients_node import REFUSED, normalised

BINARY = bytes((i * 73 + 41 + (i >> 8)) & 255 for i in range(300_000)) + b"\r\n--boundary\r\n\r\n" + bytes(range(256))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA}}
TOOL = {"name": "weather", "description": "The weather", "input_schema": SCHEMA}
REPLY = "The lighthouse at Ærø has a lamp of 1 000 W — naïve, but 明るい. 🔆"


def asks(content: str, **more) -> dict:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], **more}


def says(content: str, **more) -> dict:
    return {"model": "claude-mock", "max_tokens": 100, "messages": [{"role": "user", "content": content}], **more}


def chaos(what: str) -> dict:
    return {"extra_headers": {f"x-aimock-chaos-{what}": "1"}}


def plain(value):
    """A client's object as Python values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", warnings=False)
    if isinstance(value, bytes):
        return len(value), hashlib.sha256(value).hexdigest()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def told(e: BaseException | None) -> dict | None:
    """An exception as the program sees it, with what lies under it."""
    if e is None:
        return None
    return {"class": type(e).__name__, "text": str(e), "status": getattr(e, "status_code", None),
            "body": getattr(e, "body", None), "cause": told(e.__cause__)}  # fmt: skip


def drained(stream) -> list:
    """All events of a stream, and the error that ended it: the clients let their HTTP library's errors through."""
    events = []
    try:
        for event in stream:
            events.append(plain(event))
    except (openai.OpenAIError, anthropic.AnthropicError, httpx2.TransportError) as e:
        events.append(told(e))
    return events


def head(raw) -> list:
    hop = ("connection", "keep-alive", "transfer-encoding")
    return [raw.status_code, *([n.lower(), v] for n, v in raw.headers.multi_items() if n.lower() not in hop)]


def files(c: openai.OpenAI) -> list:
    made = c.files.create(file=('odd näme "1".bin', BINARY), purpose="user_data")
    got = c.files.content(made.id).read()
    assert got == BINARY
    return plain([made, got, c.files.retrieve(made.id), len(c.files.list().data), c.files.delete(made.id)])


def left_early(stream) -> list:
    with stream:
        events = iter(stream)
        return [plain(next(events)) for _ in range(4)]


async def asynchronous(c: openai.OpenAI) -> list:
    async with openai.AsyncOpenAI(base_url=c.base_url, api_key="sk-none", max_retries=0) as client:
        whole = asyncio.gather(*(client.chat.completions.create(**asks("case-plain")) for _ in range(8)))
        streamed = [plain(e) async for e in await client.chat.completions.create(**asks("case-plain", stream=True))]
        return [plain(await whole), streamed]


async def cancelled(c: openai.OpenAI) -> list:
    """A task that is cancelled in mid-stream."""
    got = []

    async def read() -> None:
        async with openai.AsyncOpenAI(base_url=c.base_url, api_key="sk-none", max_retries=0) as client:
            async for e in await client.chat.completions.create(**asks("case-long", stream=True)):
                got.append(e.choices[0].delta.content)
                if len(got) == 3:
                    task.cancel()

    task = asyncio.create_task(read())
    await asyncio.gather(task, return_exceptions=True)
    return [got[:3], task.cancelled()]


OPENAI = {
    "models": lambda c: c.models.list().data,
    "chat": lambda c: c.chat.completions.create(**asks("case-plain")),
    "chat-head": lambda c: head(c.chat.completions.with_raw_response.create(**asks("case-plain"))),
    "chat-streamed": lambda c: drained(c.chat.completions.create(**asks("case-plain", stream=True, stream_options={"include_usage": True}))),
    "chat-async": lambda c: asyncio.run(asynchronous(c)),
    "reasoning-streamed": lambda c: drained(c.chat.completions.create(**{**asks("case-reasoning", stream=True), "model": "o3-mini"})),
    "tools": lambda c: c.chat.completions.create(**asks("case-tools", tools=[FUNCTION])),
    "tools-streamed": lambda c: drained(c.chat.completions.create(**asks("case-tools", tools=[FUNCTION], stream=True))),
    "responses": lambda c: c.responses.create(model="gpt-4o-mini", input="case-plain"),
    "responses-streamed": lambda c: drained(c.responses.create(model="gpt-4o-mini", input="case-reasoning", stream=True)),
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a lighthouse", "another one"]),
    "files": files,
    "transcription": lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.wav", BINARY), response_format="verbose_json"),
    "speech": lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="a lighthouse").read(),
    "abort": lambda c: left_early(c.chat.completions.create(**asks("case-long", stream=True))),
    "abort-async": lambda c: asyncio.run(cancelled(c)),
    "error-400": lambda c: c.chat.completions.create(**asks("case-error-400")),
    "error-429": lambda c: c.chat.completions.create(**asks("case-error-429")),
    "error-500-streamed": lambda c: c.chat.completions.create(**asks("case-error-500", stream=True)),
    "error-timeout": lambda c: c.chat.completions.create(**asks("case-plain"), timeout=0.2, extra_headers={"x-aimock-chaos-latency": "900"}),
    "retried": lambda c: c.with_options(max_retries=1).chat.completions.create(**asks("case-flaky")),
    "truncated": lambda c: drained(c.chat.completions.create(**asks("case-truncated", stream=True))),
    "truncated-by-time": lambda c: drained(c.chat.completions.create(**asks("case-cut-by-time", stream=True))),
    "chaos-drop": lambda c: c.chat.completions.create(**asks("case-plain"), **chaos("drop")),
    "chaos-malformed": lambda c: c.chat.completions.create(**asks("case-plain"), **chaos("malformed")),
    "chaos-ratelimit": lambda c: c.chat.completions.create(**asks("case-plain"), **chaos("ratelimit")),
    REFUSED: lambda c: c.chat.completions.create(**asks("case-plain"), **chaos("disconnect")),
}

ANTHROPIC = {
    "message": lambda c: c.messages.create(**says("case-plain")),
    "message-head": lambda c: head(c.messages.with_raw_response.create(**says("case-plain"))),
    "streamed": lambda c: drained(c.messages.create(**says("case-plain", stream=True))),
    "thinking-streamed": lambda c: drained(c.messages.create(**says("case-reasoning", stream=True))),
    "tools": lambda c: c.messages.create(**says("case-tools", tools=[TOOL])),
    "tools-streamed": lambda c: drained(c.messages.create(**says("case-tools", tools=[TOOL], stream=True))),
    "abort": lambda c: left_early(c.messages.create(**says("case-long", stream=True))),
    "error-400": lambda c: c.messages.create(**says("case-error-400")),
    "error-429": lambda c: c.messages.create(**says("case-error-429")),
    "error-529-streamed": lambda c: c.messages.create(**says("case-error-529", stream=True)),
    "retried": lambda c: c.with_options(max_retries=1).messages.create(**says("case-flaky")),
    "truncated": lambda c: drained(c.messages.create(**says("case-truncated", stream=True))),
    "truncated-by-time": lambda c: drained(c.messages.create(**says("case-cut-by-time", stream=True))),
    "chaos-drop": lambda c: c.messages.create(**says("case-plain"), **chaos("drop")),
    "chaos-malformed": lambda c: c.messages.create(**says("case-plain"), **chaos("malformed")),
    "chaos-ratelimit": lambda c: c.messages.create(**says("case-plain"), **chaos("ratelimit")),
    REFUSED: lambda c: c.messages.create(**says("case-plain"), **chaos("disconnect")),
}


def run(client, case):
    """What a call gave, normalised; an exception is a result like another."""
    try:
        return normalised(plain(case(client)))
    except Exception as e:
        return {"threw": normalised(told(e))}


def clients(url: str) -> dict:
    return {"openai": openai.OpenAI(base_url=url + "/v1", api_key="sk-none", max_retries=0, timeout=30),
            "anthropic": anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=30)}  # fmt: skip


@pytest.fixture
def sides(limpid, folder):
    """`sides(*flags)`: two aimocks with those flags and limpid before the second; (straight's url, limpid)."""
    running = []

    def start(*flags: str):
        running.extend(nodejs.Aimock(folder / f"aimock-{side}.log", *flags) for side in ("straight", "through"))
        return running[0].url, limpid(running[1].url)

    yield start
    for one in running:
        one.end()


def is_refused(straight: dict, relayed: dict) -> bool:
    """The one difference that is limpid's own: see `REFUSED`."""
    return straight["threw"]["class"] == "APIConnectionError" and relayed["threw"]["status"] == 502 and "limpid_" in str(relayed["threw"]["body"])


@pytest.mark.parametrize("which, cases", [("openai", OPENAI), ("anthropic", ANTHROPIC)], ids=["openai", "anthropic"])
def test_the_same_straight_and_through(which, cases, sides):
    straight_url, through = sides()
    straight = {name: run(clients(straight_url)[which], case) for name, case in cases.items()}
    relayed = {name: run(clients(through.data)[which], case) for name, case in cases.items()}
    assert is_refused(straight.pop(REFUSED), relayed.pop(REFUSED))
    different = [name for name in straight if relayed[name] != straight[name]]
    assert not different, "\n".join(f"{n}:\n  straight {straight[n]}\n  through  {relayed[n]}" for n in different)

    # The comparison would hold for two runs that failed alike.
    threw = {name for name, got in straight.items() if isinstance(got, dict) and "threw" in got}
    assert threw == {name for name in straight if name.startswith(("error-", "chaos-"))}
    assert REPLY in str(straight["chat" if which == "openai" else "message"])
    for name in ("truncated", "truncated-by-time"):
        assert "RemoteProtocolError" in str(straight[name][-1]), straight[name]
    assert {r["outcome"]["category"] for r in through.all_records()} > {"ok", "cancelled"}


@pytest.mark.parametrize("flag", ["drop", "malformed", "ratelimit", "disconnect", "latency"])
def test_the_same_when_the_whole_service_is_in_chaos(flag, sides):
    """aimock's flags `--chaos-…` at a rate of 1: no request escapes, retries included."""
    straight_url, through = sides(f"--chaos-{flag}", "300" if flag == "latency" else "1")
    calls = {
        "openai": lambda c: c.with_options(max_retries=1).chat.completions.create(**asks("case-plain")),
        "anthropic": lambda c: drained(c.with_options(max_retries=1).messages.create(**says("case-plain", stream=True))),
    }
    for which, call in calls.items():
        straight, relayed = run(clients(straight_url)[which], call), run(clients(through.data)[which], call)
        if flag == "disconnect":
            assert is_refused(straight, relayed), (straight, relayed)
        else:
            assert relayed == straight
