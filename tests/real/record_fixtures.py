#!/usr/bin/env python3
"""Records `tests/fixtures/streams`: real servers' replies, byte for byte, with what is known of each from elsewhere.

    target/test-venv/bin/python tests/real/record_fixtures.py [llamacpp] [aimock] [transformers] [--only CASE]

`tests/run --only real -k nothing` prepares what the first two need. `transformers` is started from an environment of its
own, named by `TRANSFORMERS_VENV` (several gigabytes): `python3 -m venv V; V/bin/pip install 'transformers[serving]'
accelerate torch gguf`.

A recording is a folder of four files, in the layout of `crates/observe/tests/recording`: `request.json`,
`response.meta.json` (the head, the server's version, how it ended), `response.body` (the transfer coding removed, a
content coding kept) and `expected.json`. The expectations come from plain parsing (`facts.py`); where an official client
can read the reply, it must say the same (`official.py`), or nothing is written. Only the outcome's category is the
case's own word: it says what the case was made for.

What is recorded again differs in ids, dates and times, and with another version in whatever that version changed: look
at the difference before you commit it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import rawhttp
from cases import AIMOCK, EMBEDDINGS, LLAMACPP, TRANSFORMERS, Case
from conftest import HERE, Backend
from facts import READINGS, Reading, facts, lines_of_json, server_sent_events
from limpid import LOGS, ROOT
from nodejs import HOME, Aimock
from official import as_json, disagreements, official
from processes import Process, accepts, clean_env, free_port

FIXTURES = ROOT / "tests" / "fixtures" / "streams"


def receive(url: str, case: Case, kill: int | None) -> dict:
    """Asks and keeps the bytes. `leave_after` and `kill_after` count the bytes of the body that are waited for."""
    text = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    with rawhttp.Connection(rawhttp.address(url)) as c:
        c.send("POST", case.path, text, [("Accept-Encoding", "identity"), *case.fields])
        head = c.head()
        if case.leave_after or case.kill_after:
            body, ending = read_part(c, case, kill), "aborted" if case.leave_after else "cut"
        else:
            reply = reply_after(c, head)
            body, ending = reply.body, "complete" if reply.whole else "cut"
    meta = {"status": head.status, "reason": head.start.split(" ", 2)[2], "headers": [list(f) for f in head.fields], "ending": ending}
    return {"meta": meta, "body": body}


def reply_after(c: rawhttp.Connection, head: rawhttp.Head) -> rawhttp.Reply:
    """The rest of a reply whose head was read: put back in front, for `reply` reads it itself."""
    lines = [head.start, *(f"{n}: {v}" for n, v in head.fields)]
    c.buffer = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + c.buffer
    return c.reply()


def read_part(c: rawhttp.Connection, case: Case, kill: int | None) -> bytes:
    body = b""
    wanted = case.leave_after or case.kill_after
    with contextlib.suppress(rawhttp.Gone):
        for chunk in c.chunks():
            body += chunk
            if len(body) >= wanted and kill is not None:
                os.kill(kill, signal.SIGKILL)
                kill = None
            elif len(body) >= wanted and case.leave_after:
                break
    return body


def record(server: dict, folder: pathlib.Path, url: str, case: Case, kill: int | None = None) -> None:
    recording = receive(url, case, kill)
    meta, body = recording["meta"], recording["body"]
    meta |= {"server": server, "endpoint": case.endpoint}
    request = {"method": "POST", "path": case.path, "headers": [["Content-Type", "application/json"], *map(list, case.fields)]}
    request |= {"body_text": case.body.decode()} if isinstance(case.body, bytes) else {"body": case.body}
    recording["request"] = request
    expected = expect(recording, case)
    said = official(recording)
    differs = disagreements(expected, said, recording, visible_text(recording)) if said else []
    if differs:
        raise SystemExit(f"{folder.name}/{case.name}: the official client reads it differently: {differs}\n{body.decode(errors='replace')[:2000]}")
    meta["read_by"] = "facts.py and the official client" if said else "facts.py"
    write(folder / case.name, recording, expected)
    print(f"{folder.name}/{case.name}: {meta['status']} {meta['ending']}, {len(body)} bytes, {case.category}, {meta['read_by']}")


def expect(recording: dict, case: Case) -> dict:
    meta = recording["meta"]
    expected = facts(case.endpoint, content_type(meta), meta["status"], recording["body"])
    asked = case.body.get("model") if isinstance(case.body, dict) else None
    expected["model"] = {"requested": asked} | expected.get("model", {})
    return {"outcome": {"category": case.category}, **expected}


def content_type(meta: dict) -> str:
    return next((v for n, v in meta["headers"] if n.lower() == "content-type"), "")


def visible_text(recording: dict) -> str:
    """What a reader would see of the first choice, for the comparison with the official client."""
    endpoint, body = recording["meta"]["endpoint"], recording["body"]
    reading: Reading = READINGS[endpoint]()
    kind = content_type(recording["meta"]).partition(";")[0]
    if kind == "application/json":
        whole = json.loads(body)
        reading.body(whole)
        parts = whole.get("content", []) if endpoint == "messages" else [p for o in whole.get("output", []) for p in o.get("content") or []]
        return reading.text + "".join(p.get("text", "") for p in parts)
    events = server_sent_events(body) if kind == "text/event-stream" else (("", line) for line in lines_of_json(body))
    for name, data in events:
        reading.event(name, data)
    return reading.text


def write(folder: pathlib.Path, recording: dict, expected: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "request.json").write_text(as_json(recording["request"]))
    (folder / "response.meta.json").write_text(as_json(recording["meta"]))
    (folder / "response.body").write_bytes(recording["body"])
    (folder / "expected.json").write_text(as_json(expected))


# --- the servers --------------------------------------------------------------------------------


@contextlib.contextmanager
def running(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.end()


def llamacpp(wanted) -> None:
    server = {"name": "llama.cpp", "version": f"xllamacpp {importlib.metadata.version('xllamacpp')}", "model": "SmolLM2-135M-Instruct, Q4_1"}
    with running(Backend("smollm2-135m", "--think", "--context", "512")) as b:
        for case in filter(wanted, LLAMACPP):
            if not case.kill_after:
                record(server, FIXTURES / "llamacpp", b.url, case)
    for case in filter(wanted, LLAMACPP):
        if case.kill_after:
            with running(Backend("smollm2-135m", "--think", "--context", "512")) as b:
                record(server, FIXTURES / "llamacpp", b.url, case, kill=b.pid)
    tiny = LOGS.parent / "test-models" / "tiny.gguf"
    tiny.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([os.sys.executable, HERE / "backend.py", "tiny", tiny], check=True)
    server["model"] = "two layers of random weights"
    with running(Backend("tiny", "--model", str(tiny), "--embeddings")) as b:
        for case in filter(wanted, EMBEDDINGS):
            record(server, FIXTURES / "llamacpp", b.url, case)


def aimock(wanted) -> None:
    package = json.loads((HOME / "node_modules" / "@copilotkit" / "aimock" / "package.json").read_text())
    server = {"name": "aimock", "version": package["version"]}
    with running(Aimock(LOGS / "backends" / "aimock-recorded.log")) as b:
        for case in filter(wanted, AIMOCK):
            record(server, FIXTURES / "aimock", b.url, case)


# Turns the GGUF weights into the folder that `transformers serve` reads.
CONVERT = """
import sys, pathlib, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
source, out = pathlib.Path(sys.argv[1]), sys.argv[2]
model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
del model.config.quantization_config
model.hf_quantizer = None
model.save_pretrained(out)
AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(out)
"""


def transformers(wanted) -> None:
    import backend

    venv = pathlib.Path(os.environ.get("TRANSFORMERS_VENV") or "none")
    if not (venv / "bin" / "transformers").exists():
        raise SystemExit("TRANSFORMERS_VENV names no environment with transformers: see the head of this file")
    env = clean_env(HF_HUB_OFFLINE="1")
    with tempfile.TemporaryDirectory() as folder:
        # The model's name in the API is the folder as it was asked for, so it is a short one.
        model = pathlib.Path(folder) / "smollm2-135m"
        subprocess.run([venv / "bin" / "python", "-c", CONVERT, backend.smollm2(), model], check=True, env=env)
        told = subprocess.run([venv / "bin" / "python", "-c", "import transformers; print(transformers.__version__)"], capture_output=True, text=True)
        server = {"name": "transformers serve", "version": told.stdout.strip(), "model": "SmolLM2-135M-Instruct"}
        port = free_port()
        command = [venv / "bin" / "transformers", "serve", "smollm2-135m", "--device", "cpu", "--port", str(port)]
        log = LOGS / "backends" / "transformers.log"
        with contextlib.chdir(folder), running(Process([str(c) for c in command], log, env)) as b:
            b.wait_for("the server to answer", lambda: accepts(port), 300)
            for case in filter(wanted, TRANSFORMERS):
                record(server, FIXTURES / "transformers", f"http://127.0.0.1:{port}", case)


def main() -> None:
    servers = {"llamacpp": llamacpp, "aimock": aimock, "transformers": transformers}
    parser = argparse.ArgumentParser(description="record tests/fixtures/streams anew")
    parser.add_argument("servers", nargs="*", choices=[*servers, []], help="default: llamacpp and aimock")
    parser.add_argument("--only", help="a case's name")
    a = parser.parse_args()
    for name in a.servers or ["llamacpp", "aimock"]:
        if not a.only:
            shutil.rmtree(FIXTURES / name, ignore_errors=True)
        servers[name](lambda case: a.only in (None, case.name))


if __name__ == "__main__":
    main()
