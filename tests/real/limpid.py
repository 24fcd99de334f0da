"""The binary under test as a process, and what can be read from it."""

from __future__ import annotations

import json
import os
import pathlib
import re

import rawhttp
from processes import Process, clean_env, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
BINARY = pathlib.Path(os.environ.get("LIMPID_BIN") or TARGET / "debug" / "limpid")
LOGS = TARGET / "test-logs"

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Samples(list):
    """The samples of a `/metrics` page: (name, labels, value)."""

    @staticmethod
    def parse(text: str) -> Samples:
        lines = (SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))
        return Samples((m[1], dict(LABEL.findall(m[2] or "")), float(m[3])) for m in lines if m)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of that name with those labels; 0 where there is none."""
        return sum(v for n, have, v in self if n == name and labels.items() <= have.items())


class Limpid(Process):
    """`limpid serve` with both listeners on free ports and an exchange log of its own.

    `upstream` is a base URL, or None where `args` bring a settings file.
    """

    def __init__(self, upstream: str | None, folder: pathlib.Path, *args: str, **env: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.exchange_log, addresses = folder / "exchanges.jsonl", folder / "addresses.json"
        for stale in (self.exchange_log, addresses):
            stale.unlink(missing_ok=True)
        command = [str(BINARY), "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                   "--exchange-log", str(self.exchange_log), "--addresses-file", str(addresses), *args]
        if upstream:
            command += ["--upstream", upstream]
        super().__init__(command, folder / "limpid.log", clean_env(**env))

        def told() -> dict | None:
            try:
                return json.loads(addresses.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None

        try:
            at = self.wait_for("limpid's addresses", told, 10)
        except AssertionError:
            self.end()
            raise
        self.data, self.admin = f"http://{at['data']}", f"http://{at['admin']}"
        self.address = rawhttp.address(at["data"])

    def ask(self, method: str, path: str, body=None, fields: rawhttp.Fields = ()) -> rawhttp.Reply:
        return rawhttp.ask(self.data, method, path, body, fields)

    def all_records(self) -> list[dict]:
        """The whole lines of the exchange log so far."""
        text = self.exchange_log.read_text() if self.exchange_log.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def records(self, n: int, seconds: float = 5.0) -> list[dict]:
        """Waits until the exchange log has `n` lines; returns them all, oldest first. More than `n` is a failure."""
        have = until(f"{n} records", lambda: len(r := self.all_records()) >= n and r, seconds)
        assert len(have) == n, f"{len(have)} records instead of {n}"
        return have

    def record(self) -> dict:
        """The newest record once there is one more than at the last call."""
        self._seen = getattr(self, "_seen", 0) + 1
        return self.records(self._seen)[-1]

    def metrics_text(self, accept: str = "text/plain") -> str:
        reply = rawhttp.ask(self.admin, "GET", "/metrics", fields=[("Accept", accept)])
        assert reply.status == 200
        return reply.body.decode()

    def metrics(self) -> Samples:
        return Samples.parse(self.metrics_text())
