"""Token estimates against tiktoken itself: within 1 % on chat requests with OpenAI's overheads, the same on texts.

The requests are the tests' own and, with `LIMPID_STREAMS=<folder of recordings>`, those of the recordings. The formula of
a request's overhead is written out here a second time, from OpenAI's cookbook.
"""
import json, os, pathlib, subprocess

import pytest

import token_table

tiktoken = pytest.importorskip("tiktoken", reason="the package tiktoken is not installed")


@pytest.fixture(scope="module", autouse=True)
def built(tmp_path_factory):
    subprocess.run(["cargo", "build", "-q", "-p", "limpid-settle", "--example", "token_lines"], cwd=token_table.ROOT, check=True)
    token_table.tiktoken_offline(str(tmp_path_factory.mktemp("tiktoken")))


def cookbook(body: dict, encoding) -> int:
    tokens = 3
    for message in body["messages"]:
        tokens += 3 + sum(len(encoding.encode_ordinary(value)) for value in message.values()) + ("name" in message)
    return tokens


def own() -> list[dict]:
    files = [token_table.ROOT / name for name in ("ARCHITECTURE.md", "Cargo.lock", "crates/settle/src/tokens/prompt.rs")]
    pages = [file.read_text(encoding="utf-8") for file in files]
    system = {"role": "system", "content": "Answer in one sentence. 簡潔に。 Кратко."}
    return [{"messages": [system, {"role": "user", "name": "ann", "content": page[:n]}]} for page in pages for n in (40, 4000, 200_000)]


def recorded() -> list[dict]:
    folder = os.environ.get("LIMPID_STREAMS")
    if not folder:
        print("LIMPID_STREAMS is not set: the recordings' requests are left out")
        return []
    bodies = [json.loads(file.read_text()).get("body") for file in sorted(pathlib.Path(folder).glob("*/request.json"))]
    texts = [b["messages"] for b in bodies if isinstance(b, dict) and isinstance(b.get("messages"), list)]
    plain = [m for m in texts if all(isinstance(v, str) for one in m for v in one.values())]
    return [{"messages": messages} for messages in plain]


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "gpt-4", "gpt-3.5-turbo"])
def test_chat_requests_are_within_one_percent_of_tiktoken(model):
    encoding = tiktoken.encoding_for_model(model)
    bodies = own() + recorded()
    answers = token_table.estimates([{"model": model, "endpoint": "chat", "body": body} for body in bodies])
    for body, answer in zip(bodies, answers, strict=True):
        want = cookbook(body, encoding)
        assert answer["method"] == f"tiktoken:{encoding.name}"
        assert abs(answer["tokens"] - want) <= want / 100, (model, want, answer, str(body)[:200])
    print(model, len(bodies), "requests")
