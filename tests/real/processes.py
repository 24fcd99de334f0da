"""Starting, watching and ending the processes under test. Each ends by its own process id, whatever the test does."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: str, probe: Callable[[], T], seconds: float = 10.0, pause: float = 0.005) -> T:
    """The first true value of `probe`; fails after `seconds`. `pause` sets how finely the moment is known."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


def free_port() -> int:
    """A port that was free just now, for programs that cannot choose one and tell it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A child whose stdout and stderr go to files, and whose stdin stays open as long as we live."""

    def __init__(self, args: list[str], log: pathlib.Path, env: dict[str, str] | None = None):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log, self.out = log, log.with_suffix(".out")
        with open(self.log, "wb") as err, open(self.out, "wb") as out:
            self.child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=out, stderr=err, env=env)
        self.pid = self.child.pid

    def text(self) -> str:
        """All of its stderr so far."""
        return self.log.read_text(errors="replace")

    def output(self) -> str:
        """All of its stdout so far."""
        return self.out.read_text(errors="replace")

    def wait_for(self, what: str, probe: Callable[[], T], seconds: float = 30.0) -> T:
        """Like `until`, but fails at once, with its log, if the process ends."""

        def alive() -> T:
            value = probe()
            if not value and self.child.poll() is not None:
                raise AssertionError(f"{self.child.args} ended with {self.child.returncode}:\n{self.text()[-3000:]}")
            return value

        try:
            return until(what, alive, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text()[-3000:]}") from None

    def rss_kib(self) -> int:
        """Resident memory, KiB."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS: the process has ended")

    def rests(self) -> bool:
        """Whether none of its threads runs or wants to: what it does not do now, it waits for, however busy the machine is."""
        states = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                states.append((task / "stat").read_text().rsplit(")", 1)[1].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread that has just ended
        return bool(states) and all(state in "SI" for state in states)

    def end(self, seconds: float = 10.0) -> int:
        """SIGTERM, then SIGKILL after `seconds`. Returns the exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.child.stdin:
            self.child.stdin.close()
        return self.child.returncode


def clean_env(**extra: str) -> dict[str, str]:
    """This environment without what would configure the programs under test, and with `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LIMPID_", "ROTEL_"))}
    return {**kept, **extra}
