"""What `record_fixtures.py` asks the servers, and how each exchange should be judged."""

from __future__ import annotations

from dataclasses import dataclass, field

import rawhttp

ENDPOINTS = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/responses": "responses", "/v1/messages": "messages",
             "/v1/embeddings": "embeddings", "/api/chat": "generate", "/api/generate": "generate", "/api/embed": "embeddings"}  # fmt: skip


@dataclass
class Case:
    name: str
    path: str
    body: dict | bytes
    category: str = "ok"
    leave_after: int = 0  # bytes of the body after which the client goes
    kill_after: int = 0  # bytes of the body after which the server is killed
    fields: rawhttp.Fields = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return ENDPOINTS.get(self.path, "other")


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "weather", "description": "The weather of a city", "parameters": WEATHER}}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def asks(prompt: str = "Name two colours.", model: str = "smollm2-135m", **more) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 8, "temperature": 0, "seed": 1} | more


def chat(name: str, *, category: str = "ok", leave_after: int = 0, kill_after: int = 0, **more) -> Case:
    return Case(name, "/v1/chat/completions", asks(**more), category, leave_after, kill_after)


def says(**more) -> dict:
    return {"model": "smollm2-135m", "max_tokens": 8, "temperature": 0, "messages": [{"role": "user", "content": "Name two colours."}]} | more


def completes(**more) -> dict:
    return {"model": "smollm2-135m", "prompt": "One, two, three,", "max_tokens": 6, "temperature": 0, "seed": 1} | more


def answers(**more) -> dict:
    return {"model": "smollm2-135m", "input": "Name two colours.", "max_output_tokens": 6, "temperature": 0} | more


# Grammars make the model write what it would not: it is small.
THINKS = 'root ::= "<think>\\nIt is red.\\n</think>\\n\\nRed."'
NO_TEXT = 'root ::= ""'
EMOJI = 'root ::= "Ærø 🔆 明るい"'

LLAMACPP = [
    chat("chat"),
    chat("chat-stop", grammar='root ::= "Red."', max_tokens=20),
    chat("chat-n2", n=2, temperature=1),
    chat("chat-logprobs", logprobs=True, top_logprobs=2, max_tokens=3),
    chat("chat-tools", tools=[FUNCTION], tool_choice="required", max_tokens=60, prompt="How is the weather in Rome?"),
    chat("chat-reasoning", grammar=THINKS, max_tokens=40),
    chat("chat-stream", stream=True),
    chat("chat-stream-usage", **USAGE),
    chat("chat-stream-stop", grammar='root ::= "Red."', max_tokens=20, **USAGE),
    chat("chat-stream-emoji", grammar=EMOJI, max_tokens=30, **USAGE),
    chat("chat-stream-empty", grammar=NO_TEXT, **USAGE),
    chat("chat-stream-n2", n=2, temperature=1, max_tokens=4, **USAGE),
    chat("chat-stream-logprobs", logprobs=True, top_logprobs=2, max_tokens=4, **USAGE),
    chat("chat-stream-timings", timings_per_token=True, max_tokens=4, **USAGE),
    chat("chat-stream-progress", return_progress=True, max_tokens=4, **USAGE),
    chat("chat-stream-tools", tools=[FUNCTION], tool_choice="required", max_tokens=60, prompt="How is the weather in Rome?", **USAGE),
    chat("chat-stream-reasoning", grammar=THINKS, max_tokens=40, **USAGE),
    chat("chat-stream-reasoning-cut-by-length", grammar=THINKS, max_tokens=5, **USAGE),
    chat("chat-stream-aborted", category="cancelled", leave_after=1200, max_tokens=400, ignore_eos=True, **USAGE),
    chat("chat-stream-server-killed", category="stream_error", kill_after=1200, max_tokens=400, ignore_eos=True, **USAGE),
    chat("error-context", category="client_request", prompt="word " * 900),
    chat("error-context-stream", category="client_request", prompt="word " * 900, stream=True),
    chat("error-grammar", category="client_request", grammar="root ::= ("),
    Case("error-not-json", "/v1/chat/completions", b'{"model": "smollm2-135m", "messages": [', "client_request"),
    Case("completions", "/v1/completions", completes()),
    Case("completions-stream", "/v1/completions", completes(stream=True)),
    Case("completions-stream-usage", "/v1/completions", completes(**USAGE)),
    Case("completions-stream-logprobs", "/v1/completions", completes(logprobs=2, max_tokens=4, **USAGE)),
    Case("native-completion", "/completion", {"prompt": "One, two,", "n_predict": 4, "temperature": 0}),
    Case("native-completion-stream", "/completion", {"prompt": "One, two,", "n_predict": 4, "temperature": 0, "stream": True}),
    Case("responses", "/v1/responses", answers()),
    Case("responses-stream", "/v1/responses", answers(stream=True)),
    Case("responses-stream-aborted", "/v1/responses", answers(stream=True, max_output_tokens=400, ignore_eos=True), "cancelled", leave_after=1500),
    Case("messages", "/v1/messages", says()),
    Case("messages-tools", "/v1/messages", says(tools=[{"name": "weather", "input_schema": WEATHER}], tool_choice={"type": "any"}, max_tokens=60)),
    Case("messages-stream", "/v1/messages", says(stream=True)),
    Case("messages-stream-tools", "/v1/messages", says(stream=True, tools=[{"name": "weather", "input_schema": WEATHER}], tool_choice={"type": "any"}, max_tokens=60)),
    Case("messages-stream-aborted", "/v1/messages", says(stream=True, max_tokens=400, ignore_eos=True), "cancelled", leave_after=1200),
    Case("error-messages-none", "/v1/messages", {"model": "smollm2-135m", "max_tokens": 8}, "upstream_error"),
    Case("error-embeddings-off", "/v1/embeddings", {"model": "smollm2-135m", "input": "a lighthouse"}, "upstream_error"),
    Case("error-no-such-path", "/v1/nothing", {}, "client_request"),
    Case("tokenize", "/tokenize", {"content": "Name two colours."}),
]

EMBEDDINGS = [Case("embeddings", "/v1/embeddings", {"model": "tiny", "input": "a lighthouse"}),
              Case("embeddings-two", "/v1/embeddings", {"model": "tiny", "input": ["a lighthouse", "a ship"]})]  # fmt: skip


def mock(name: str, path: str, content: str, category: str = "ok", leave_after: int = 0, **more) -> Case:
    """aimock answers by the last message: the names of `node/fixtures.json`."""
    model = {"messages": "claude-mock", "generate": "llama-mock"}.get(ENDPOINTS.get(path, ""), "gpt-4o-mini")
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    if path == "/v1/responses":
        body = {"model": model, "input": content}
    elif path == "/v1/messages":
        body["max_tokens"] = 100
    elif path == "/api/generate":
        body = {"model": model, "prompt": content}
    elif path == "/v1/completions":
        body = {"model": model, "prompt": content}
    elif "google" in path or "v1beta" in path:
        body = {"contents": [{"role": "user", "parts": [{"text": content}]}]}
    return Case(name, path, body | more, category, leave_after)


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
CLAUDE_TOOL = {"name": "weather", "input_schema": WEATHER}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": WEATHER}

AIMOCK = [
    mock("chat", CHAT, "case-plain"),
    mock("chat-reasoning", CHAT, "case-reasoning", model="o3-mini"),
    mock("chat-tools", CHAT, "case-tools", tools=[FUNCTION]),
    mock("chat-stream", CHAT, "case-plain", stream=True),
    mock("chat-stream-usage", CHAT, "case-plain", **USAGE),
    mock("chat-stream-reasoning", CHAT, "case-reasoning", model="o3-mini", **USAGE),
    mock("chat-stream-tools", CHAT, "case-tools", tools=[FUNCTION], **USAGE),
    mock("chat-stream-truncated", CHAT, "case-truncated", "stream_error", stream=True),
    mock("chat-stream-aborted", CHAT, "case-long", "cancelled", leave_after=600, stream=True),
    mock("error-400", CHAT, "case-error-400", "client_request"),
    mock("error-429", CHAT, "case-error-429", "rate_limit"),
    mock("error-429-stream", CHAT, "case-error-429", "rate_limit", stream=True),
    mock("error-500", CHAT, "case-error-500", "upstream_error"),
    mock("error-529", CHAT, "case-error-529", "overloaded"),
    mock("responses", RESPONSES, "case-plain"),
    mock("responses-tools", RESPONSES, "case-tools", tools=[RESPONSES_TOOL]),
    mock("responses-stream", RESPONSES, "case-plain", stream=True),
    mock("responses-stream-reasoning", RESPONSES, "case-reasoning", model="o3-mini", stream=True),
    mock("responses-stream-tools", RESPONSES, "case-tools", tools=[RESPONSES_TOOL], stream=True),
    mock("responses-stream-truncated", RESPONSES, "case-truncated", "stream_error", stream=True),
    mock("messages", MESSAGES, "case-plain"),
    mock("messages-tools", MESSAGES, "case-tools", tools=[CLAUDE_TOOL]),
    mock("messages-stream", MESSAGES, "case-plain", stream=True),
    mock("messages-stream-reasoning", MESSAGES, "case-reasoning", stream=True),
    mock("messages-stream-tools", MESSAGES, "case-tools", tools=[CLAUDE_TOOL], stream=True),
    mock("messages-stream-truncated", MESSAGES, "case-truncated", "stream_error", stream=True),
    mock("error-messages-429", MESSAGES, "case-error-429", "rate_limit"),
    mock("error-messages-529", MESSAGES, "case-error-529", "overloaded"),
    mock("ollama-chat", "/api/chat", "case-plain", stream=False),
    mock("ollama-chat-stream", "/api/chat", "case-plain", stream=True),
    mock("ollama-chat-stream-tools", "/api/chat", "case-tools", tools=[FUNCTION], stream=True),
    mock("ollama-generate", "/api/generate", "case-plain", stream=False),
    mock("ollama-generate-stream", "/api/generate", "case-plain", stream=True),
    Case("embeddings", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a lighthouse"}),
    mock("gemini", "/v1beta/models/gemini-2.5-flash:generateContent", "case-plain"),
    mock("gemini-stream", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "case-plain"),
]

TRANSFORMERS = [
    chat("chat", max_tokens=6),
    chat("chat-stream", max_tokens=6, stream=True),
    chat("chat-stream-usage", max_tokens=6, **USAGE),
    chat("chat-stream-aborted", category="cancelled", leave_after=900, max_tokens=200, stream=True),
    chat("error-unknown-field", category="client_request", no_such_field=1),
    Case("completions", "/v1/completions", completes()),
    Case("completions-stream", "/v1/completions", completes(stream=True)),
    Case("responses", "/v1/responses", answers()),
    Case("responses-stream", "/v1/responses", answers(stream=True)),
]
