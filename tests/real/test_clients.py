"""The official clients get the same objects and the same exceptions through limpid as from the server itself."""

from __future__ import annotations

import anthropic
import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TOO_LONG = [{"role": "user", "content": "word " * 3000}]
FIXED = {"temperature": 0, "seed": 7, "extra_body": {"cache_prompt": False}}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 24}}, "required": ["city"]}
CITIES = ["Paris", "Rome", "Berlin"]  # so small a model calls a tool only if it has seen how, and is confused by results


def asked_before() -> list[dict]:
    history = []
    for i, city in enumerate(CITIES):
        call = {"id": f"c{i}", "type": "function", "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'}}
        history += [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
    return [*history, {"role": "user", "content": "What is the weather in Madrid?"}]


def asked_anthropic_before() -> list[dict]:
    history = []
    for i, city in enumerate(CITIES):
        history += [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": f"c{i}", "name": "weather", "input": {"city": city}}]},
        ]
    return [*history, {"role": "user", "content": "What is the weather in Madrid?"}]


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60)


def anthropic_client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60)


@pytest.fixture
def both(smollm, limpid):
    """`both(make, call)`: `call` with a client of the server and with one of limpid; the two results."""
    through = limpid(smollm.url)

    def run(make, call):
        return call(make(smollm.url)), call(make(through.data))

    run.record = through.record
    return run


def chat(client: openai.OpenAI, **more):
    return client.chat.completions.create(model="smollm2-135m", messages=QUESTION, max_tokens=24, **FIXED, **more)


def test_openai_chat(both):
    straight, relayed = both(openai_client, chat)
    assert relayed.choices == straight.choices
    assert relayed.usage == straight.usage
    record = both.record()
    assert record["usage"]["output_tokens"] == relayed.usage.completion_tokens
    assert record["outcome"]["reason"] == relayed.choices[0].finish_reason


def test_openai_chat_streamed_with_usage(both):
    def call(client):
        chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        return text, [c.choices[0].finish_reason for c in chunks if c.choices], chunks[-1].usage

    straight, relayed = both(openai_client, call)
    assert relayed == straight and len(relayed[0]) > 10
    record = both.record()
    assert record["usage"]["output_tokens"] == relayed[2].completion_tokens
    # The client leaves at `[DONE]`: a finished reply all the same.
    assert record["outcome"]["category"] == "ok"


def test_openai_chat_stream_closed_early(both):
    def call(client):
        with chat(client, stream=True) as stream:
            return [next(iter(stream)).object for _ in range(3)]

    straight, relayed = both(openai_client, call)
    assert relayed == straight
    assert both.record()["outcome"]["category"] == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
def test_openai_tools(both, stream):
    tool = {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": PARAMETERS}}

    def call(client):
        got = client.chat.completions.create(model="smollm2-135m", messages=asked_before(), tools=[tool], max_tokens=40, stream=stream, **FIXED)
        if not stream:
            return got.choices[0].finish_reason, got.choices[0].message.tool_calls[0].function
        name = arguments = ""
        for c in got:
            for t in c.choices[0].delta.tool_calls or []:
                name, arguments = name + (t.function.name or ""), arguments + (t.function.arguments or "")
            reason = c.choices[0].finish_reason
        return reason, name, arguments

    straight, relayed = both(openai_client, call)
    assert relayed == straight
    assert "weather" in str(relayed)
    record = both.record()
    assert record["outcome"]["reason"] == relayed[0]
    if stream:
        assert record["timing"]["ttft_ms"] > 0 and "first_content_ms" not in record["timing"]


def test_openai_completions(both):
    def call(client):
        return client.completions.create(model="smollm2-135m", prompt="Once upon", max_tokens=12, **FIXED)

    straight, relayed = both(openai_client, call)
    assert (relayed.choices, relayed.usage) == (straight.choices, straight.usage)
    assert both.record()["endpoint"] == "completions"


def test_openai_responses(both):
    def call(client):
        got = client.responses.create(
            model="smollm2-135m", input="What is the capital of France?", max_output_tokens=24, temperature=0,
            extra_body={"cache_prompt": False, "seed": 7})  # fmt: skip
        return got.output_text, got.usage

    straight, relayed = both(openai_client, call)
    assert relayed == straight and relayed[0]
    record = both.record()
    assert (record["endpoint"], record["usage"]["output_tokens"]) == ("responses", relayed[1].output_tokens)


def test_openai_responses_streamed(both):
    def call(client):
        stream = client.responses.create(
            model="smollm2-135m", input="What is the capital of France?", max_output_tokens=24, temperature=0, stream=True,
            extra_body={"cache_prompt": False, "seed": 7})  # fmt: skip
        got = list(stream)
        return [e.type for e in got], "".join(e.delta for e in got if e.type == "response.output_text.delta"), got[-1].response.usage

    straight, relayed = both(openai_client, call)
    assert relayed == straight and len(relayed[1]) > 10
    record = both.record()
    assert record["usage"]["output_tokens"] == relayed[2].output_tokens
    assert record["chunks"]["tokens_events"] == relayed[0].count("response.output_text.delta")


def test_openai_models(both):
    straight, relayed = both(openai_client, lambda client: client.models.list().data)
    assert relayed[0].id == straight[0].id == "smollm2-135m"
    assert both.record()["endpoint"] == "models"


@pytest.mark.parametrize("stream", [False, True])
def test_openai_context_too_long(both, stream):
    def call(client):
        with pytest.raises(openai.APIStatusError) as e:
            client.chat.completions.create(model="smollm2-135m", messages=TOO_LONG, stream=stream)
        return type(e.value), e.value.status_code, e.value.body, str(e.value)

    straight, relayed = both(openai_client, call)
    assert relayed == straight
    assert relayed[0] is openai.BadRequestError
    record = both.record()
    assert (record["outcome"]["category"], record["status"]) == ("client_request", 400)
    assert "context" in record["outcome"]["reason"]


def test_openai_not_found(both):
    def call(client):
        with pytest.raises(openai.NotFoundError) as e:
            client.get("/no/such", cast_to=object)
        return e.value.body

    straight, relayed = both(openai_client, call)
    assert relayed == straight


def message(client: anthropic.Anthropic, **more):
    return client.messages.create(model="smollm2-135m", messages=QUESTION, max_tokens=24,
                                  extra_body={"temperature": 0, "cache_prompt": False, "seed": 7}, **more)  # fmt: skip


def test_anthropic_messages(both):
    straight, relayed = both(anthropic_client, message)
    assert (relayed.content, relayed.stop_reason, relayed.usage) == (straight.content, straight.stop_reason, straight.usage)
    record = both.record()
    assert (record["endpoint"], record["usage"]["output_tokens"]) == ("messages", relayed.usage.output_tokens)


def test_anthropic_messages_streamed(both):
    def call(client):
        got = list(message(client, stream=True))
        text = "".join(e.delta.text for e in got if e.type == "content_block_delta")
        usage = next(e.usage for e in got if e.type == "message_delta")
        return text, usage, {e.type for e in got}

    straight, relayed = both(anthropic_client, call)
    assert relayed == straight and len(relayed[0]) > 10
    record = both.record()
    assert record["usage"]["output_tokens"] == relayed[1].output_tokens
    assert (record["stream"], record["outcome"]["category"]) == (True, "ok")
    assert record["timing"]["ttft_ms"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_tools(both, stream):
    tool = {"name": "weather", "description": "The weather", "input_schema": PARAMETERS}
    asked = {"model": "smollm2-135m", "messages": asked_anthropic_before(), "max_tokens": 40, "tools": [tool],
             "extra_body": {"temperature": 0, "cache_prompt": False, "seed": 7}}  # fmt: skip

    def call(client):
        if not stream:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as s:
            return s.get_final_message()

    straight, relayed = both(anthropic_client, call)
    assert [c.name for c in relayed.content if c.type == "tool_use"] == ["weather"]
    assert [(c.name, c.input) for c in relayed.content if c.type == "tool_use"] == [
        (c.name, c.input) for c in straight.content if c.type == "tool_use"]  # fmt: skip


def test_anthropic_context_too_long(both):
    def call(client):
        with pytest.raises(anthropic.APIStatusError) as e:
            client.messages.create(model="smollm2-135m", messages=TOO_LONG, max_tokens=8)
        return type(e.value), e.value.status_code, e.value.body

    straight, relayed = both(anthropic_client, call)
    assert relayed == straight
    assert both.record()["outcome"]["category"] == "client_request"


def test_what_limpid_answers_itself_reaches_the_clients_as_their_own_errors(limpid):
    from processes import free_port

    through = limpid(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(openai.InternalServerError) as o:
        chat(openai_client(through.data))
    assert o.value.status_code == 502 and o.value.type.startswith("limpid_")
    with pytest.raises(anthropic.InternalServerError) as a:
        message(anthropic_client(through.data))
    assert a.value.status_code == 502 and a.value.body["type"] == "error"
