"""What the services' own clients make of a recorded reply: a second reading beside `facts.py`.

The bytes are served again from a socket, head and all, and the official `openai` or `anthropic` package reads them.
Only what such a client tells is here; a member that it does not tell is absent.
"""

from __future__ import annotations

import json

import anthropic
import openai

from facts import usage_of_anthropic, usage_of_openai
from scripted import Scripted


def replayed(recording: dict, ask) -> dict | None:
    """`ask(url)` while the recorded reply is served there. A reply that was cut is cut again."""
    def script(s, _request):
        head = recording["meta"]
        fields = "".join(f"{n}: {v}\r\n" for n, v in head["headers"] if n.lower() not in ("transfer-encoding", "content-length", "connection"))
        whole = head["ending"] == "complete"
        promised = len(recording["body"]) + (0 if whole else 1)
        s.sendall(f"HTTP/1.1 {head['status']} {head['reason']}\r\n{fields}Connection: close\r\nContent-Length: {promised}\r\n\r\n".encode("latin-1") + recording["body"])
        raise OSError("no more: closes the connection")

    with Scripted(script) as server:
        return ask(server.url)


def official(recording: dict) -> dict | None:
    """Facts as the official client tells them; None where there is no such client, or it cannot read a broken body."""
    asked, meta = recording["request"], recording["meta"]
    body = asked.get("body")
    whole = meta["ending"] == "complete"
    kind = {"chat": chat, "completions": chat, "embeddings": embeddings, "responses": responses, "messages": messages}.get(meta["endpoint"])
    if kind is None or not isinstance(body, dict) or not whole or not asked["path"].startswith("/v1/"):
        return None

    def ask(url: str) -> dict:
        try:
            return kind(url, body)
        except (openai.APIStatusError, anthropic.APIStatusError) as e:
            return {"status": e.status_code, **told(e)}
        except (openai.APIError, anthropic.APIError) as e:
            return told(e)

    return replayed(recording, ask)


def told(e: Exception) -> dict:
    body = getattr(e, "body", None)
    body = body.get("error", body) if isinstance(body, dict) else {}
    kind, code = body.get("type"), body.get("code")
    if kind is None and code is None:
        return {}  # FastAPI's `{"detail": …}` and the like
    return {"error": {"kind": kind, "code": None if code is None else str(code)}}


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-none", max_retries=0)


def given(value) -> dict:
    """A client's object as it came, without what the client filled in."""
    return value.model_dump(mode="json", exclude_unset=True, warnings=False) if value is not None else {}


def chat(url: str, body: dict) -> dict:
    """Chat and completions; their objects are alike."""
    out: dict = {"finish": {}, "models": [], "events": 0, "text": ""}
    is_chat = "messages" in body
    create = client(url).chat.completions.create if is_chat else client(url).completions.create
    got = create(model=body.get("model", ""), extra_body=body, stream=bool(body.get("stream")), **({"messages": body["messages"]} if is_chat else {"prompt": body["prompt"]}))
    for one in got if body.get("stream") else [got]:
        out["events"] += 1
        out["models"].append(one.model)
        if one.usage:
            out["usage"] = usage_of_openai(given(one.usage))
        for choice in one.choices:
            if choice.finish_reason:
                out["finish"][choice.index] = choice.finish_reason
            if choice.index == 0:
                part = choice.text if not is_chat else (choice.delta if body.get("stream") else choice.message).content
                out["text"] += part or ""
    return summary(out, body)


def summary(out: dict, body: dict) -> dict:
    told = {"model": out["models"][-1], "finish_reasons": [r for _, r in sorted(out["finish"].items())], "text": out["text"]}
    if body.get("stream"):
        told["events"] = out["events"]  # without `[DONE]`
    return told | ({"usage": out["usage"]} if "usage" in out else {})


def embeddings(url: str, body: dict) -> dict:
    got = client(url).embeddings.create(model=body["model"], input=body["input"], encoding_format=body.get("encoding_format", "float"))
    return {"model": got.model, "usage": {"input_tokens": got.usage.prompt_tokens, "source": "reported"}}


def responses(url: str, body: dict) -> dict:
    if not body.get("stream"):
        got = client(url).responses.create(model=body.get("model", ""), input=body["input"])
        if isinstance(got, str):
            return {}  # the label says that it is no JSON, and the client believes it
        return of_response(got) | {"text": got.output_text}
    out: dict = {"text": ""}
    events = 0
    for event in client(url).responses.create(model=body.get("model", ""), input=body["input"], stream=True):
        events += 1
        if event.type == "response.output_text.delta":
            out["text"] += event.delta
        if event.type in ("response.completed", "response.incomplete", "response.failed"):
            out |= of_response(event.response)
    return out | {"events": events}


def of_response(got) -> dict:
    out = {"model": got.model, "response_status": got.status}
    if got.usage:
        out["usage"] = usage_of_openai(given(got.usage))
    return out


def messages(url: str, body: dict) -> dict:
    c = anthropic.Anthropic(base_url=url, api_key="sk-none", max_retries=0)
    asked = {"model": body["model"], "max_tokens": body["max_tokens"], "messages": body.get("messages", [])}
    if not body.get("stream"):
        return of_message(c.messages.create(**asked))
    with c.messages.stream(**asked) as stream:
        return of_message(stream.get_final_message())


def of_message(got) -> dict:
    return {
        "model": got.model,
        "finish_reasons": [got.stop_reason] if got.stop_reason else [],
        "usage": usage_of_anthropic(given(got.usage)),
        "text": "".join(b.text for b in got.content if b.type == "text"),
    }


def disagreements(expected: dict, official_: dict, recording: dict, text: str) -> list[str]:
    """Where the two readings differ. The plain reading counts `[DONE]`, which the client does not show."""
    done = recording["body"].rstrip().endswith(b"[DONE]")
    plain = {
        "status": recording["meta"]["status"],
        "model": (expected.get("model") or {}).get("responded"),
        "events": expected.get("data_events", 0) - done,
        "text": text,
        **{k: expected.get(k) for k in ("finish_reasons", "response_status", "usage", "error")},
    }
    out = []
    for name, value in official_.items():
        if name == "usage":
            claimed = {k: v for k, v in plain["usage"].items() if v is not None}
            differs = {k: (v, value.get(k)) for k, v in claimed.items() if value.get(k) != v}
        else:
            differs = plain[name] != value and (plain[name], value)
        if differs:
            out.append(f"{name}: {differs}")
    return out


def as_json(value) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
