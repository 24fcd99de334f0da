"""An HTTP/1.1 client that keeps what libraries hide: the bytes of the head, the order and case of fields, the framing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

Address = tuple[str, int]
Fields = list[tuple[str, str]]


def address(host_port: str) -> Address:
    host, port = host_port.removeprefix("http://").rstrip("/").rsplit(":", 1)
    return host, int(port)


@dataclass
class Head:
    start: str
    fields: Fields

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    def get(self, name: str) -> str | None:
        return next((v for n, v in self.fields if n.lower() == name.lower()), None)

    @staticmethod
    def parse(raw: bytes) -> Head:
        start, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        return Head(start, [(n, v.strip(" \t")) for n, _, v in (line.partition(":") for line in lines)])


@dataclass
class Reply:
    head: Head
    body: bytes
    framing: str  # chunked, content-length, close, none
    whole: bool  # False if the connection ended before the framing said so
    trailers: Fields = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.head.status

    def json(self):
        return json.loads(self.body)


class Gone(Exception):
    """The peer closed or reset the connection before a whole head came."""


class Connection:
    """One client connection. `ask` sends a request and reads its reply; `send` and the readers do it in steps."""

    def __init__(self, to: Address, timeout: float = 30.0):
        self.to = to
        self.socket = socket.create_connection(to, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, method: str, path: str, body: bytes | None = None, fields: Fields = ()) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.to[0]}:{self.to[1]}"]
        lines += [f"{n}: {v}" for n, v in fields]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self.socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def ask(self, method: str, path: str, body: bytes | None = None, fields: Fields = ()) -> Reply:
        self.send(method, path, body, fields)
        return self.reply(method)

    def read(self) -> bool:
        """One read into the buffer; False at the connection's end, however it came."""
        try:
            got = self.socket.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self.buffer += got
        return bool(got)

    def head(self) -> Head:
        while b"\r\n\r\n" not in self.buffer:
            if not self.read():
                raise Gone(f"closed after {self.buffer[:80]!r}")
        raw, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return Head.parse(raw + b"\r\n\r\n")

    def reply(self, method: str = "GET") -> Reply:
        head = self.head()
        if method == "HEAD" or head.status in (204, 304):
            return Reply(head, b"", "none", True)
        if (head.get("transfer-encoding") or "").lower() == "chunked":
            body, trailers, whole = self._chunked()
            return Reply(head, body, "chunked", whole, trailers)
        length = head.get("content-length")
        if length is not None:
            whole = self._fill(int(length))
            body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
            return Reply(head, body, "content-length", whole)
        while self.read():
            pass
        body, self.buffer = self.buffer, b""
        return Reply(head, body, "close", True)

    def _fill(self, n: int) -> bool:
        while len(self.buffer) < n:
            if not self.read():
                return False
        return True

    def _line(self) -> bytes | None:
        while b"\r\n" not in self.buffer:
            if not self.read():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def chunks(self) -> Iterator[bytes]:
        """The chunks of a chunked body as they come. Ends with the body; raises `Gone` where it breaks off."""
        while True:
            line = self._line()
            if line is None:
                raise Gone("in a chunk's head")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                return
            if not self._fill(size + 2):
                partial, self.buffer = self.buffer[:size], b""
                if partial:
                    yield partial
                raise Gone("in a chunk")
            chunk, self.buffer = self.buffer[:size], self.buffer[size + 2 :]
            yield chunk

    def _chunked(self) -> tuple[bytes, Fields, bool]:
        body, trailers = b"", []
        try:
            for chunk in self.chunks():
                body += chunk
        except Gone:
            return body, trailers, False
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            trailers.append((name, value.strip()))
        return body, trailers, line is not None


def ask(to: str, method: str, path: str, body=None, fields: Fields = ()) -> Reply:
    """One request on a connection of its own. `body` may be bytes, or what JSON can hold."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    with Connection(address(to)) as c:
        return c.ask(method, path, body, fields)


def events(body: bytes) -> list[bytes]:
    """The `data` of the server-sent events in a body as llama.cpp and the scripted upstreams write it: one line each."""
    return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
