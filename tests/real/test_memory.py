"""What open streams hold, where their clients do not read: a bounded piece of each stream, not the stream."""

from __future__ import annotations

import json
import pathlib
import resource
import socket

import pytest
from limpid import BINARY, LOGS
from processes import Process, accepts, free_port, until

CLIENTS = 1000
LIMIT_KIB = 64
ENDLESS = {"ttft_ms": 1, "gap_ms": 0, "tokens": 1_000_000}


def rss_kib(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.fixture
def endless():
    """A backend that writes as fast as it is read."""
    port = free_port()
    backend = Process([str(BINARY), "sim", "--listen", f"127.0.0.1:{port}"], LOGS / "memory" / "sim.log")
    try:
        backend.wait_for("the simulated backend", lambda: accepts(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        backend.end()


def unread(to: tuple[str, int]) -> socket.socket:
    """A client that asks for a stream and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(to)
    body = json.dumps({"model": "m", "stream": True, "messages": [], "sim": ENDLESS}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    client.sendall(head.encode() + b"\r\n\r\n" + body)
    return client


def test_a_thousand_clients_that_do_not_read_hold_less_than_64_kib_each(limpid, endless):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * CLIENTS:
        pytest.skip(f"{hard} open files are too few here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CLIENTS), hard))
    through = limpid(endless)
    before = rss_kib(through.pid)
    clients = []
    try:
        clients = [unread(through.address) for _ in range(CLIENTS)]
        # Until nothing moves any more: all buffers between backend and clients are full.
        last: list[int] = []

        def at_rest() -> int:
            last.append(rss_kib(through.pid))
            return len(last) > 8 and max(last[-8:]) - min(last[-8:]) < 128 and last[-1]

        full = until("buffers at rest", at_rest, 60, 0.25)
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    each = (full - before) / CLIENTS
    print(f"{CLIENTS} clients that do not read: {before} -> {full} KiB, {each:.1f} KiB each")
    assert each < LIMIT_KIB
    records = through.records(CLIENTS, 60)
    assert {r["outcome"]["category"] for r in records} == {"cancelled"}
