"""The recordings in `tests/fixtures/streams`: their expectations are still what plain parsing and the official clients
say, and the binary's exchange log says the same of each when a socket plays it again.

The Rust tests compare them with the observer, cut at every byte. Here they pass through the whole relay.
"""

from __future__ import annotations

import json
import pathlib

import pytest

import rawhttp
from facts import facts
from limpid import ROOT
from official import disagreements, official
from record_fixtures import content_type, visible_text
from scripted import Scripted, chunk, chunked_head

FOLDERS = sorted(p.parent for p in (ROOT / "tests" / "fixtures" / "streams").glob("*/*/expected.json"))


def read(folder: pathlib.Path) -> tuple[dict, dict]:
    def load(name: str) -> dict:
        return json.loads((folder / name).read_text())

    recording = {"request": load("request.json"), "meta": load("response.meta.json"), "body": (folder / "response.body").read_bytes()}
    return recording, load("expected.json")


def name(folder: pathlib.Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def test_the_expectations_are_what_others_say():
    wrong, asked = [], 0
    for folder in FOLDERS:
        recording, expected = read(folder)
        meta = recording["meta"]
        plain = facts(meta["endpoint"], content_type(meta), meta["status"], recording["body"])
        plain["model"] = {"requested": expected["model"]["requested"]} | plain.get("model", {})
        wrong += [f"{name(folder)}: {k}: {expected.get(k)} is written, {v} is read" for k, v in plain.items() if expected.get(k) != v]
        said = official(recording)
        assert bool(said) == (meta["read_by"] != "facts.py"), name(folder)
        if said:
            asked += 1
            wrong += [f"{name(folder)}: {d}" for d in disagreements(expected, said, recording, visible_text(recording))]
    assert not wrong, "\n".join(wrong)
    assert asked > len(FOLDERS) / 2 and len(FOLDERS) > 70


def play(s, recording: dict) -> None:
    """The recorded head and body, in chunks of 100 bytes, with the recorded end."""
    meta, body = recording["meta"], recording["body"]
    head = chunked_head(content_type(meta)).replace(b"200 OK", f"{meta['status']} {meta['reason']}".encode())
    s.sendall(head + b"".join(chunk(body[i : i + 100]) for i in range(0, len(body), 100)))
    if meta["ending"] == "complete":
        s.sendall(b"0\r\n\r\n")
    elif meta["ending"] == "cut":
        raise OSError("no more: closes the connection in mid-body")


def ask(through, recording: dict) -> None:
    """Asks as the recorder asked. It left an aborted stream once it had what is recorded, and so does this."""
    request = recording["request"]
    body = request["body_text"].encode() if "body_text" in request else json.dumps(request["body"]).encode()
    with rawhttp.Connection(through.address) as c:
        c.send("POST", request["path"], body)
        if recording["meta"]["ending"] == "aborted":
            c.head()
            got = b""
            for piece in c.chunks():
                got += piece
                if len(got) >= len(recording["body"]):
                    break
            assert got == recording["body"]
        else:
            got = c.reply()
            assert got.body == recording["body"] and got.whole == (recording["meta"]["ending"] == "complete")


def differences(record: dict, expected: dict) -> list[str]:
    usage = {k: v for k, v in expected.get("usage", {}).items() if v is not None}
    told = record.get("usage", {})
    if "reported" in (told.get("input_source"), told.get("output_source")):  # the other half is limpid's estimate
        told = {**told, "source": "reported"}
    claims = [
        ("category", record["outcome"]["category"], expected["outcome"]["category"]),
        ("stream", record["stream"], expected["streamed"]),
        ("refusal", record["refusal"]["verdict"], "none"),
    ]
    if expected["model"]["requested"] is not None:  # limpid also finds it in a body that breaks off behind it
        claims.append(("model.requested", record["model"].get("requested"), expected["model"]["requested"]))
    if "responded" in expected["model"]:
        claims.append(("model.responded", record.get("model", {}).get("responded"), expected["model"]["responded"]))
    if expected.get("finish_reasons"):
        claims.append(("finish_reasons", record.get("finish_reasons"), expected["finish_reasons"]))
    if "data_events" in expected:
        claims.append(("events", record["chunks"]["events"], expected["data_events"]))
    if expected["streamed"] and "token_events" in expected:
        claims.append(("tokens_events", record["chunks"]["tokens_events"], expected["token_events"]))
        claims.append(("ttft", "ttft_ms" in record["timing"], expected["token_events"] > 0))
    claims += [(f"usage.{k}", told.get(k), v) for k, v in usage.items()]
    return [f"{what}: {got!r} is logged, {want!r} was recorded" for what, got, want in claims if got != want]


@pytest.mark.parametrize("server", sorted({f.parent.name for f in FOLDERS}))
def test_the_exchange_log_says_what_was_recorded(server, limpid):
    recordings = {name(f): read(f) for f in FOLDERS if f.parent.name == server}
    playing: list[dict] = []
    wrong = []
    with Scripted(lambda s, _request: play(s, playing[-1])) as upstream:
        through = limpid(upstream.url)
        for which, (recording, expected) in recordings.items():
            playing.append(recording)
            ask(through, recording)
            wrong += [f"{which}: {d}" for d in differences(through.record(), expected)]
    assert not wrong, "\n".join(wrong)
