"""Secrets and texts appear nowhere: canaries in every place that may hold one, and a search through all that limpid says.

Everything is on: the log at its most verbose (the libraries' too), the exchange log, spans, metrics and log records to a real
collector, the API, the dashboard's files, its live events. What is meant to show (models, paths, `x-limpid-*`, `x-request-id`,
error codes, labels that the settings ask for) is no canary.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import uuid

import pytest

import rawhttp
from collector import Collector
from limpid import BINARY
from processes import Process, clean_env, until
from rawhttp import Connection
from scripted import Scripted, chunk, chunked_head, reply


class Canaries(dict):
    """`canaries["place"]` is a text of its own for each place."""

    def __missing__(self, place: str) -> str:
        self[place] = f"canary{uuid.uuid4().hex}"
        return self[place]

    def found(self, where: str, text: str | bytes) -> list[str]:
        raw = text.encode() if isinstance(text, str) else text
        return [f"{place} in {where}" for place, canary in self.items() if canary.encode() in raw]


def event(value) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def delta(**delta) -> bytes:
    return event({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}]})


def upstream(c: Canaries):
    """Replies by the path; each has its own canaries."""
    fields = f"Set-Cookie: s={c['reply cookie']}\r\nX-Internal: {c['reply field']}\r\nX-Replica: gpu-7\r\n"
    last = event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + event(b"[DONE]")
    call = [{"index": 0, "id": "1", "type": "function", "function": {"name": c["called tool"], "arguments": f'{{"a":"{c["called with"]}"}}'}}]
    stream = [delta(role="assistant", content=""), delta(content=f"I'm sorry, {c['reply text']} é" * 50), delta(reasoning_content=c["reasoning"]),
              delta(refusal=c["refusal"]), delta(tool_calls=call)]  # fmt: skip
    whole = {"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": c["whole reply"]}}]}
    error = {"error": {"message": f"Incorrect API key provided: {c['error message']}", "type": "invalid_request_error", "code": "invalid_api_key"}}

    def answer(s: socket.socket, request: bytes) -> None:
        path = request.split(b" ")[1].split(b"?")[0]
        chunked = chunked_head(more=fields)
        if path == b"/stream/v1/chat/completions":
            s.sendall(chunked + b"".join(map(chunk, [*stream, last])) + b"0\r\n\r\n")
        elif path == b"/cut/v1/chat/completions":
            s.sendall(chunked + b"".join(map(chunk, stream)))
            s.close()
        elif path == b"/in-stream/v1/chat/completions":
            s.sendall(chunked + chunk(event({"error": {"message": c["error in a stream"], "code": 500}})) + b"0\r\n\r\n")
        elif path == b"/not-json/v1/chat/completions":
            s.sendall(chunked + chunk(event(f"{{{c['broken event']}".encode())) + b"0\r\n\r\n")
        elif path == b"/error/v1/chat/completions":
            s.sendall(reply(json.dumps(error).encode(), status="401 Unauthorized", more=fields))
        elif path == b"/html/v1/chat/completions":
            s.sendall(reply(f"<h1>{c['error page']}</h1>".encode(), "text/html", "502 Bad Gateway"))
        elif path == b"/gzip/v1/chat/completions":
            s.sendall(reply(c["broken gzip"].encode(), more="Content-Encoding: gzip\r\n"))
        elif path == b"/no-http/v1/chat/completions":
            s.sendall(f"{c['no HTTP']} 200 OK\r\n{c['no field']}\r\n\r\n".encode())
            s.close()
        else:
            s.sendall(reply(json.dumps(whole).encode(), more=fields))

    return answer


REPLIES = ["stream", "cut", "in-stream", "not-json", "error", "html", "gzip", "no-http", "whole"]


def asked(c: Canaries, stream: bool) -> bytes:
    tool = {"type": "function", "function": {"name": c["tool"], "description": c["tool's text"], "parameters": {"enum": [c["tool's schema"]]}}}
    return json.dumps({
        "model": "m", "stream": stream, "tools": [tool], "user": c["user member"], "metadata": {"template": "greeting", "other": c["metadata"]},
        "messages": [{"role": "system", "content": c["system prompt"]}, {"role": "user", "content": f"{c['prompt']} é\u2603"},
                     {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://x/?sig={c['image URL']}"}}]},
                     {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": c["tool arguments"]}}]}],
    }).encode()  # fmt: skip


SEGMENT = "gold-5b1c7f"  # a label, so it must show: it proves that each place is really looked at


def ask_everything(c: Canaries, through) -> int:
    """Requests with canaries wherever a client may put a secret; how many of them are exchanges."""
    secrets = [("Authorization", f"Bearer {c['bearer']}"), ("X-Api-Key", c["x-api-key"]), ("Api-Key", c["api-key"]),
               ("X-Goog-Api-Key", c["x-goog-api-key"]), ("Cookie", f"session={c['cookie']}"), ("X-Other", c["field"]),
               ("Proxy-Authorization", f"Basic {c['proxy authorization']}"), ("X-Segment", SEGMENT)]  # fmt: skip
    count = 0
    for where in REPLIES:
        for more in (secrets, secrets[1:], secrets[2:], secrets[3:], [("Authorization", f"Basic {c['basic']}")], [("Authorization", c["bare"])]):
            try:
                through.ask("POST", f"/{where}/v1/chat/completions?api-key={c['query']}&key={c['query key']}", asked(c, where != "whole"), more)
            except rawhttp.Gone:
                pass
            count += 1
    for body in (f'{{"model": {c["broken body"]}'.encode(), c["plain body"].encode(), f'--b\r\n\r\n{c["multipart"]}'.encode()):
        through.ask("POST", "/v1/audio/transcriptions", body, secrets)
        count += 1
    # What is no request, or not one for limpid.
    for junk in (f"{c['junk']}\r\n\r\n", f"GET / HTTP/1.1\r\n{c['junk field']}\r\n\r\n", f"GET /{c['no version']}\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: x\r\nX: {c['huge field'] * 3000}\r\n\r\n"):  # fmt: skip
        with Connection(through.address) as conn:
            conn.socket.sendall(junk.encode())
            conn.socket.shutdown(socket.SHUT_WR)
            while conn.read():
                pass
    for line in (f"GET http://user:{c['userinfo']}@x/v1/models HTTP/1.1\r\nHost: x", f"POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: {c['length']}",
                 f"GET /v1/models HTTP/1.1\r\nHost: user:{c['host userinfo']}@x"):  # fmt: skip
        with Connection(through.address) as conn:
            conn.socket.sendall(f"{line}\r\nConnection: close\r\n\r\n".encode())
            conn.socket.shutdown(socket.SHUT_WR)
            while conn.read():
                pass
    return count


SETTINGS = """
[upstreams.default]
url = "{url}"
provider = "openai"
api_key_env = "UPSTREAM_KEY"
ask_for_usage = true
[upstreams.gone]
url = "http://127.0.0.1:1"
path_prefix = "/gone"
[upstreams.tls]
url = "{tls}"
path_prefix = "/tls"
[keys.team]
env = "TEAM_KEY"
[labels.segment]
from = "header:x-segment"
[labels.prompt]
from = "metadata:template"
[labels.replica]
from = "response_header:x-replica"
[refusals]
patterns = ['outside my remit']
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_no_canary_comes_out_anywhere(protocol, folder, limpid):
    c = Canaries()
    collector = Collector(folder)
    try:
        with Scripted(upstream(c)) as backend:
            config = folder / "proxy.toml"
            config.write_text(SETTINGS.format(url=backend.url, tls=backend.url.replace("http:", "https:")))
            env = {
                "UPSTREAM_KEY": c["upstream's key"], "TEAM_KEY": c["named key"], "LIMPID_SERVER__KEY_HASH_SECRET": c["hash secret"],
                "LIMPID_LOG__LEVEL": "trace", "RUST_LOG": "trace", "RUST_BACKTRACE": "1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc if protocol == "grpc" else collector.http,
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {c['OTLP header']}",
                "OTEL_METRIC_EXPORT_INTERVAL": "300", "OTEL_BSP_SCHEDULE_DELAY": "100", "LIMPID_TELEMETRY__LOGS": "true",
            }  # fmt: skip
            through = limpid(None, "--config", str(config), **env)
            events = watch(through)
            count = ask_everything(c, through)
            for path in ("/gone/v1/chat/completions", "/tls/v1/chat/completions", "/v1/chat/completions"):
                through.ask("POST", f"{path}?key={c['query']}", asked(c, False), [("Authorization", f"Bearer {c['named key']}")])
                count += 1
            until("all records", lambda: len(through.all_records()) >= count, 10)
            records = through.all_records()
            known = [r for r in records if r.get("labels", {}).get("segment") == SEGMENT]
            assert known and any(r["labels"] == {"prompt": "greeting", "replica": "gpu-7", "segment": SEGMENT} for r in known), "labels do show"
            assert any(r.get("key") == "team" for r in records)
            assert any(r["outcome"]["category"] == "auth" for r in records)
            until("spans", lambda: "limpid.label.segment" in collector.output(), 10)
            until("metrics", lambda: "limpid.requests" in collector.metrics(), 10)

            found = []
            for path in ("/", "/assets/app.js", "/api/v1/about", "/api/v1/exchanges?limit=1000", "/api/v1/summary?group_by=key,model", "/metrics"):
                for host in ("127.0.0.1", f"x.example"):
                    with Connection(rawhttp.address(through.admin)) as admin:
                        admin.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {c['admin cookie']}\r\nConnection: close\r\n\r\n".encode())
                        body = admin.reply().body
                    if host == "127.0.0.1":
                        found += c.found(path, body)
                        assert (SEGMENT.encode() in body) == path.startswith(("/api/v1/exchanges", "/metrics")), path
                    elif path.startswith(("/api", "/assets")) or path == "/":
                        assert b"admin.hosts" in body, "another's name"
            found += c.found("OpenMetrics", through.metrics_text("application/openmetrics-text"))
            check = subprocess.run([BINARY, "check", "--config", config], env=clean_env(**env), capture_output=True)
            assert check.returncode == 0, check.stderr
            found += c.found("limpid check", check.stdout + check.stderr)
            assert through.end() == 0
            found += c.found("the process's log", through.text() + through.output())
            found += c.found("the exchange log", through.exchange_log.read_bytes())
            found += c.found("live events", b"".join(events))
            assert SEGMENT.encode() in b"".join(events)
            spans, points = collector.spans(), collector.metrics()["limpid.requests"].points
            assert any(s.attributes.get("limpid.label.segment") == SEGMENT for s in spans)
            assert any(p.get("segment") == SEGMENT for p in points)
            assert "gen_ai.client.inference.operation.details" in collector.output(), "log records"
            found += c.found("the collector", collector.output() + collector.text())
            assert not found, "\n".join(sorted(set(found)))
            assert len(c) > 40, "the places are not what they were"
            print({"places": len(c), "exchanges": count, "log, KiB": len(through.text()) // 1024, "collector, KiB": len(collector.output()) // 1024})
    finally:
        collector.end()


CAPTURE = """
[capture]
sample = "100%"
max_input_bytes = "64KiB"
max_output_bytes = "64KiB"
[redactions.project]
pattern = 'Project [A-Z][a-z]+'
replacement = "[code name]"
"""
# What the rules know, each with a canary of its own in it; and a code name, which only the operator's rule knows.
SECRETS = {
    "OpenAI key": "sk-proj-{}", "bearer": "Authorization: Bearer {}", "password": "the password is {}", "member": '"api_key": "{}"',
    "AWS key": "AKIA{}", "GitHub token": "ghp_{}", "JWT": "eyJhbGciOiJIUzI1NiJ9.{}.sig", "URL": "postgres://app:{}@db/x",
    "e-mail": "{}@mail.example", "PEM": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
}  # fmt: skip
CARD, PHONE, CODE_NAME = "4111 1111 1111 1111", "+49 30 12345678", "Project Nightjar"


def talk(c: Canaries, where: str) -> str:
    """Text with every secret in it, and words of its own that may be told."""
    lines = [form.format(c[f"{where}, {name}"].upper() if name == "AWS key" else c[f"{where}, {name}"]) for name, form in SECRETS.items()]
    return f"plain-{where}. " + "\n".join([*lines, f"card {CARD}", f"call {PHONE}", f"{CODE_NAME} is ours", f"end-{where}."])


def conversation(c: Canaries):
    """Replies that repeat secrets: streamed in pieces of five characters, whole, and broken off within one."""
    def answer(s: socket.socket, request: bytes) -> None:
        path = request.split(b" ")[1]
        if b"/stream" in path:
            text = talk(c, "stream")
            pieces = [delta(content=text[i : i + 5]) for i in range(0, len(text), 5)]
            call = [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"password": c["argument"], "q": "plain-argument"})}}]
            last = event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + event(b"[DONE]")
            s.sendall(chunked_head() + b"".join(map(chunk, [*pieces, delta(tool_calls=call), last])) + b"0\r\n\r\n")
        elif b"/cut" in path:
            s.sendall(chunked_head() + b"".join(map(chunk, [delta(content="plain-cut, the key is "), delta(content=f"sk-{c['half a key'][:12]}")])))
            s.close()
        else:
            whole = {"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": talk(c, "whole")}}]}
            s.sendall(reply(json.dumps(whole).encode()))

    return answer


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_captured_content_is_on_spans_alone_and_redacted(protocol, folder, limpid):
    c = Canaries()
    collector = Collector(folder)
    try:
        with Scripted(conversation(c)) as backend:
            config = folder / "proxy.toml"
            upstreams = "".join(f'[upstreams.{name}]\nurl = "{backend.url}"\npath_prefix = "/{name}"\nrewrite_prefix = "/{kind}"\n{more}\n'
                                for name, kind, more in [("stream", "stream", "capture = true"), ("whole", "whole", "capture = true"), ("cut", "cut", "capture = true"),
                                                         ("off", "stream", ""), ("none", "whole", 'capture = true\ncapture_sample = "0%"')])  # fmt: skip
            config.write_text(upstreams + CAPTURE)
            through = limpid(None, "--config", str(config), OTEL_EXPORTER_OTLP_ENDPOINT=collector.grpc if protocol == "grpc" else collector.http,
                             OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_METRIC_EXPORT_INTERVAL="300", OTEL_BSP_SCHEDULE_DELAY="100",
                             LIMPID_TELEMETRY__LOGS="true", LIMPID_LOG__LEVEL="trace", RUST_LOG="trace")  # fmt: skip
            events = watch(through)
            paths = ["stream", "whole", "cut", "off", "none"]
            for path in paths:
                body = {"model": "m", "stream": path in ("stream", "off", "cut"), "stop": [f"plain-stop-{path}"], "messages": [
                    {"role": "system", "content": talk(c, f"{path} system")}, {"role": "user", "content": [{"type": "text", "text": talk(c, f"{path} prompt")},
                    {"type": "image_url", "image_url": {"url": f"https://x/?sig={c['image URL']}"}}]}]}  # fmt: skip
                try:
                    through.ask("POST", f"/{path}/v1/chat/completions", json.dumps(body).encode())
                except rawhttp.Gone:
                    pass
            until("all records", lambda: len(through.all_records()) >= len(paths), 10)
            said = []
            for path in ("/", "/api/v1/exchanges?limit=1000", "/api/v1/summary?group_by=key,model", "/metrics"):
                with Connection(rawhttp.address(through.admin)) as admin:
                    admin.send("GET", path)
                    said.append((path, admin.reply().body))
            until("spans", lambda: len(collector.spans()) >= len(paths), 10)
            assert through.end() == 0
            said += [("the log", (through.text() + through.output()).encode()), ("the exchange log", through.exchange_log.read_bytes()), ("events", b"".join(events))]
            for where, text in said:
                assert b"plain-" not in text and b"limpid.content" not in text, f"content in {where}"
                assert not c.found(where, text)

            # All that the collector got: no secret, and the words that may be told on spans alone.
            got = collector.output() + collector.text()
            assert not c.found("the collector", got.lower())
            for secret in (CARD, PHONE, "Nightjar", c["half a key"][:6]):
                assert secret not in got, secret
            spans = {s.attributes["limpid.upstream"]: s.attributes for s in collector.spans()}
            for path in ("off", "none"):
                assert not [name for name in spans[path] if "content" in name or name.endswith((".messages", "stop_sequences"))], path
            for path in ("stream", "whole", "cut"):
                told = spans[path]
                assert f"plain-{path} prompt" in told["gen_ai.input.messages"] and f"end-{path} system" in told["gen_ai.input.messages"], told
                assert f"plain-stop-{path}" in told["gen_ai.request.stop_sequences"] and "[code name]" in told["gen_ai.input.messages"]
                assert f"plain-{path}" in told["gen_ai.output.messages"], told
                assert int(told["limpid.content.redactions"]) >= 2 * (len(SECRETS) + 3)
            assert "plain-argument" in spans["stream"]["gen_ai.output.messages"] and "end-stream" in spans["stream"]["gen_ai.output.messages"]
            assert int(spans["cut"]["limpid.content.output_truncated"]) > 0
            log_records = got.split("ResourceLog")[1:]
            assert log_records, "log records came"
            for line in got.splitlines():
                if "plain-" in line:
                    assert line.strip().startswith(("-> gen_ai.input.messages:", "-> gen_ai.output.messages:", "-> gen_ai.request.stop_sequences:")), line
            print({"secrets": len(c), "redactions": {path: told.get("limpid.content.redactions") for path, told in spans.items()}})
    finally:
        collector.end()


def watch(through) -> list[bytes]:
    """The live events' bytes as they come, until limpid ends."""
    got: list[bytes] = []
    conn = Connection(rawhttp.address(through.admin), timeout=120)
    conn.send("GET", "/api/v1/events")

    def read() -> None:
        try:
            while piece := conn.socket.recv(1 << 16):
                got.append(piece)
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    return got


@pytest.mark.parametrize("wrong", [
    'url = "http://user:{}@127.0.0.1:1"', 'url = "http://127.0.0.1:1/?key={}"', 'url = "http://127.0.0.1:1"\napi_key_env = "{}-"',
    'url = "http://127.0.0.1:1"\n[telemetry]\nendpoint = "http://user:{}@c:1"', 'url = "http://127.0.0.1:1"\n[telemetry]\nheaders = [ "{}" ]',
    'url = "http://127.0.0.1:1"\n[telemetry]\nendpoint = "http://c:1/?token={}"', 'url = "http://127.0.0.1:1"\n[keys.a]\nenv = "sk-{}"',
])  # fmt: skip
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_wrong_setting_is_told_without_its_secret(command, wrong, folder):
    c = Canaries()
    config = folder / "proxy.toml"
    config.write_text("[upstreams.default]\n" + wrong.format(c["setting"]) + "\n")
    run = subprocess.run([BINARY, command, "--config", config], env=clean_env(), capture_output=True, timeout=20)
    assert run.returncode == 1 and run.stderr, run
    assert not c.found("the fault", run.stdout + run.stderr), run.stderr


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "LIMPID_UPSTREAMS__DEFAULT__URL"])
def test_a_variable_with_a_secret_is_not_quoted(variable, folder):
    c = Canaries()
    env = {"LIMPID_UPSTREAMS__DEFAULT__URL": "http://127.0.0.1:1", variable: f"http://user:{c['variable']}@c:1/?k={c['variable']}"}
    run = subprocess.run([BINARY, "check"], env=clean_env(**env), capture_output=True, cwd=folder, timeout=20)
    assert not c.found("check", run.stdout + run.stderr), run.stdout + run.stderr


def test_random_labels_do_not_make_series_or_memory_grow(limpid, folder):
    """Over real HTTP; crates/app/tests/label_attack.rs does it with a million records."""
    config = folder / "proxy.toml"
    ok = reply(json.dumps({"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}).encode())
    bad = reply(b'{"error":{"message":"no such model","type":"invalid_request_error","code":"model_not_found"}}', status="404 Not Found")
    turn = iter(range(1 << 30))
    with Scripted(lambda s, _: s.sendall(ok if next(turn) % 2 else bad)) as backend:
        config.write_text(f'[upstreams.default]\nurl = "{backend.url}"\n[labels.segment]\nfrom = "header:x-segment"\n[telemetry]\nmax_label_sets = 300\n')
        through = limpid(None, "--config", str(config), LIMPID_INSIGHT__RECENT="100")

        def attack(n: int) -> None:
            with Connection(through.address) as conn:
                for _ in range(n):
                    noise = lambda: uuid.uuid4().hex  # noqa: E731
                    path = "/v1/chat/completions" if n % 2 else f"/v1/{noise()}"
                    body = json.dumps({"model": noise(), "messages": []}).encode()
                    fields = [("Authorization", f"Bearer {noise()}"), ("X-Segment", noise()), ("X-Limpid-Project", noise()), ("X-Request-Id", noise())]
                    conn.ask("POST", path, body, fields)

        def attacks(n: int) -> None:
            threads = [threading.Thread(target=attack, args=(n // 4 + i % 2,)) for i in range(4)]
            [t.start() for t in threads]
            [t.join() for t in threads]

        attacks(8_000)
        series, warm = len(through.metrics()), through.rss_kib()
        attacks(12_000)
        grown = through.rss_kib() - warm
        print({"series": series, "warm, KiB": warm, "grown, KiB": grown})
        assert len(through.metrics()) == series
        sets = {tuple(sorted((k, v) for k, v in labels.items() if k != "le")) for _, labels, _ in through.metrics()}
        assert len(sets) < 300 + 200, len(sets)
        assert through.metrics().total("limpid_labels_overflow_total", label="segment") > 10_000
        assert grown < 6 * 1024
