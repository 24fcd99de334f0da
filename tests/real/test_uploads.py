"""200 MB up through limpid: the same bytes, and limpid's memory as small as before, also where the upstream stops reading."""

from __future__ import annotations

import hashlib
import re
import socket
import threading

import pytest

MIB = 1 << 20
SIZE = 200 * MIB
PIECE = 256 << 10
HEAD = f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n".encode()


def peak_kib(pid: int) -> int:
    """The most memory that the process ever held (VmHWM)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])


def pieces():
    """Bytes that do not repeat, made as they are needed."""
    for number in range(SIZE // PIECE):
        yield hashlib.shake_128(number.to_bytes(8, "big")).digest(PIECE)


class Upstream:
    """Takes one upload, reads nothing of its body before `go`, and answers with its SHA-256."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.go = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            self.go.wait(120)
            digest, left = hashlib.sha256(), SIZE
            while left and (read := connection.recv(min(PIECE, left))):
                digest.update(read)
                left -= len(read)
            answer = digest.hexdigest().encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


@pytest.mark.parametrize("stalled", [False, True], ids=["read-at-once", "not-read-at-first"])
def test_a_large_upload_is_neither_changed_nor_held(limpid, stalled: bool):
    upstream = Upstream()
    running = limpid(upstream.url)
    address = running.address
    before = peak_kib(running.child.pid)
    digest, sent, stopped_at = hashlib.sha256(), 0, None
    if not stalled:
        upstream.go.set()
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(HEAD)
        for piece in pieces():
            digest.update(piece)
            rest = memoryview(piece)
            while rest:
                # Nothing more is taken for so long: all that could be filled is full.
                client.settimeout(60 if upstream.go.is_set() else 1)
                try:
                    rest = rest[client.send(rest):]
                except TimeoutError:
                    assert stopped_at is None
                    stopped_at = sent
                    upstream.go.set()
            sent += len(piece)
        answer = b""
        while read := client.recv(4096):
            answer += read
    assert answer.endswith(digest.hexdigest().encode()), answer
    assert (stopped_at is not None) == stalled, "an upstream that does not read stops the client"
    grown = peak_kib(running.child.pid) - before
    assert grown < 16 * 1024, f"limpid grew by {grown} KiB for {SIZE // 1024} KiB"
