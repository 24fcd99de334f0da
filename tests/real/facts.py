"""What a recorded reply says, told by plain parsing: the expectations of `tests/fixtures/streams`.

Nothing here is shared with limpid. The definitions are those of `docs/numbers.md`, written a second time: server-sent
events by the standard, JSON by Python's `json`, and a few lines for each dialect. `official.py` then asks the services'
own clients the same questions, so that one reading is checked by another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator


def server_sent_events(body: bytes) -> Iterator[tuple[str, str]]:
    """(name, data) of each event with data. What is left at the end of the body counts if it is whole JSON."""
    name, data = "", []
    lines = re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf"))
    for line in lines[:-1]:
        if not line:
            if "".join(data).strip():
                yield name, "\n".join(data)
            name, data = "", []
            continue
        field, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    rest = "\n".join([*data, lines[-1].decode(errors="replace").removeprefix("data:").strip()]).strip()
    if rest == "[DONE]" or is_json(rest):
        yield name, rest


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def lines_of_json(body: bytes) -> list[str]:
    """NDJSON: the lines that are not empty; the last one may be cut."""
    whole, _, rest = body.decode(errors="replace").rpartition("\n")
    return [line for line in whole.split("\n") if line.strip()] + ([rest] if is_json(rest) else [])


def count(value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def usage_of_openai(u: dict) -> dict:
    prompt, output = u.get("prompt_tokens_details") or u.get("input_tokens_details") or {}, u.get("completion_tokens_details") or u.get("output_tokens_details") or {}
    return {
        "input_tokens": count(u.get("prompt_tokens", u.get("input_tokens"))),
        "output_tokens": count(u.get("completion_tokens", u.get("output_tokens"))),
        "cached_input_tokens": count(prompt.get("cached_tokens")),
        "reasoning_output_tokens": count(output.get("reasoning_tokens")),
        "source": "reported",
    }


def usage_of_anthropic(u: dict) -> dict:
    cached, written = count(u.get("cache_read_input_tokens")), count(u.get("cache_creation_input_tokens"))
    return {
        "input_tokens": u["input_tokens"] + (cached or 0) + (written or 0) if "input_tokens" in u else None,
        "output_tokens": count(u.get("output_tokens")),
        "cached_input_tokens": cached,
        "cache_write_input_tokens": written,
        "source": "reported",
    }


class Reading:
    """What one dialect gathers. `output` is called for each event in order and says (generated, visible)."""

    def __init__(self):
        self.models: list[str] = []
        self.finish: dict[int, str] = {}
        self.usage: dict | None = None
        self.usage_objects = 0
        self.choices = 0
        self.timings: dict | None = None
        self.terminal = False
        self.error: dict | None = None
        self.status: str | None = None  # of Responses
        self.incomplete: str | None = None
        self.text = ""  # the first choice's visible text

    def event(self, name: str, data: str) -> tuple[bool, bool]:
        if data.startswith("[DONE]"):
            self.done()
            return False, False
        return self.reads(json.loads(data))

    def done(self) -> None:
        pass

    def reads(self, e: dict) -> tuple[bool, bool]:
        return False, False

    def body(self, e: dict) -> None:
        self.common(e)

    def common(self, e: dict) -> None:
        if isinstance(e.get("model"), str):
            self.models.append(e["model"])
        if isinstance(e.get("error"), (dict, str)):
            self.error = e["error"] if isinstance(e["error"], dict) else {}
        if isinstance(e.get("timings"), dict):
            self.timings = {k: e["timings"][k] for k in ("prompt_n", "cache_n", "predicted_n") if k in e["timings"]}


class OpenAi(Reading):
    """Chat and completions, whole or streamed."""

    def __init__(self):
        super().__init__()
        self.had_role: set[int] = set()

    def done(self) -> None:
        self.terminal = True

    def reads(self, e: dict) -> tuple[bool, bool]:
        self.common(e)
        generated = visible = False
        for choice in e.get("choices") or []:
            g, v = self.choice(choice, choice.get("delta") or {})
            generated, visible = generated or g, visible or v
        self.count_usage(e)
        return generated, visible

    def body(self, e: dict) -> None:
        self.common(e)
        for choice in e.get("choices") or []:
            self.choice(choice, choice.get("message") or {})
        self.count_usage(e)

    def count_usage(self, e: dict) -> None:
        if isinstance(e.get("usage"), dict):
            self.usage = usage_of_openai(e["usage"])
            self.usage_objects += 1

    def choice(self, choice: dict, message: dict) -> tuple[bool, bool]:
        index = choice.get("index") or 0
        self.choices = max(self.choices, index + 1)
        if choice.get("finish_reason"):
            self.finish[index] = choice["finish_reason"]
        text = choice.get("text") or message.get("content") or ""
        self.text += text if index == 0 else ""
        calls = [c.get("function") or {} for c in message.get("tool_calls") or []] + [message.get("function_call") or {}]
        hidden = [message.get(k) for k in ("reasoning_content", "reasoning", "refusal")] + [c.get(k) for c in calls for k in ("name", "arguments")]
        empty = message.get("content") == "" and index in self.had_role and "role" not in message
        if message.get("role"):
            self.had_role.add(index)
        return bool(text) or empty or any(hidden), bool(text)


class Responses(Reading):
    TOKENS = ("response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta",
              "response.reasoning_summary_text.delta", "response.function_call_arguments.delta")  # fmt: skip
    ENDS = ("response.completed", "response.incomplete", "response.failed")

    def reads(self, e: dict) -> tuple[bool, bool]:
        kind = e.get("type")
        if isinstance(e.get("response"), dict):
            self.body(e["response"], ended=kind in self.ENDS)
        if kind in self.ENDS:
            self.terminal = True
        if kind == "error":
            self.error = e.get("error") or e
        item = e.get("item") or {}
        if kind == "response.output_item.added" and item.get("type") == "function_call" and item.get("name"):
            return True, False
        visible = kind == "response.output_text.delta" and bool(e.get("delta"))
        self.text += e["delta"] if visible else ""
        return kind in self.TOKENS and bool(e.get("delta")), visible

    def body(self, e: dict, ended: bool = True) -> None:
        self.common(e)
        if ended and isinstance(e.get("usage"), dict):
            self.usage = usage_of_openai(e["usage"])
        if ended:
            self.status = e.get("status")
            self.incomplete = (e.get("incomplete_details") or {}).get("reason")


class Messages(Reading):
    def __init__(self):
        super().__init__()
        self.raw_usage: dict = {}

    def reads(self, e: dict) -> tuple[bool, bool]:
        kind = e.get("type")
        if kind == "message_start":
            # The output count that stands here is a placeholder: nothing is generated yet.
            self.body(e["message"] | {"usage": {**(e["message"].get("usage") or {}), "output_tokens": None}})
        elif kind == "message_delta":
            self.ends(e["delta"])
            self.uses(e.get("usage"))
        elif kind == "message_stop":
            self.terminal = True
        elif kind == "error":
            self.error = e["error"]
        elif kind == "content_block_start":
            block = e["content_block"]
            self.text += block.get("text") or ""
            return any(block.get(k) for k in ("text", "thinking")) or block["type"] == "tool_use", bool(block.get("text"))
        elif kind == "content_block_delta":
            delta = e["delta"]
            self.text += delta.get("text") or ""
            return any(delta.get(k) for k in ("text", "thinking", "partial_json")), bool(delta.get("text"))
        return False, False

    def body(self, e: dict) -> None:
        self.common(e)
        self.ends(e)
        self.uses(e.get("usage"))

    def ends(self, e: dict) -> None:
        if e.get("stop_reason"):
            self.finish[0] = e["stop_reason"]

    def uses(self, usage: dict | None) -> None:
        """A later count replaces an earlier one; one that is left out keeps it."""
        if usage:
            self.raw_usage |= {k: v for k, v in usage.items() if v is not None}
            self.usage = usage_of_anthropic(self.raw_usage)


class Ollama(Reading):
    def reads(self, e: dict) -> tuple[bool, bool]:
        self.body(e)
        message = e.get("message") or {}
        text = message.get("content") or e.get("response") or ""
        self.text += text
        return bool(text or message.get("thinking") or e.get("thinking") or message.get("tool_calls")), bool(text)

    def body(self, e: dict) -> None:
        self.common(e)
        if e.get("done"):
            self.terminal = True
            if e.get("done_reason"):
                self.finish[0] = e["done_reason"]
            counts = {"input_tokens": count(e.get("prompt_eval_count")), "output_tokens": count(e.get("eval_count"))}
            if any(v is not None for v in counts.values()):
                self.usage = {**counts, "source": "reported"}


class Embeddings(OpenAi):
    """A total alone is the input: nothing is generated. Ollama has a name of its own for it."""

    def count_usage(self, e: dict) -> None:
        if isinstance(e.get("usage"), dict):
            self.usage = {"input_tokens": e["usage"]["prompt_tokens"], "source": "reported"}


class Unread(Reading):
    """An API whose events limpid counts and does not read."""

    def event(self, name: str, data: str) -> tuple[bool, bool]:
        return False, False

    def body(self, e: dict) -> None:
        pass


READINGS = {"chat": OpenAi, "completions": OpenAi, "responses": Responses, "messages": Messages, "generate": Ollama, "embeddings": Embeddings}


def facts(endpoint: str, content_type: str, status: int, body: bytes) -> dict:
    """`expected.json`, less what only the recorder knows: what was asked, and how the exchange ended."""
    reading = READINGS.get(endpoint, Unread)()
    kind = content_type.partition(";")[0]
    out: dict = {"streamed": kind in ("text/event-stream", "application/x-ndjson")}
    if out["streamed"]:
        events = list(server_sent_events(body)) if kind == "text/event-stream" else [("", line) for line in lines_of_json(body)]
        out["data_events"] = len(events)
        told = [reading.event(name, data) for name, data in events]
        if not isinstance(reading, Unread):
            out |= marks(told)
            out["terminal"] = reading.terminal
    elif kind == "application/json" and is_json(body.decode(errors="replace")):
        whole = json.loads(body)
        if isinstance(whole, dict):
            Reading.common(reading, whole) if status >= 400 else reading.body(whole)
    if isinstance(reading, Unread):
        return out | told_error(reading)
    if status < 400:
        out["model"] = {"responded": reading.models[-1] if reading.models else None}
        out |= ending(reading, endpoint)
        out["usage"] = reading.usage or {"source": None}
        if reading.choices > 1 and reading.timings:
            # llama.cpp: one choice's counts stand there as if they were all.
            out["usage"] = {"source": out["usage"]["source"]}
        if reading.timings and reading.choices <= 1:
            out["timings"] = reading.timings
    return out | told_error(reading)


def marks(told: Iterable[tuple[bool, bool]]) -> dict:
    told = list(told)
    generated, visible = [i for i, (g, _) in enumerate(told) if g], [i for i, (_, v) in enumerate(told) if v]
    return {
        "token_events": len(generated),
        "first_token_event_index": generated[0] if generated else None,
        "last_token_event_index": generated[-1] if generated else None,
        "first_content_event_index": visible[0] if visible else None,
    }


def ending(reading: Reading, endpoint: str) -> dict:
    if endpoint == "responses":
        return {"response_status": reading.status} | ({"incomplete_reason": reading.incomplete} if reading.incomplete else {})
    return {"finish_reasons": [reason for _, reason in sorted(reading.finish.items())]}


def told_error(reading: Reading) -> dict:
    if reading.error is None:
        return {}
    kind, code = reading.error.get("type"), reading.error.get("code")
    return {"error": {"kind": kind, "code": None if code is None else str(code)}}
