"""Generated requests that try to be read as two, or to leave something behind for the next client of the same connection.

A `Case` is what one attacker sends, from a seeded generator: the same seed and number give the same bytes. Tokens tell who
sent what: `atk-…` stands in the request itself, `smg-…` in a request that is hidden in a body (nobody may ever take it for
one), `pip-…` in a second request that is one by HTTP's rules. `clean` says that one reading alone is possible, so whoever
takes the request must see the whole body.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

METHODS = ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT", "POST", "PUT", "PATCH", "PROPFIND", "M-SEARCH", "get", "LIMPID"]
FRAMINGS = ["none", "length", "chunked", "both", "both, chunked first", "length 0", "length twice", "two lengths", "odd length",
            "odd coding", "half length", "half chunked", "odd chunks", "name like a length"]  # fmt: skip
WITHOUT_TOKEN = ["*", "127.0.0.1:80", "evil:443", "evil:80"]  # targets that have no place for one
SECRET_TRAILERS = ["x-api-key", "cookie", "authorization", "proxy-authorization", "connection", "upgrade", "expect", "content-length", "transfer-encoding", "host", "te"]


@dataclass
class Case:
    number: int
    what: str
    method: str
    pieces: list[bytes]  # written one by one
    replies: int  # how many are owed, if all is taken
    leave: str  # wait, close, reset, half: what the attacker does next
    body: bytes = b""
    clean: bool = False
    http2: dict = field(default_factory=dict)  # over HTTP/2 instead: fields, data, trailers

    def __str__(self) -> str:
        return f"#{self.number} {self.what}: {self.http2 or b''.join(self.pieces)[:700]!r}"


def chunked(rng: random.Random, body: bytes, odd: bool = False) -> bytes:
    out = b""
    while body:
        size = rng.randint(1, max(1, len(body)))
        told = rng.choice([b"%x", b"%X"]) % size
        if odd:
            told = rng.choice([b"00000" + told, told + b";a=b", told + b' ;x="\r', b"+" + told, b"0x" + told, told + b" ", told + b";" + b"y" * 300])
        out += told + (b"\n" if odd and rng.random() < 0.2 else b"\r\n") + body[:size] + b"\r\n"
        body = body[size:]
    return out + b"0\r\n"


def inner(rng: random.Random, token: str) -> bytes:
    """A whole request, as the body of another."""
    method = rng.choice([b"GET", b"POST", b"DELETE"])
    more = b"Content-Length: 0\r\n" if method == b"POST" else b""
    return b"%s /smuggled/%s HTTP/1.1\r\nHost: a\r\nx-token: %s\r\n%s\r\n" % (method, token.encode(), token.encode(), more)


def content(rng: random.Random, number: int) -> bytes:
    it = inner(rng, f"smg-{number}")
    return rng.choice([
        it, it, it + it, b"\r\n" + it, b"0\r\n\r\n" + it, rng.randbytes(20) + b"\r\n\r\n" + it, b"x" * rng.choice([1, 1000, 70_000]),
        b'{"model":"m","messages":[]}', b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmg-%d" % number, b"",
    ])  # fmt: skip


def target(rng: random.Random, method: str, token: str) -> str:
    if method == "CONNECT" and rng.random() < 0.5:
        return rng.choice(["127.0.0.1:80", "evil:443", f"/{token}"])
    if method == "OPTIONS" and rng.random() < 0.3:
        return "*"
    return rng.choice([f"/echo/{token}"] * 6 + [f"/echo/{token}?q=1", f"http://evil/{token}", f"http://127.0.0.1?{token}", f"//evil/{token}", f"/a/../../{token}",
                      f"/%2e%2e/{token}", f"/echo/{token}%0d%0ax:y", f"evil:80", f"/echo/{token}#x", f"/echo/{token};a"])  # fmt: skip


def framed(rng: random.Random, framing: str, body: bytes) -> tuple[list[str], bytes]:
    """The fields that frame a body, and its bytes as they go over the wire."""
    n = len(body)
    length, coding = f"Content-Length: {n}", rng.choice(["Transfer-Encoding: chunked", "transfer-encoding: Chunked", "Transfer-Encoding:chunked"])
    end = b"\r\n"
    match framing:
        case "none":
            return [], b""
        case "length":
            return [rng.choice([length, length.lower(), length.replace(": ", ":   ")])], body
        case "chunked":
            return [coding], chunked(rng, body) + end
        case "both":
            return [f"Content-Length: {rng.choice([0, 4, n])}", coding], chunked(rng, body) + end
        case "both, chunked first":
            return [coding, f"Content-Length: {rng.choice([0, 4, n])}"], chunked(rng, body) + end
        case "length 0":
            return ["Content-Length: 0"], b""
        case "length twice":
            return [length, length], body
        case "two lengths":
            return [length, "Content-Length: 0"] if rng.random() < 0.5 else ["Content-Length: 0", length], body
        case "odd length":
            return [rng.choice([f"Content-Length: +{n}", f"Content-Length: 0{n}", f"Content-Length: {n}, {n}", f"Content-Length : {n}",
                                f"Content-Length: 0x{n:x}", f"Content-Length: -{n}", f"Content-Length:\x0b{n}", f"Content-Length: {n}.0"])], body  # fmt: skip
        case "odd coding":
            return [rng.choice(["Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding : chunked",
                                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: identity",
                                "Transfer-Encoding:\r\n chunked", "transfer_encoding: chunked"])], chunked(rng, body) + end  # fmt: skip
        case "half length":
            return [f"Content-Length: {n + rng.choice([1, 50, 100_000])}"], body
        case "half chunked":
            whole = chunked(rng, body) + end
            return [coding], whole[: rng.randint(0, len(whole) - 1)]
        case "odd chunks":
            return [coding], chunked(rng, body, odd=True) + end
        case _:
            return [rng.choice([f"content_length: {n}", f"Content.Length: {n}", f"Content-Length\x00: {n}"])], b""


def http1(rng: random.Random, number: int) -> Case:
    token = f"atk-{number}"
    method = rng.choice(METHODS)
    framing = rng.choice(FRAMINGS if rng.random() < 0.6 else ["length", "chunked", "none"])
    version = "1.0" if rng.random() < 0.06 else "1.1"
    body = content(rng, number)
    fields, wire = framed(rng, framing, body)
    clean = framing in ("length", "chunked") and version == "1.1"
    fields.append(f"x-token: {token}")
    if rng.random() < 0.15:
        fields.append(rng.choice(["Connection: close", "Connection: keep-alive", "Connection: content-length", "Connection: transfer-encoding", "Connection: host, x-token",
                                  "Connection: x-a, \xff", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=1", "Connection: " + "a," * 500]))  # fmt: skip
    if rng.random() < 0.1:
        fields += rng.choice([["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13"],
                              ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"], ["Upgrade: TLS/1.0", "Connection: upgrade"]])  # fmt: skip
    if rng.random() < 0.08:
        fields.append(rng.choice(["Expect: 100-continue", "Expect: 200-ok", "expect: 100-Continue"]))
        clean = False
    if framing == "chunked" and rng.random() < 0.4:
        names = rng.sample(SECRET_TRAILERS, 2) + ["x-sum"]
        fields += [f"Trailer: {', '.join(names)}", "TE: trailers"]
        wire = wire[:-2] + b"".join(b"%s: smg-trailer\r\n" % name.encode() for name in names) + b"\r\n"
    rng.shuffle(fields)
    fields = sorted(fields, key=lambda f: f.lower().startswith(("content-length", "transfer-encoding")) and framing.startswith(("both", "two")))
    host = ["Host: 127.0.0.1"] if rng.random() < 0.97 else rng.choice([[], ["Host: 127.0.0.1", "Host: b"], ["Host: a b"]])
    head = "\r\n".join([f"{method} {target(rng, method, token)} HTTP/{version}", *host, *fields]).encode("latin-1") + b"\r\n\r\n"
    replies, pieces = 1, [head, wire] if rng.random() < 0.3 else [head + wire]
    whole = framing in ("none", "length", "chunked", "length 0") and version == "1.1"
    if whole and rng.random() < 0.25:
        pieces[-1] += b"GET /pip-%d HTTP/1.1\r\nHost: 127.0.0.1\r\nx-token: pip-%d\r\n\r\n" % (number, number)
        replies = 2
    leave = rng.choice(["wait", "wait", "wait", "close", "reset", "half"])
    return Case(number, f"{framing}, {method}, {leave}", method, [p for p in pieces if p], replies, leave, body if wire else b"", clean)


def http2(rng: random.Random, number: int) -> Case:
    token = f"atk-{number}"
    method = rng.choice(METHODS)
    path = rng.choice([f"/echo/{token}"] * 5 + [f"?{token}", f"http://evil/{token}", f"evil/{token}", "*", f"/a/../../{token}", f"/{token} HTTP/1.1"])
    fields = [(":method", method), (":scheme", "http"), (":authority", "127.0.0.1"), (":path", path), ("x-token", token)]
    clean = method != "CONNECT"
    body = content(rng, number) if rng.random() < 0.8 else b""
    if method == "CONNECT" and rng.random() < 0.5:
        fields = [f for f in fields if f[0] not in (":scheme", ":path")]
    if rng.random() < 0.35:
        clean = False
        fields.append(rng.choice([("content-length", str(len(body))), ("content-length", "0"), ("content-length", str(len(body) + 5)), ("transfer-encoding", "chunked"),
                                  ("connection", "close"), ("host", "evil"), ("x-a", "b\r\n\r\nGET /smg HTTP/1.1"), ("upgrade", "h2c"), ("te", "chunked"), ("X-Upper", "1"),
                                  ("expect", "100-continue"), ("cookie", "a=b")]))  # fmt: skip
    trailers = [(name, "smg-trailer") for name in rng.sample(SECRET_TRAILERS, 2)] if rng.random() < 0.2 else []
    what = {"fields": fields, "data": body, "trailers": trailers}
    return Case(number, f"HTTP/2, {method}", method, [], 1, rng.choice(["wait", "wait", "reset"]), body, clean and not trailers, what)


def cases(seed: int, count: int) -> list[Case]:
    rng = random.Random(seed)
    return [(http2 if rng.random() < 0.15 else http1)(random.Random(rng.getrandbits(64)), number) for number in range(count)]
