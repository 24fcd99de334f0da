"""Upstreams that do exactly what a test scripts, byte by byte, on plain sockets; and a tap that shows what passed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from rawhttp import Address, Head

Script = Callable[[socket.socket, bytes], None]


def read_request(s: socket.socket) -> bytes | None:
    """A request with its body (`Content-Length` only); None when the peer closed between requests."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        got = s.recv(1 << 16)
        if not got:
            return None
        raw += got
    head, rest = raw.split(b"\r\n\r\n", 1)
    length = int(Head.parse(head + b"\r\n\r\n").get("content-length") or 0)
    while len(rest) < length:
        got = s.recv(1 << 16)
        if not got:
            return None
        rest += got
    return head + b"\r\n\r\n" + rest


class Listener:
    """Accepts on a free port and runs `serve` on a thread for each connection, until it is closed."""

    def __init__(self, serve: Callable[[socket.socket], None]):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._serve, self._open = serve, set()
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self._open.add(s)
            threading.Thread(target=self._run, args=(s,), daemon=True).start()

    def _run(self, s: socket.socket) -> None:
        try:
            self._serve(s)
        except OSError:
            pass
        finally:
            self._open.discard(s)
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        # shutdown wakes the thread in accept(), which close alone does not.
        for s in [self.socket, *self._open]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.socket.close()


class Scripted(Listener):
    """Answers each request by `script(socket, request)`. The connection is kept unless the script ends it."""

    def __init__(self, script: Script):
        self.requests: list[bytes] = []
        self.gone_at: float | None = None
        self._script = script
        super().__init__(self._requests)

    def _requests(self, s: socket.socket) -> None:
        while (request := read_request(s)) is not None:
            self.requests.append(request)
            self._script(s, request)

    def note_end(self, s: socket.socket) -> None:
        """For scripts: waits until the peer ends the connection and notes the moment (`time.monotonic`)."""
        try:
            while s.recv(1 << 16):
                pass
        except OSError:
            pass
        self.gone_at = time.monotonic()


def reply(body: bytes, content_type: str = "application/json", status: str = "200 OK", more: str = "") -> bytes:
    """A reply with `Content-Length`. `more` holds further fields, each ended by CRLF."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
    )


def chunked_head(content_type: str = "text/event-stream", more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{more}Transfer-Encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Tap(Listener):
    """Splices connections to `to` and keeps the bytes of both directions, in order, for all connections together."""

    def __init__(self, to: Address):
        self.to, self.sent, self.received = to, b"", b""
        super().__init__(self._splice)

    def clear(self) -> None:
        self.sent = self.received = b""

    def _splice(self, client: socket.socket) -> None:
        with socket.create_connection(self.to) as server:
            self._open.add(server)
            up = threading.Thread(target=self._copy, args=(client, server, True), daemon=True)
            up.start()
            self._copy(server, client, False)
            up.join(5)
            self._open.discard(server)

    def _copy(self, a: socket.socket, b: socket.socket, upwards: bool) -> None:
        try:
            while data := a.recv(1 << 16):
                if upwards:
                    self.received += data
                else:
                    self.sent += data
                b.sendall(data)
        except OSError:
            pass
        for s, how in ((b, socket.SHUT_WR), (a, socket.SHUT_RD)):
            try:
                s.shutdown(how)
            except OSError:
                pass
