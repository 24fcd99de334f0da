"""What the tests share: the real backends, once a session, and limpid, one process for each upstream that a test names.

Everything listens on loopback at a free port. Logs of all processes stay under `target/test-logs/`.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
from collections.abc import Callable, Iterator

import pytest

from limpid import BINARY, LOGS, Limpid
from processes import Process, clean_env

HERE = pathlib.Path(__file__).parent


def pytest_sessionstart() -> None:
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not built: run `cargo build` first", returncode=3)


class Backend(Process):
    """A llama.cpp server. `url` is its base; its log has a line for each task that it starts, ends or cancels."""

    def __init__(self, name: str, *args: str):
        command = [sys.executable, str(HERE / "backend.py"), "serve", "--until-eof", "--alias", name, *args]
        super().__init__(command, LOGS / "backends" / f"{name}.log", clean_env())
        self.model = name
        at = self.wait_for("the model to be loaded", lambda: re.search(r"^LISTENING (\S+)$", self.output(), re.M))[1]
        self.url = f"http://{at}"

    def chat(self, prompt: str, **more) -> bytes:
        """A chat request's body: the same prompt gives the same reply, and nothing is reused from earlier requests."""
        return json.dumps({
            "model": self.model, "messages": [{"role": "user", "content": prompt}],
            "temperature": 0, "seed": 7, "cache_prompt": False, **more,
        }).encode()


def backend(name: str, *args: str) -> Iterator[Backend]:
    b = Backend(name, *args)
    yield b
    b.end()


@pytest.fixture(scope="session")
def tiny_model() -> pathlib.Path:
    path = LOGS.parent / "test-models" / "tiny.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    maker = Process([sys.executable, str(HERE / "backend.py"), "tiny", str(path)], LOGS / "backends" / "make-tiny.log")
    maker.child.wait(60)
    assert maker.end() == 0, maker.text()
    return path


@pytest.fixture(scope="session")
def smollm() -> Iterator[Backend]:
    """SmolLM2-135M-Instruct with a chat template that knows tools."""
    yield from backend("smollm2-135m", "--tools")


@pytest.fixture(scope="session")
def tiny(tiny_model: pathlib.Path) -> Iterator[Backend]:
    """Random weights: noise, but fast."""
    yield from backend("tiny", "--model", str(tiny_model))


@pytest.fixture(scope="session")
def tiny_embeddings(tiny_model: pathlib.Path) -> Iterator[Backend]:
    """Random weights, serving embeddings."""
    yield from backend("tiny-embeddings", "--model", str(tiny_model), "--embeddings", "--batch", "512")


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> pathlib.Path:
    """The test's own folder for logs, kept after it."""
    path = LOGS / request.module.__name__ / re.sub(r"[^\w.=-]+", "-", request.node.name).strip("-")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def limpid(folder: pathlib.Path) -> Iterator[Callable[..., Limpid]]:
    """Starts limpid: `limpid(upstream_url, *arguments, **environment)`. All are ended after the test, and must then
    leave with exit code 0: a crash in a test that passed otherwise is a failure too."""
    running: list[Limpid] = []

    def start(upstream: str | None, *args: str, **env: str) -> Limpid:
        one = Limpid(upstream, folder / f"limpid-{len(running)}", *args, **env)
        running.append(one)
        return one

    yield start
    codes = [one.end() for one in running]
    assert all(code == 0 for code in codes), f"exit codes {codes}"
    for one in running:
        assert "panicked" not in one.text(), one.text()[-3000:]
