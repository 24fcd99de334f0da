"""The ready-made views of examples/observability: what they ask is there, and the alerts fire when they should.

No Grafana is at hand, so the dashboards' looks are not tested. Every expression of theirs and of the rules is: it must
return numbers from a Prometheus that scrapes `limpid demo`, with some rarer troubles added. An expression that falls back
to 0 could hide a misspelt label, so each selector must find series by itself too. Hours become seconds for it; what the
real windows do is tested with promtool and made-up series, in `prometheus/tests/`.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator

import pytest
import yaml

import rawhttp
from limpid import BINARY, ROOT
from processes import Process, accepts, clean_env, free_port
from scripted import Scripted, reply

VIEWS = ROOT / "examples" / "observability"
RULES = sorted((VIEWS / "prometheus" / "rules").glob("*.yml"))
CASES = sorted((VIEWS / "prometheus" / "tests").glob("*.yml"))
BOARDS = sorted((VIEWS / "dashboards").glob("*.json"))
needs_prometheus = pytest.mark.skipif(not (shutil.which("prometheus") and shutil.which("promtool")), reason="no prometheus on this machine")


def board(path: pathlib.Path) -> dict:
    return json.loads(path.read_text())


def panels(path: pathlib.Path) -> list[dict]:
    return [panel for panel in board(path)["panels"] if panel["type"] != "row"]


def rules() -> list[dict]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


# --- the files --------------------------------------------------------------------------------


def test_the_dashboards_are_what_their_source_makes(tmp_path):
    subprocess.run([sys.executable, str(VIEWS / "dashboards" / "make.py"), str(tmp_path)], check=True, timeout=60)
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    assert made == {path.name: path.read_bytes() for path in BOARDS}, "run examples/observability/dashboards/make.py"
    assert len(made) == 8


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_is(path):
    it, seen = board(path), set()
    known = {variable["name"] for variable in it["templating"]["list"]}
    assert {"datasource", "model", "upstream", "endpoint"} <= known and it["uid"] == path.stem
    for panel in it["panels"]:
        assert panel["id"] not in seen
        seen.add(panel["id"])
    for panel in panels(path):
        where = f"{path.stem}: {panel['title']}"
        assert panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"], where
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"], where
        for target in panel["targets"]:
            for name in re.findall(r"\$\{?(\w+)", target["expr"]):
                assert name in known or name in ("__rate_interval", "__range"), f"{where}: ${name}"
        for link in panel.get("links", []):
            uid = re.match(r"/d/([\w-]+)\?", link["url"])[1]
            assert (VIEWS / "dashboards" / f"{uid}.json").is_file(), f"{where}: {link['url']}"
    places = [panel["gridPos"] for panel in it["panels"]]
    assert all(p["x"] + p["w"] <= 24 for p in places)
    apart = lambda a, b: a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]  # noqa: E731
    assert all(apart(a, b) for a, b in itertools.combinations(places, 2)), "panels overlap"


def test_every_alert_has_its_texts_its_runbook_and_its_tests():
    readme = (VIEWS / "README.md").read_text()
    tested = "".join(path.read_text() for path in CASES)
    alerts = [rule for rule in rules() if "alert" in rule]
    for rule in alerts:
        name, says = rule["alert"], rule["annotations"]
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert says["summary"] and says["description"].endswith("."), name
        assert says["runbook_url"].endswith(f"examples/observability/README.md#{name.lower()}") and f"\n### {name}\n" in readme, name
        assert (VIEWS / "dashboards" / f"{says['dashboard']}.json").is_file(), name
        assert f"alertname: {name}\n" in tested, f"no case fires {name}"
    assert readme.count("\n### Limpid") == len(alerts)
    order = yaml.safe_load(CASES[0].read_text())["group_eval_order"]
    groups = [group["name"] for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    assert sorted(order) == sorted(groups)


@needs_prometheus
@pytest.mark.parametrize("what", ["rules", "config"])
def test_promtool_takes_the_rules_and_the_configuration(what):
    files = RULES if what == "rules" else [VIEWS / "prometheus" / "prometheus.yml"]
    done = subprocess.run(["promtool", "check", what, *map(str, files)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_quiet(path):
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collectors_pipelines_name_what_there_is():
    it = yaml.safe_load((VIEWS / "otel-collector.yaml").read_text())
    for name, pipeline in it["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            assert pipeline[kind] and set(pipeline[kind]) <= set(it[kind]), f"{name}: {kind}"
        assert pipeline["processors"] == ["memory_limiter", "batch"]
    assert set(it["receivers"]) == {"otlp", "prometheus"} and "prometheusremotewrite" in it["exporters"]


def test_compose_mounts_and_provisions_what_there_is():
    services = yaml.safe_load((VIEWS / "compose.yaml").read_text())["services"]
    assert {"limpid", "collector", "prometheus", "grafana"} <= set(services)
    mounts = {}
    for name, service in services.items():
        assert set(service.get("depends_on", [])) <= set(services), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        for volume in service.get("volumes", []):
            source, at = volume.split(":")[:2]
            mounts[at] = VIEWS / source
            assert not source.startswith(".") or (VIEWS / source).exists(), f"{name}: {volume}"
    provisioning = VIEWS / "grafana" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "limpid.yaml").read_text())["providers"][0]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    at = provider["options"]["path"]
    assert mounts[at] / "limpid-overview.json" in BOARDS and home == f"{at}/limpid-overview.json"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    assert source["type"] == "prometheus" and source["isDefault"] and source["url"].startswith("http://prometheus:")


# --- the expressions --------------------------------------------------------------------------


def soon(expr: str) -> str:
    """An expression with seconds for its hours."""
    expr = re.sub(r"\[\w+:\w+\]", "[20s:1s]", expr.replace("$__rate_interval", "10s").replace("$__range", "20s"))
    return re.sub(r"offset \w+", "offset 3s", re.sub(r"\[\w+\]", "[10s]", expr))


def unconditional(expr: str) -> str:
    """An alert's expression as one that returns numbers whether or not it would fire; both sides of each comparison and
    of each `and` and `unless` must have series."""
    parts = re.split(r'(\{[^}]*\}|"[^"]*")', expr.replace(" unless ", " and ").replace("\nunless ", "\nand "))
    return "".join(part if n % 2 else re.sub(r"(<=|>=|==|!=|<|>)", r"\1 bool", part) for n, part in enumerate(parts))


def chosen(expr: str) -> str:
    """With `All` for every variable."""
    return re.sub(r"\$(model|upstream|endpoint)\b", ".*", expr)


def asked() -> Iterator[tuple[str, str, str]]:
    """Where, what, and the legend, of every expression there is."""
    for path in BOARDS:
        for variable in board(path)["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.match(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
                yield f"{path.stem}: ${variable['name']}", f'count by ({label}) ({metric}{{{label}!=""}})', f"{{{{{label}}}}}"
        for panel in panels(path):
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", soon(chosen(target["expr"])), target.get("legendFormat", "")
    for rule in rules():
        if "record" in rule:
            yield f"rule: {rule['record']}", rule["record"], ""
        else:
            yield f"alert: {rule['alert']}", unconditional(soon(rule["expr"])), ""


def selectors() -> set[str]:
    """Every selector of limpid's metrics in dashboards and rules."""
    every = [target["expr"] for path in BOARDS for panel in panels(path) for target in panel["targets"]] + [rule["expr"] for rule in rules()]
    return {found for expr in every for found in re.findall(r"\b(?:gen_ai|limpid|process)_\w+(?:\{[^}]*\})?", chosen(expr)) if not found.startswith("gen_ai_request_model")}


LIMITED = {
    "tokens": {"error": {"message": "Rate limit reached on tokens per min.", "type": "tokens", "code": "rate_limit_exceeded"}},
    "untold": {"error": {"message": "Slow down.", "type": "error", "code": "rate_limit_exceeded"}},
}
# What the demo does seldom, as the `sim` member of a request.
RARE = [
    {"fault": "rate_limited:1"}, {"fault": "quota"}, {"fault": "status:500"}, {"fault": "status:503"}, {"fault": "content_filter"},
    {"fault": "context_length"}, {"fault": "cut_off:3"}, {"fault": "in_stream_error:3"}, {"fault": "junk:3"}, {"fault": "hang_up"},
    {"output": "refusal"}, {"output": "refusal_text"}, {"cached_input_tokens": 5, "reasoning_tokens": 4},
    {"input_tokens": 300}, {"input_tokens": 1000}, {"input_tokens": 5000}, {"input_tokens": 20000}, {"input_tokens": 50000},
]


PATH = "/v1/chat/completions"
# More than the buffers on the way hold, or nobody would notice that its reader is slow.
LARGE = {"padding": 8000, "tokens": 600, "gap_ms": 0}


class Troubles:
    """One of each rare thing in turn, and beside them replies that are read slowly, until it is told to stop."""

    def __init__(self, url: str):
        self.url, self.over = url, threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.rare, self.slow)]

    def __enter__(self) -> Troubles:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(10)

    def request(self, model: str, more: dict) -> tuple[bytes, rawhttp.Fields]:
        sim = {"ttft_ms": 5, "gap_ms": 1, "tokens": 8, **more}
        body = {"model": model, "stream": True, "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": "hi"}], "sim": sim}
        return json.dumps(body).encode(), [("Authorization", "Bearer sk-demo-search-5f0c"), ("x-limpid-project", "search")]

    def ask(self, model: str, more: dict) -> None:
        try:
            rawhttp.ask(self.url, "POST", PATH, *self.request(model, more))
        except (OSError, rawhttp.Gone):
            pass  # a hang-up is one of the troubles

    def rare(self) -> None:
        for more in itertools.cycle(RARE):
            if self.over.is_set():
                return
            self.ask("gpt-4o-mini", more)
            self.ask("limited-" + ("tokens" if RARE.index(more) % 2 else "untold"), {})
            self.ask("gpt-5-mini", {"usage": "never"})  # its reasoning is hidden, so nothing can be estimated

    def slow(self) -> None:
        while not self.over.is_set():
            with rawhttp.Connection(rawhttp.address(self.url)) as connection:
                connection.send("POST", PATH, *self.request("gpt-4o", LARGE))
                while connection.read() and not connection.buffer.endswith(b"\r\n0\r\n\r\n"):
                    connection.buffer = connection.buffer[-9:]
                    time.sleep(0.02)


def limits(s, request: bytes) -> None:
    told = LIMITED["tokens" if b"limited-tokens" in request else "untold"]
    s.sendall(reply(json.dumps(told).encode(), status="429 Too Many Requests"))


class Prometheus(Process):
    """Prometheus with the rules of the views, shortened, scraping one limpid every second."""

    def __init__(self, target: str, folder: pathlib.Path, data: str):
        self.port = free_port()
        for path in RULES:
            (folder / path.name).write_text(soon(path.read_text()))
        config = folder / "prometheus.yml"
        config.write_text(f"""\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{folder}/limpid-*.yml"]
scrape_configs:
  - job_name: limpid
    static_configs: [{{targets: ["{target}"]}}]
""")
        super().__init__(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{self.port}"],
                         folder / "prometheus.log", clean_env())
        self.wait_for("prometheus' port", lambda: accepts(self.port), 30)

    def get(self, path: str, **parameters: str) -> dict:
        got = rawhttp.ask(f"http://127.0.0.1:{self.port}", "GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}").json()
        assert got["status"] == "success", f"{parameters}: {got['error']}"
        return got["data"]

    def answers(self, expr: str, legend: str) -> bool:
        """Whether there is a number, and a series with each label that the legend shows."""
        series = self.get("query", query=expr)["result"]
        finite = [s for s in series if math.isfinite(float(s["value"][1]))]
        labels = re.findall(r"\{\{(\w+)\}\}", legend)
        return bool(finite) and all(any(label in s["metric"] for s in finite) for label in labels)


def unanswered(prometheus: Prometheus, seconds: float) -> list[tuple[str, str, str]]:
    """Which expressions have had no data at any moment until `seconds` were over; ends as soon as all have had some."""
    pending = {*asked(), *(("selector", f"count({selector})", "") for selector in selectors())}
    count, deadline = len(pending), time.monotonic() + seconds
    while pending and time.monotonic() < deadline:
        pending -= {one for one in pending if prometheus.answers(one[1], one[2])}
        time.sleep(0.5)
    for where, expr, _ in sorted(pending):
        print(f"EMPTY {where}: {expr}")
    print(f"{count - len(pending)} of {count} expressions have data")
    return sorted(pending)


@needs_prometheus
def test_every_expression_has_data(folder):
    data, admin = free_port(), free_port()
    with Scripted(limits) as limited, tempfile.TemporaryDirectory() as store:
        more = {"LIMPID_UPSTREAMS__LIMITED__URL": limited.url, "LIMPID_UPSTREAMS__LIMITED__MODELS": '["limited-*"]',
                "LIMPID_UPSTREAMS__VLLM__ASK_FOR_USAGE": "true"}
        demo = Process([str(BINARY), "demo", "--listen", f"127.0.0.1:{data}", "--admin", f"127.0.0.1:{admin}"], folder / "demo.log", clean_env(**more))
        demo.wait_for("the demo's ports", lambda: accepts(data) and accepts(admin), 20)
        prometheus = Prometheus(f"127.0.0.1:{admin}", folder, store)
        try:
            with Troubles(f"http://127.0.0.1:{data}"):
                empty = unanswered(prometheus, 120)
            failing = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"] if rule["health"] == "err"]
            labels = set(prometheus.get("labels"))
        finally:
            prometheus.end()
            code = demo.end()
        assert code == 0, demo.text()[-2000:]
        assert not failing, failing
        assert not empty, f"{len(empty)} expressions are empty, see the output"
        written = [expr for _, expr, _ in asked()] + [rule["expr"] for rule in rules()]
        grouped = {label.strip() for expr in written for by in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr) for label in by.split(",")}
        assert grouped <= labels, f"no series has {grouped - labels}"
