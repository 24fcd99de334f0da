#!/usr/bin/env python3
"""A matrix of faults under open streams: what a fault does not concern must not notice it.

    STREAMS=300 target/test-venv/bin/python tests/real/chaos.py [FAULT…]

Two upstreams, `a` and `b`, each with half of the streams. All have begun; then the fault happens; then short requests go to
both; then the upstreams go on and end. Every stream's bytes are known beforehand, and it must hold:

- a stream that the fault does not concern is whole, byte for byte; of one that it does, the client has a true beginning, and is
  never told that it was whole;
- short requests to `b` are answered all the time, and those to `a` unless the fault is `a`'s;
- the exchange log has one record for each request, and says of each what its client saw: whole, or not, and its bytes;
- /metrics has as many of each category as the log; where the log itself is at fault, what it lost is counted;
- /healthz answers in the middle of it; limpid then leaves with 0 on SIGTERM, and has not panicked.

What holds before what is ordered by events, not by times: the clients have what came before, the upstreams wait to be told.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import logging
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from limpid import BINARY, LOGS, Samples
from processes import clean_env

BEFORE, AFTER = 3, 5  # events of a stream before the fault and after it
PATIENCE = 30.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(token: str, n: int) -> bytes:
    it = {"id": token, "model": "m", "choices": [{"index": 0, "delta": {"content": f"{token}/{n} "}, "finish_reason": "stop" if n == BEFORE + AFTER - 1 else None}]}
    return b"data: " + json.dumps(it).encode() + b"\n\n"


def body_of(token: str) -> bytes:
    return b"".join(event(token, n) for n in range(BEFORE + AFTER)) + b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Upstream:
    """Streams that stop after their first events until `go`. Requests for `/short` are answered at once."""

    def __init__(self):
        self.go, self.writers, self.tasks, self.connections = asyncio.Event(), set(), set(), []

    async def start(self) -> Upstream:
        self.server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.I)
                await reader.readexactly(int(length[1]) if length else 0)
                await self.answer(re.search(r"x-request-id: (\S+)", head, re.I)[1], "/short" in head, writer)
        except (OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # RuntimeError: its own side was closed by a fault
        finally:
            self.writers.discard(writer)
            writer.close()

    async def answer(self, token: str, short: bool, writer: asyncio.StreamWriter) -> None:
        if short:
            answer = json.dumps({"id": token, "model": "m"}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            return await writer.drain()
        writer.write(HEAD + b"".join(chunk(event(token, n)) for n in range(BEFORE)))
        await self.go.wait()
        for n in range(BEFORE, BEFORE + AFTER):
            writer.write(chunk(event(token, n)))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async def end(self) -> None:
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        for writer in list(self.writers):
            writer.transport.abort()

    # --- its faults ------------------------------------------------------------------------------

    async def killed(self) -> None:
        """As a process that is killed: its connections are reset and nobody listens."""
        await self.end()

    async def reset(self) -> None:
        for writer in list(self.writers):
            writer.transport.abort()

    async def closed(self) -> None:
        """A proper end of the connection in the middle of a body."""
        for writer in list(self.writers):
            writer.write_eof()
            writer.close()


class Http2Upstream(Upstream):
    """The same over HTTP/2 with prior knowledge."""

    mute = False
    refuse: Callable | None = None  # what becomes of the next request

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        it = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        it.initiate_connection()
        writer.write(it.data_to_send())
        streams: list[int] = []
        self.writers.add(writer)
        self.connections.append((it, writer, streams))
        try:
            while data := await reader.read(1 << 16):
                if self.mute:
                    continue
                for e in it.receive_data(data):
                    if isinstance(e, h2.events.RequestReceived):
                        if refuse := self.refuse:
                            self.refuse = None
                            refuse(it, writer, streams, e.stream_id)
                            continue
                        streams.append(e.stream_id)
                        task = asyncio.create_task(self.stream(it, writer, e.stream_id, dict(e.headers)))
                        self.tasks.add(task)
                        task.add_done_callback(self.tasks.discard)
                    elif isinstance(e, h2.events.DataReceived):
                        it.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                writer.write(it.data_to_send())
        except (OSError, h2.exceptions.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def stream(self, it, writer, number: int, fields: dict) -> None:
        token = fields["x-request-id"]

        def send(data: bytes = b"", head: bool = False, end: bool = False) -> None:
            if self.mute:
                return
            if head:
                it.send_headers(number, [(":status", "200"), ("content-type", "application/json" if "/short" in fields[":path"] else "text/event-stream")])
            for at in range(0, len(data), 16_000):
                it.send_data(number, data[at : at + 16_000])
            if end:
                it.end_stream(number)
            writer.write(it.data_to_send())

        with contextlib.suppress(h2.exceptions.ProtocolError, OSError):
            if "/short" in fields[":path"]:
                return send(json.dumps({"id": token, "model": "m"}).encode(), head=True, end=True)
            send(b"".join(event(token, n) for n in range(BEFORE)), head=True)
            await self.go.wait()
            for n in range(BEFORE, BEFORE + AFTER):
                send(event(token, n))
                await asyncio.sleep(0.01)
            send(b"data: [DONE]\n\n", end=True)

    async def goaway(self) -> None:
        """No more streams on these connections; those that are there go on."""
        for it, writer, streams in self.connections:
            self.say_goaway(it, writer, streams)

    @staticmethod
    def say_goaway(it, writer, streams: list[int], *_) -> None:
        # Written by hand: `h2` takes its own side for closed with it, and would send no more of the streams.
        last = max(streams, default=0)
        writer.write(it.data_to_send() + b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4, "big") + b"\0\0\0\0")

    async def goaway_before(self) -> None:
        """The next request finds a GOAWAY that does not cover it: it was not processed."""
        self.refuse = self.say_goaway

    async def refuses(self) -> None:
        self.refuse = lambda it, _writer, _streams, number: it.reset_stream(number, h2.errors.ErrorCodes.REFUSED_STREAM)

    async def silent(self) -> None:
        self.mute = True


@dataclass
class Got:
    token: str
    where: str
    status: int | None = None
    body: bytes = b""
    whole: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)


def unchunked(raw: bytes) -> tuple[bytes, bool]:
    """What is there of a chunked body, and whether it has its end."""
    body = b""
    while raw:
        size, sep, rest = raw.partition(b"\r\n")
        if not sep:
            break
        n = int(size, 16)
        if n == 0:
            return body, rest.startswith(b"\r\n")
        body += rest[:n]
        raw = rest[n + 2 :]
    return body, False


class Rig:
    """limpid between clients and upstreams, with its outputs wherever a fault wants them."""

    def __init__(self, fault: Fault, streams: int, folder: pathlib.Path):
        self.fault, self.streams, self.folder, self.numbers = fault, streams, folder, itertools.count()
        self.log: pathlib.Path | str | None = folder / "exchanges.jsonl"
        self.stdout = self.stderr = self.reader = None
        self.read = 0  # lines of the exchange log that came by `reader`
        self.clean: list[Callable[[], None]] = []
        self.got: list[Got] = []
        # Each would load the estimates' encoding anew, which takes a busy machine seconds.
        self.env: dict[str, str] = {"LIMPID_TOKENS__ESTIMATE": "false", **fault.env}
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.iterdir():
            if stale.is_file() or stale.is_fifo():
                stale.unlink()

    async def start(self) -> None:
        self.a = await (Http2Upstream() if self.fault.http2 else Upstream()).start()
        self.b = await Upstream().start()
        if self.fault.prepare:
            self.fault.prepare(self)
        upstreams = {"A": self.a.port, "B": self.b.port, "DEAD": 9}
        env = {f"LIMPID_UPSTREAMS__{name}__{key}": value for name, port in upstreams.items()
               for key, value in (("URL", f"http://127.0.0.1:{port}"), ("PATH_PREFIX", f"/{name.lower()}"))}  # fmt: skip
        if self.fault.http2:
            env["LIMPID_UPSTREAMS__A__HTTP2"] = "always"
        addresses = self.folder / "addresses.json"
        command = [str(BINARY), "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--addresses-file", str(addresses)]
        if self.log:
            command += ["--exchange-log", str(self.log)]
        out = self.stdout if self.stdout is not None else open(self.folder / "limpid.out", "wb")
        err = self.stderr if self.stderr is not None else open(self.folder / "limpid.log", "wb")
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=clean_env(**env, **self.env), cwd=self.folder)
        self.pid = self.child.pid
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError, json.JSONDecodeError):
                at = json.loads(addresses.read_text())
                break
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"limpid did not start: {self.child.poll()} {(self.folder / 'limpid.log').read_text()[-500:]}")
            await asyncio.sleep(0.01)
        self.data, self.admin = at["data"].rsplit(":", 1), at["admin"]

    async def ask(self, where: str, path: str = "/v1/chat/completions") -> Got:
        got = Got(f"{where}-{next(self.numbers)}", where)
        if where != "dead":
            self.got.append(got)
        body = b'{"model":"m","messages":[],"stream":true}'
        writer, raw = None, b""
        try:
            reader, writer = await asyncio.open_connection(*self.data, limit=1 << 20)
            writer.write(f"POST /{where}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-request-id: {got.token}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            while data := await reader.read(1 << 16):
                raw += data
                if f"{got.token}/{BEFORE - 1} ".encode() in raw:
                    got.begun.set()
        except OSError:
            pass
        finally:
            got.begun.set()
            if writer:
                writer.close()
        head, _, rest = raw.partition(b"\r\n\r\n")
        if head:
            got.status = int(head.split(b" ")[1])
            length = re.search(rb"content-length: (\d+)", head, re.I)
            got.body, got.whole = (rest, len(rest) == int(length[1])) if length else unchunked(rest)
        return got

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=PATIENCE) as reply:
            return reply.read()

    async def samples(self) -> Samples:
        return Samples.parse((await asyncio.to_thread(self.get, "/metrics")).decode())

    # --- the outputs -----------------------------------------------------------------------------

    def read_on(self) -> None:
        """Somebody reads the exchange log's pipe again, to its end."""
        os.set_blocking(self.reader, True)

        def read() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(self.reader, 1 << 16):
                    self.read += data.count(b"\n")

        threading.Thread(target=read, daemon=True).start()

    def pipe(self) -> tuple[int, int]:
        read, write = os.pipe()
        self.clean += [lambda: suppress_close(read), lambda: suppress_close(write)]
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        return read, write


def suppress_close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


@dataclass
class Fault:
    name: str
    prepare: Callable[[Rig], None] | None = None  # before limpid starts
    happen: Callable[[Rig], Awaitable[None] | None] | None = None
    concerns_a: bool = False  # whether it may cost streams of `a`, or requests to it
    logs: bool = True  # whether the exchange log is whole
    lost: bool = False  # whether all that is not in the log must be counted as lost
    new: bool = True  # whether new requests are served meanwhile
    drains: bool = False  # whether limpid is leaving meanwhile
    undo: Callable[[Rig], None] | None = None  # before the upstreams go on
    http2: bool = False
    dead: int = 0  # how many requests go to an upstream that is not there
    env: dict[str, str] = field(default_factory=dict)
    codes: tuple[int, ...] = (0,)
    cut: bool = False  # whether all streams are cut by it


def output(which: str, how: str) -> Fault:
    """Standard output, with the exchange log on it, or standard error, under many failing requests."""
    state: dict = {}

    def prepare(rig: Rig) -> None:
        if how == "full":
            fd = os.open("/dev/full", os.O_WRONLY)
        else:
            state["read"], fd = rig.pipe()
        state["fd"] = fd
        if which == "stdout":
            rig.log, rig.stdout = "-", fd
            rig.reader = state["read"] if how.startswith("blocked") else None
        else:
            rig.stderr = fd

    def happen(rig: Rig) -> None:
        if how == "gone":
            os.close(state["read"])
        elif how.startswith("blocked"):
            fill_until_full(state["fd"], how == "blocked, O_NONBLOCK")
        os.close(state["fd"])  # limpid has its own

    return Fault(f"{which} {how}", prepare, happen, logs=which == "stderr", lost=which == "stdout", dead=600)


def fill_until_full(fd: int, nonblocking: bool) -> None:
    """limpid may have written in between, so its end is asked again until no room is left."""
    import select

    if nonblocking:
        os.set_blocking(fd, False)
    for _ in range(4096):
        if not select.select([], [fd], [], 0)[1]:
            break
        os.write(fd, b"x")


def log_file(how: str) -> Fault:
    state: dict = {}

    def prepare(rig: Rig) -> None:
        if how == "full device":
            rig.log = "/dev/full"
        elif how == "full disk":
            rig.log = pathlib.Path(state["disk"]) / "exchanges.jsonl"
        else:
            rig.log = rig.folder / "fifo"
            os.mkfifo(rig.log)
            state["read"] = os.open(rig.log, os.O_RDONLY | os.O_NONBLOCK)
            fcntl.fcntl(state["read"], fcntl.F_SETPIPE_SZ, 4096)
            rig.reader = state["read"] if how == "blocked" else None
            rig.clean.append(lambda: suppress_close(state["read"]))

    def disk(rig: Rig) -> None:
        state["disk"] = tempfile.mkdtemp(prefix="limpid-full-")
        rig.clean.append(lambda: (subprocess.run(["umount", "-l", state["disk"]]), shutil.rmtree(state["disk"], ignore_errors=True)))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", state["disk"]], capture_output=True).returncode:
            raise NotHere("a small file system needs the right to mount")
        prepare(rig)

    def happen(rig: Rig) -> None:
        if how == "gone":
            os.close(state["read"])

    return Fault(f"log file {how}", disk if how == "full disk" else prepare, happen, logs=False, lost=True, dead=100)


class NotHere(Exception):
    """This machine cannot do it."""


def limit(what: int, value: Callable[[Rig], int]) -> tuple[Callable, Callable]:
    state: dict = {}

    def happen(rig: Rig) -> None:
        state["was"] = resource.prlimit(rig.pid, what)
        resource.prlimit(rig.pid, what, (value(rig), state["was"][1]))

    def undo(rig: Rig) -> None:
        resource.prlimit(rig.pid, what, state["was"])

    return happen, undo


def descriptors(rig: Rig) -> int:
    return max(int(name) for name in os.listdir(f"/proc/{rig.pid}/fd")) + 1


def send(*signals: signal.Signals) -> Callable[[Rig], Awaitable[None]]:
    async def happen(rig: Rig) -> None:
        for one in signals:
            os.kill(rig.pid, one)
            await asyncio.sleep(0.05)

    return happen


def of_a(name: str) -> Callable[[Rig], Awaitable[None]]:
    return lambda rig: getattr(rig.a, name)()


def memory(rig: Rig) -> int:
    pages = int(pathlib.Path(f"/proc/{rig.pid}/statm").read_text().split()[0])
    return pages * 4096 + (256 << 20)


no_descriptors = limit(resource.RLIMIT_NOFILE, descriptors)
little_memory = limit(resource.RLIMIT_AS, memory)
FAULTS = [
    Fault("none"),
    *(output(which, how) for which in ("stderr", "stdout") for how in ("blocked", "blocked, O_NONBLOCK", "full", "gone")),
    *(log_file(how) for how in ("blocked", "gone", "full device", "full disk")),
    Fault("descriptors", happen=no_descriptors[0], undo=no_descriptors[1], new=False),
    Fault("memory", happen=little_memory[0], undo=little_memory[1], dead=100),
    Fault("signal HUP without an exchange log", lambda rig: setattr(rig, "log", None), send(signal.SIGHUP), logs=False),
    *(Fault(f"signal {one}", happen=send(signal.Signals[f"SIG{one}"])) for one in ("HUP", "USR1", "USR2", "PIPE")),
    Fault("signals STOP, CONT", happen=send(signal.SIGSTOP, signal.SIGCONT)),
    Fault("signal TERM", happen=send(signal.SIGTERM), new=False, drains=True),
    Fault("signal TERM twice", happen=send(signal.SIGTERM, signal.SIGTERM), new=False, drains=True, cut=True, codes=(0, 1)),
    *(Fault(f"upstream {how}", happen=of_a(how), concerns_a=True) for how in ("killed", "reset", "closed")),
    Fault("upstream stalled", concerns_a=True, env={"LIMPID_UPSTREAMS__A__IDLE_TIMEOUT": "300ms"}),
    Fault("HTTP/2 goaway", happen=of_a("goaway"), http2=True),
    Fault("HTTP/2 goaway before a request", happen=of_a("goaway_before"), http2=True),
    Fault("HTTP/2 refused stream", happen=of_a("refuses"), http2=True),
    Fault("HTTP/2 silent", happen=of_a("silent"), http2=True, concerns_a=True, env={"LIMPID_UPSTREAMS__A__HTTP2_PING_INTERVAL": "300ms", "LIMPID_UPSTREAMS__A__HTTP2_PING_TIMEOUT": "300ms"}),
    Fault("HTTP/2 reset", happen=of_a("reset"), http2=True, concerns_a=True),
]  # fmt: skip


@dataclass
class Result:
    fault: str
    streams: int = 0
    hurt: int = 0  # of those that the fault concerns
    faults: list[str] = field(default_factory=list)
    counted_lost: float = 0
    logged: int = 0
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.fault}: {self.streams} streams, {self.hurt} cut that it concerns; {self.logged} records, {self.counted_lost:.0f} lost and counted; {len(self.faults)} faults, {self.seconds:.1f} s"


class Play:
    """One fault, from start to end."""

    def __init__(self, fault: Fault, streams: int, folder: pathlib.Path):
        self.fault, self.rig, self.result = fault, Rig(fault, streams, folder), Result(fault.name)

    def wrong(self, what: str) -> None:
        if len(self.result.faults) < 20:
            self.result.faults.append(f"{self.fault.name}: {what}")

    async def all(self) -> Result:
        begun = time.monotonic()
        rig = self.rig
        try:
            await rig.start()
            await asyncio.wait_for(self.play(), 4 * PATIENCE)
        except TimeoutError:
            self.wrong("it hangs")
        except AssertionError as e:
            self.wrong(str(e))
        finally:
            if (child := getattr(rig, "child", None)) and child.poll() is None:
                os.kill(child.pid, signal.SIGCONT)
                child.kill()
                child.wait()
            for upstream in (getattr(rig, "a", None), getattr(rig, "b", None)):
                if upstream:
                    await upstream.end()
            for clean in rig.clean:
                clean()
        self.result.seconds = time.monotonic() - begun
        return self.result

    async def play(self) -> None:
        rig, fault = self.rig, self.fault
        streams = [asyncio.create_task(rig.ask("ab"[n % 2])) for n in range(rig.streams)]
        self.result.streams = len(streams)
        async with asyncio.timeout(PATIENCE):
            while len(rig.got) < len(streams):
                await asyncio.sleep(0.01)
            for got in list(rig.got):
                await got.begun.wait()
        if fault.happen:
            done = fault.happen(rig)
            if done is not None:
                await done
        await self.meanwhile()
        if fault.name != "upstream stalled":
            rig.a.go.set()
        else:
            await self.ended([s for n, s in enumerate(streams) if n % 2 == 0], "streams of a")
        rig.b.go.set()
        await self.ended(streams, "streams")
        for got in rig.got:
            self.client(got)
        await self.account()

    async def ended(self, tasks: list[asyncio.Task], what: str) -> None:
        done, pending = await asyncio.wait(tasks, timeout=PATIENCE)
        if pending:
            self.wrong(f"{len(pending)} {what} did not end")
            for task in pending:
                task.cancel()

    async def meanwhile(self) -> None:
        """Requests to both while the fault lasts, and some that make limpid talk."""
        rig, fault = self.rig, self.fault
        for _ in range(0, fault.dead, 20):
            await self.ended([asyncio.create_task(rig.ask("dead")) for _ in range(20)], "requests to nobody")
        short = [asyncio.create_task(rig.ask("ab"[n % 2], "/short")) for n in range(10)]
        if fault.undo and not fault.new:
            await asyncio.wait(short, timeout=0.5)  # those that are not taken yet wait for the end of it
        else:
            await self.ended(short, "short requests")
        if not fault.drains and fault.new:
            try:
                assert await asyncio.to_thread(rig.get, "/healthz")
            except (OSError, AssertionError) as e:
                self.wrong(f"/healthz: {e!r}")
        if fault.undo:
            fault.undo(rig)
            await self.ended(short, "short requests")
            again = [asyncio.create_task(rig.ask("ab"[n % 2], "/short")) for n in range(4)]
            await self.ended(again, "requests behind it")
            for task in again:
                if task.done() and not task.cancelled() and task.result().status != 200:
                    self.wrong(f"behind it {task.result().token} got {task.result().status}")

    def client(self, got: Got) -> None:
        """What a client saw."""
        concerned = self.fault.cut or (self.fault.concerns_a and got.where == "a")
        if got in self.rig.got[: self.rig.streams]:
            want = body_of(got.token)
            if got.status != 200 or not want.startswith(got.body) or (got.whole and got.body != want):
                self.wrong(f"stream {got.token}: {got.status}, {len(got.body)} of {len(want)} bytes, whole: {got.whole}, {got.body[:100]!r}")
            elif not got.whole and not concerned:
                self.wrong(f"stream {got.token} is cut after {len(got.body)} of {len(want)} bytes")
            self.result.hurt += not got.whole
        elif self.fault.new and not concerned and (got.status != 200 or not got.whole or json.loads(got.body)["id"] != got.token):
            self.wrong(f"request {got.token} got {got.status} {got.body[:200]!r}")

    async def account(self) -> None:
        """What limpid says of it."""
        rig, fault = self.rig, self.fault
        samples = None
        if rig.reader is not None:
            rig.read_on()
        reached = [got for got in rig.got if got.status is not None]
        if not fault.drains:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    samples = await rig.samples()
                except OSError as e:
                    self.wrong(f"/metrics: {e!r}")
                    break
                counted = samples.total("limpid_requests_total") >= len(reached) + fault.dead
                if counted and (not fault.lost or self.accounted(samples) >= len(reached) + fault.dead) or time.monotonic() > until:
                    break
                if counted:  # what waits may be written at the end
                    until = min(until, time.monotonic() + 3)
                await asyncio.sleep(0.05)
            os.kill(rig.pid, signal.SIGTERM)
        try:
            code = await asyncio.to_thread(rig.child.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            return self.wrong("it does not leave on SIGTERM")
        if code not in fault.codes:
            self.wrong(f"it left with {code}")
        told = (rig.folder / "limpid.log").read_text(errors="replace") if rig.stderr is None else ""
        if "panicked" in told:
            self.wrong(told[-1000:])
        if samples is not None:
            self.metrics(samples, reached)
        if fault.logs:
            self.records(reached, samples)

    def metrics(self, samples: Samples, reached: list[Got]) -> None:
        whole = sum(got.whole and got.status == 200 for got in reached)
        total, ok = samples.total("limpid_requests_total"), samples.total("limpid_requests_total", category="ok")
        if total != len(reached) + self.fault.dead or ok != whole:
            self.wrong(f"/metrics: {total:.0f} requests, {ok:.0f} ok; clients saw {len(reached) + self.fault.dead} and {whole}")
        if self.fault.lost and (have := self.accounted(samples)) != total:
            self.wrong(f"{total:.0f} requests, {self.result.logged} lines in the exchange log, {self.result.counted_lost:.0f} counted as lost: {have - total:+.0f}")

    def accounted(self, samples: Samples) -> float:
        """Lines in a log that is at fault, and those that are told to be lost."""
        rig = self.rig
        self.result.logged = rig.read
        if isinstance(rig.log, pathlib.Path) and rig.log.is_file():
            self.result.logged = rig.log.read_bytes().count(b"\n")
        self.result.counted_lost = samples.total("limpid_export_failed_total", what="log_lines") + samples.total("limpid_records_dropped_total")
        return self.result.logged + self.result.counted_lost

    def records(self, reached: list[Got], samples: Samples | None) -> None:
        lines = pathlib.Path(self.rig.log).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        self.result.logged = len(records)
        of = {r["request_id"]: r for r in records if not r["request_id"].startswith("dead")}
        if len(records) != len(reached) + self.fault.dead or {got.token for got in reached} - of.keys():
            self.wrong(f"{len(records)} records of {len(reached) + self.fault.dead} requests")
        for got in reached:
            record = of.get(got.token)
            if record is None:
                continue
            ok = record["outcome"]["category"] == "ok"
            # A proxy can have handed all on that a client then does not get, but never the other way round.
            if ok != (got.whole and got.status == 200) or record.get("status") != got.status:
                self.wrong(f"{got.token}: the client has {got.status}, whole: {got.whole}; the record says {record['outcome']} {record.get('status')}")
            if ok and record["bytes"]["response"] != len(got.body) or got.status == 200 and record["bytes"]["response"] < len(got.body):
                self.wrong(f"{got.token}: {len(got.body)} bytes; the record says {record['bytes']}")
        if samples is not None:
            have = Counter(r["outcome"]["category"] for r in records)
            for category, n in have.items():
                if samples.total("limpid_requests_total", category=category) != n:
                    self.wrong(f"{n} records are {category}; /metrics: {samples.total('limpid_requests_total', category=category):.0f}")


def play(fault: Fault, streams: int) -> Result:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of each write to a connection that a fault has ended
    return asyncio.run(Play(fault, streams, LOGS / "chaos" / re.sub(r"[^\w.-]+", "-", fault.name)).all())


def main() -> None:
    streams, faults = int(os.environ.get("STREAMS") or 300), 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for fault in FAULTS:
        if sys.argv[1:] and fault.name not in sys.argv[1:]:
            continue
        try:
            result = play(fault, streams)
        except NotHere as e:
            print(f"{fault.name}: not on this machine: {e}")
            continue
        print(result, flush=True)
        for line in result.faults[:5]:
            print("  FAULT", line, flush=True)
        faults += len(result.faults)
    print(f"{faults} faults with {streams} streams")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
