"""Mistakes in settings, files and command lines, and an upstream that is not there: each told once, clearly."""

from __future__ import annotations

import os
import re
import socket
import subprocess

import pytest

import rawhttp
from limpid import BINARY
from processes import clean_env, free_port


def run(*args: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(BINARY), *args], capture_output=True, text=True, timeout=10, env=clean_env(**env))


def told(done: subprocess.CompletedProcess) -> str:
    """The one line on stderr of a run that failed by its input."""
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (1, 1), done
    assert "panicked" not in lines[0] and "Error {" not in lines[0]
    return lines[0]


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "proxy.toml"
        path.write_text(text)
        return str(path)

    return write


SERVE = ["serve", "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]


def test_an_unknown_setting_in_the_file(config):
    path = config("# a comment\nno_such_setting = 1\n")
    line = told(run("serve", "--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"))
    assert "no_such_setting" in line and f"{path}:2" in line


def test_an_unknown_section(config):
    line = told(run("serve", "--config", config("[no_such_section]\na = 1\n")))
    assert "no_such_section" in line


def test_a_file_that_is_not_toml(config):
    path = config("upstream = [\n")
    assert path in told(run("serve", "--config", path))


def test_an_unknown_setting_in_the_environment():
    assert "NO_SUCH" in told(run(*SERVE, LIMPID_NO__SUCH="1")).upper().replace("__", "_")


def test_a_missing_file(tmp_path):
    path = str(tmp_path / "absent.toml")
    assert path in told(run("serve", "--config", path))


@pytest.mark.parametrize("url", ["127.0.0.1:9", "ftp://127.0.0.1:9", "http://", "http://a b", "not a url", ""])
def test_a_bad_upstream_url(url):
    line = told(run("serve", "--upstream", url, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"))
    assert "upstream" in line.lower()


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_a_port_in_use(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        other = "--admin" if flag == "--listen" else "--listen"
        line = told(run("serve", "--upstream", "http://127.0.0.1:9", flag, at, other, "127.0.0.1:0"))
    assert at in line and "in use" in line


def test_an_exchange_log_that_cannot_be_written(tmp_path):
    path = str(tmp_path / "no" / "such" / "folder" / "log.jsonl")
    assert path in told(run(*SERVE, "--exchange-log", path))


@pytest.mark.parametrize(
    "args", [["--no-such-flag"], ["serve", "--upstream"], ["no-such-command"], ["serve", "--listen", "nowhere"], ["price"], ["inspect"]]
)
def test_a_wrong_command_line(args):
    done = run(*args)
    assert done.returncode == 2 and done.stderr, done
    assert "panicked" not in done.stderr


def test_check_names_each_fault(config):
    path = config("no_such_setting = 1\n")
    done = run("check", "--config", path)
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(path)}:1: .*no_such_setting", done.stdout + done.stderr, re.M), done


def test_check_masks_secrets():
    done = run("check", "--upstream", "http://127.0.0.1:9", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318",
               OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer sk-hidden-123", LIMPID_SERVER__KEY_HASH_SECRET="sk-hidden-456")  # fmt: skip
    assert done.returncode == 0, done
    assert "http://127.0.0.1:4318" in done.stdout and "sk-hidden" not in done.stdout + done.stderr


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["serve", "--help"]])
def test_help_and_version(args):
    done = run(*args)
    assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/models"])
def test_an_upstream_that_is_down(path, limpid):
    through = limpid(f"http://127.0.0.1:{free_port()}")
    body = None if path == "/v1/models" else {"model": "m", "messages": [{"role": "user", "content": "secret words"}]}
    reply = through.ask("GET" if body is None else "POST", path, body)
    assert reply.status == 502
    assert reply.head.get("content-type") == "application/json"
    assert reply.head.get("x-limpid-error") == "connect_refused"
    error = reply.json()
    if path == "/v1/messages":
        assert error.keys() >= {"type", "error"} and error["type"] == "error"
        assert error["error"]["type"].startswith("limpid_") and error["error"]["message"]
    else:
        assert error.keys() == {"error"} and error["error"].keys() == {"message", "type", "param", "code"}
        assert error["error"]["type"].startswith("limpid_") and error["error"]["message"]
    record = through.record()
    assert (record["status"], record["outcome"]["category"], record["outcome"]["reason"]) == (502, "network", "connect_refused")
    assert through.metrics().total("limpid_requests_total", category="network", reason="connect_refused") == 1
    assert "secret words" not in through.text() + through.exchange_log.read_text()


def test_an_upstream_that_comes_back_is_used_again(limpid):
    from scripted import Scripted, reply

    port = free_port()
    through = limpid(f"http://127.0.0.1:{port}")
    assert through.ask("GET", "/v1/models").status == 502
    with Scripted(lambda s, _: s.sendall(reply(b"{}"))) as upstream:
        relay_to_fixed_port(port, upstream.port)
        assert through.ask("GET", "/v1/models").status == 200


def relay_to_fixed_port(port: int, to: int) -> None:
    """Listens on the port that was refused before, and splices one connection to `to`."""
    import threading

    listener = socket.create_server(("127.0.0.1", port))

    def serve():
        client, _ = listener.accept()
        with listener, client, socket.create_connection(("127.0.0.1", to)) as server:
            server.sendall(client.recv(65536))
            client.sendall(server.recv(65536))

    threading.Thread(target=serve, daemon=True).start()


def test_bytes_that_are_not_http_get_a_400_or_a_close(tiny, limpid):
    through = limpid(tiny.url)
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64), b"GET\r\n\r\n", b"\x00" * 500, b"GET / HTTP/9.9\r\n\r\n"):
        with rawhttp.Connection(through.address, timeout=5) as c:
            try:
                c.socket.sendall(junk)
                c.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # limpid was faster to close
            while c.read():
                pass
            assert c.buffer == b"" or c.buffer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), c.buffer
    assert through.ask("GET", "/health").status == 200


def test_a_header_that_is_never_finished_holds_nobody_up(tiny, limpid):
    through = limpid(tiny.url)
    slow = [rawhttp.Connection(through.address) for _ in range(50)]
    for c in slow:
        c.socket.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert through.ask("GET", "/health").status == 200
    for c in slow:
        c.close()
