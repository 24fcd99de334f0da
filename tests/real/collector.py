"""A real OpenTelemetry collector (rotel) that prints what it receives, and a reader of what it prints."""

from __future__ import annotations

import importlib.util
import pathlib
import re
from dataclasses import dataclass, field

from processes import Process, accepts, clean_env, free_port

ATTRIBUTE = re.compile(r"^ +-> ([\w.]+): (\w+)\((.*)\)$")


@dataclass
class Span:
    trace_id: str = ""
    id: str = ""
    parent_id: str = ""
    name: str = ""
    kind: str = ""
    status: str = ""
    start: int = 0  # ns since 1970
    end: int = 0
    attributes: dict[str, str] = field(default_factory=dict)  # values as printed, without their type
    types: dict[str, str] = field(default_factory=dict)  # Str, Int, Double, Bool, Slice
    resource: dict[str, str] = field(default_factory=dict)


@dataclass
class Metric:
    name: str = ""
    unit: str = ""
    kind: str = ""  # Sum, Gauge, Histogram, ExponentialHistogram
    points: list[dict[str, str]] = field(default_factory=list)  # the attributes of each point


class Collector(Process):
    """rotel with both receivers on free ports, or on those of an `earlier` one that has ended."""

    def __init__(self, folder: pathlib.Path, earlier: Collector | None = None):
        spec = importlib.util.find_spec("rotel")
        agent = pathlib.Path(spec.submodule_search_locations[0]) / "rotel-agent"
        self.grpc_port = earlier.grpc_port if earlier else free_port()
        self.http_port = earlier.http_port if earlier else free_port()
        self.grpc, self.http = f"http://127.0.0.1:{self.grpc_port}", f"http://127.0.0.1:{self.http_port}"
        command = [str(agent), "start", "--exporter", "blackhole", "--otlp-grpc-endpoint", self.grpc[7:],
                   "--otlp-http-endpoint", self.http[7:], "--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs",
                   "--debug-log-verbosity", "detailed", "--pid-file", str(folder / "rotel.pid"),
                   "--log-file", str(folder / "rotel-own.log")]  # fmt: skip
        super().__init__(command, folder / ("rotel-again.log" if earlier else "rotel.log"), clean_env())
        self.wait_for("rotel's ports", lambda: accepts(self.grpc_port) and accepts(self.http_port), 10)

    def spans(self) -> list[Span]:
        return parse(self.output())[0]

    def metrics(self) -> dict[str, Metric]:
        """The newest export of each metric by name, with the points of all exports."""
        merged: dict[str, Metric] = {}
        for m in parse(self.output())[1]:
            merged.setdefault(m.name, Metric(m.name, m.unit, m.kind)).points += m.points
        return merged


SPAN_FIELDS = {"Trace ID": "trace_id", "ID": "id", "Parent ID": "parent_id", "Name": "name", "Kind": "kind", "Status code": "status"}
METRIC_FIELDS = {"Name": "name", "Unit": "unit", "DataType": "kind"}


def parse(text: str) -> tuple[list[Span], list[Metric]]:
    """What rotel printed so far. A block that is still being written may be there in part."""
    spans: list[Span] = []
    metrics: list[Metric] = []
    resource: dict[str, str] = {}
    into: dict[str, str] = {}
    types: dict[str, str] = {}
    for line in text.splitlines():
        if line == "Resource attributes:":
            resource = into = {}
            types = {}
        elif re.match(r"Span #\d+$", line):
            spans.append(Span(resource=resource))
            into, types = spans[-1].attributes, spans[-1].types
        elif re.match(r"Metric #\d+$", line):
            metrics.append(Metric())
            into = {}
        elif line == "Data point attributes:":
            into, types = {}, {}
            metrics[-1].points.append(into)
        elif re.match(r"(Events|Links|Span(Event|Link)s?)\b", line.strip()):
            into, types = {}, {}
        elif m := ATTRIBUTE.match(line):
            into[m[1]], types[m[1]] = unprinted(m[3]), m[2]
        elif (m := re.match(r"    (\w[\w ]*?) *: (.*)$", line)) and spans and m[1] in SPAN_FIELDS:
            setattr(spans[-1], SPAN_FIELDS[m[1]], m[2].strip())
        elif (m := re.match(r"(Start|End) time: (\d+)$", line)) and spans:
            setattr(spans[-1], m[1].lower(), int(m[2]))
        elif (m := re.match(r" +-> (\w+): (.*)$", line)) and metrics and m[1] in METRIC_FIELDS:
            setattr(metrics[-1], METRIC_FIELDS[m[1]], m[2].strip())
    return spans, metrics


def unprinted(value: str) -> str:
    """`Slice(Str(stop))` is printed with its items' types; the items alone say enough."""
    return re.sub(r"\bStr\(([^()]*)\)", r"\1", value)
