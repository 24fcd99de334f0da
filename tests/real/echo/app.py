"""What the Python servers under attack run: each request that reaches an application is one line of LOG (an environment
variable with a file's name) and is answered with what was read of it. ASGI for uvicorn and granian, WSGI for gunicorn and
werkzeug, and two programs of their own: `app.py aiohttp PORT`, `app.py http.server PORT`, `app.py werkzeug PORT`.
"""

import json
import os
import sys

LOG = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def seen(method: str, target: str, token: str, body: bytes) -> bytes:
    """Notes a request and makes its answer."""
    told = {"method": method, "target": target, "token": token, "length": len(body)}
    os.write(LOG, json.dumps(told).encode() + b"\n")
    return json.dumps({**told, "body": body.decode("latin-1")}).encode()


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    fields = dict(scope["headers"])
    target = scope.get("raw_path", scope["path"].encode()) + b"?" + scope["query_string"]
    answer = seen(scope["method"], target.decode("latin-1"), fields.get(b"x-token", b"").decode("latin-1"), body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer})


def wsgi(environ, start_response):
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
        body = stream.read()
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or f"{environ.get('PATH_INFO')}?{environ.get('QUERY_STRING')}"
    answer = seen(environ["REQUEST_METHOD"], target, environ.get("HTTP_X_TOKEN", ""), body)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer]


def run_aiohttp(port: int) -> None:
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        answer = seen(request.method, request.raw_path, request.headers.get("x-token", ""), await request.read())
        return web.Response(body=answer, content_type="application/json")

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{tail:.*}", handle)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def run_http_server(port: int) -> None:
    """As many small servers do, it reads a body where it expects one and leaves all others lying: it is such a server that
    takes a body of a GET for the next request."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def __getattr__(self, name: str):
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def body(self) -> bytes:
            if self.command in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE"):
                return b""
            if "chunked" not in self.headers.get("transfer-encoding", "").lower():
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
            return body

        def answer(self) -> None:
            answer = seen(self.command, self.path, self.headers.get("x-token", ""), self.body())
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)
            self.wfile.flush()

        def log_message(self, *_) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    Server(("127.0.0.1", port), Handler).serve_forever()


def run_werkzeug(port: int) -> None:
    from werkzeug.serving import WSGIRequestHandler, run_simple

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_) -> None:
            pass

    run_simple("127.0.0.1", port, wsgi, threaded=True, request_handler=Handler)


if __name__ == "__main__":
    {"aiohttp": run_aiohttp, "http.server": run_http_server, "werkzeug": run_werkzeug}[sys.argv[1]](int(sys.argv[2]))
