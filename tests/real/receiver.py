"""An OTLP receiver in Python: the official messages (opentelemetry-proto) behind HTTP and gRPC, with or without TLS.

HTTP bodies are read strictly: protocol buffers by the generated classes, JSON by protobuf's own parser, with the one
exception of the OTLP specification, that trace and span ids are hex and not base64. What does not read is answered
with 400, so limpid counts it as refused.
"""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import pathlib
import ssl
import threading
from concurrent import futures

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

REQUESTS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}
IDS = ("traceId", "spanId", "parentSpanId")


def with_base64_ids(value):
    """OTLP's JSON as protobuf's parser wants it."""
    if isinstance(value, list):
        return [with_base64_ids(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in IDS else with_base64_ids(v) for k, v in value.items()}


class Receiver:
    """Listens for both transports. `tls` is (certificate, key, client authority), as files."""

    def __init__(self, tls: tuple[pathlib.Path, pathlib.Path, pathlib.Path] | None = None):
        self.got: list[tuple[str, str, object]] = []  # (path, encoding, message)
        self.faults: list[str] = []
        scheme = "https" if tls else "http"
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        receiver = self

        def servicer(base, path):
            class Servicer(base):
                def Export(self, request, context):  # noqa: N802
                    encoding = dict(context.invocation_metadata()).get("grpc-encoding", "")
                    receiver.got.append((path, encoding, request))
                    return base_response(path)

            return Servicer()

        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
            servicer(trace_service_pb2_grpc.TraceServiceServicer, "/v1/traces"), self._grpc)  # fmt: skip
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
            servicer(metrics_service_pb2_grpc.MetricsServiceServicer, "/v1/metrics"), self._grpc)  # fmt: skip
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
            servicer(logs_service_pb2_grpc.LogsServiceServicer, "/v1/logs"), self._grpc)  # fmt: skip
        if tls:
            certificate, key, authority = tls
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
            credentials = grpc.ssl_server_credentials(
                [(key.read_bytes(), certificate.read_bytes())], authority.read_bytes(), require_client_auth=True)  # fmt: skip
            port = self._grpc.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = self._grpc.add_insecure_port("127.0.0.1:0")
        self.http, self.grpc = f"{scheme}://127.0.0.1:{self._http.server_port}", f"{scheme}://127.0.0.1:{port}"

    def __enter__(self) -> Receiver:
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait(5)

    def base(self, protocol: str) -> str:
        return self.grpc if protocol == "grpc" else self.http

    def spans(self) -> list:
        requests = [m for path, _, m in self.got if path == "/v1/traces"]
        return [s for m in requests for r in m.resource_spans for scope in r.scope_spans for s in scope.spans]

    def metrics(self) -> dict:
        """The newest export of each metric, by name."""
        requests = [m for path, _, m in self.got if path == "/v1/metrics"]
        return {x.name: x for m in requests for r in m.resource_metrics for scope in r.scope_metrics for x in scope.metrics}

    def logs(self) -> list:
        requests = [m for path, _, m in self.got if path == "/v1/logs"]
        return [x for m in requests for r in m.resource_logs for scope in r.scope_logs for x in scope.log_records]

    def _handler(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["content-length"]))
                encoding = self.headers.get("content-encoding", "")
                kind = self.headers["content-type"]
                try:
                    message = REQUESTS[self.path]()
                    body = gzip.decompress(body) if encoding == "gzip" else body
                    if kind == "application/json":
                        json_format.ParseDict(with_base64_ids(json.loads(body)), message)
                    elif kind == "application/x-protobuf":
                        message.ParseFromString(body)
                    else:
                        raise ValueError(f"content-type {kind}")
                    receiver.got.append((self.path, encoding, message))
                    status, answer = 200, b"{}" if kind == "application/json" else b""
                except Exception as e:
                    receiver.faults.append(f"{self.path}: {e!r}")
                    status, answer = 400, b""
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        return Handler


def base_response(path: str):
    return {
        "/v1/traces": trace_service_pb2.ExportTraceServiceResponse,
        "/v1/metrics": metrics_service_pb2.ExportMetricsServiceResponse,
        "/v1/logs": logs_service_pb2.ExportLogsServiceResponse,
    }[path]()


def attributes(of) -> dict:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}
