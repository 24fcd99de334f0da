"""limpid's numbers against those of another measurer: NVIDIA's aiperf drives llama.cpp through limpid.

aiperf measures at the client. It writes one line a request, which carries the `X-Request-ID` that it sent; limpid's
exchange log has the same id, so the two are compared request by request. They do not share a clock or a place:

- aiperf's TTFT starts before it writes the request and ends when its event loop was handed the first token, so it is
  the longer one, by the way there and back and by two programs' scheduling: about 1 ms.
- aiperf keeps every gap between chunks with content. limpid keeps their sum, the longest, and their counts in the
  buckets of `gen_ai.client.operation.time_per_output_chunk`. So an exchange's mean gap can be compared closely (it is
  `tpot_ms`, one token a chunk), and the p50 over single gaps only as the bucket that it lies in.

aiperf and what it needs for this are in an environment of their own (`tests/run` makes it), for its packages are many
and some are of other versions. It tokenizes with SmolLM2's own tokenizer from a folder; nothing is asked of a hub.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import sys

import pytest

from limpid import TARGET
from processes import clean_env

HERE = pathlib.Path(__file__).parent
VENV = TARGET / "aiperf-venv"
AIPERF = VENV / "bin" / "aiperf"
REQUESTS, OUTPUT = 16, 48
CHUNK_METRIC = "gen_ai_client_operation_time_per_output_chunk_seconds"

pytestmark = pytest.mark.skipif(not (VENV / "stamp").exists(), reason="aiperf is not installed: tests/run does it unless `-k` leaves it out")


def profile(url: str, model: str, folder: pathlib.Path) -> list[dict]:
    """Runs aiperf; its records of the measured requests, in order, each a flat dict of its metrics and the id."""
    hub = TARGET / "test-models" / "hub"
    if not (hub / "hub").exists():
        subprocess.run([sys.executable, HERE / "backend.py", "tokenizer", hub], check=True)
    command = [
        AIPERF, "profile", "--model", model, "--url", url, "--endpoint-type", "chat", "--streaming",
        "--tokenizer", "limpid/smollm2", "--use-server-token-count", "--random-seed", "7",
        "--concurrency", "1", "--request-count", str(REQUESTS), "--warmup-request-count", "2",
        "--synthetic-input-tokens-mean", "64", "--osl", str(OUTPUT), "--extra-inputs", "ignore_eos:true",
        "--extra-inputs", "temperature:0", "--extra-inputs", "cache_prompt:false",
        "--no-gpu-telemetry", "--no-server-metrics", "--no-auto-plot", "--ui", "none", "--output-artifact-dir", folder / "aiperf",
    ]  # fmt: skip
    env = clean_env(HF_HOME=str(hub), HF_HUB_OFFLINE="1", HOME=str(folder), MPLBACKEND="agg")
    with open(folder / "aiperf.log", "wb") as log:
        done = subprocess.run([str(c) for c in command], stdout=log, stderr=log, env=env, timeout=400)
    assert done.returncode == 0, (folder / "aiperf.log").read_text(errors="replace")[-3000:]
    lines = [json.loads(line) for line in (folder / "aiperf" / "profile_export.jsonl").read_text().splitlines()]
    return [{"id": e["metadata"]["x_request_id"], **{k: m["value"] for k, m in e["metrics"].items()}}
            for e in lines if e["metadata"]["benchmark_phase"] == "profiling"]  # fmt: skip


def test_aiperf_measures_the_same(smollm, limpid, folder, record_property):
    through = limpid(smollm.url)
    theirs = profile(through.data, smollm.model, folder)
    assert len(theirs) == REQUESTS
    ours = {r.get("request_id"): r for r in through.all_records() if r["endpoint"] == "chat"}

    ttft_off, over, gap_off, all_gaps = [], [], [], []
    for a in theirs:
        r = ours[a["id"]]
        gaps, tokens, chunks = a["inter_chunk_latency"], r["usage"]["output_tokens"], r["chunks"]["tokens_events"]
        assert (a["output_sequence_length"], a["usage_completion_tokens"]) == (tokens, tokens) and tokens == OUTPUT
        assert a["usage_prompt_tokens"] == r["usage"]["input_tokens"]
        assert len(gaps) + 1 == chunks
        ttft_off.append(a["time_to_first_token"] - r["timing"]["ttft_ms"])
        over.append(abs(ttft_off[-1]) - 0.01 * a["time_to_first_token"])
        mean_gap = r["timing"]["tpot_ms"] * (tokens - 1) / (chunks - 1)
        gap_off.append(100 * (mean_gap / statistics.mean(gaps) - 1))
        all_gaps += gaps
    figures = {
        "ttft, aiperf's less limpid's, ms: p50, p90, max": at_50_90_max(ttft_off),
        "mean gap, % off: p50, p90, max": at_50_90_max([abs(o) for o in gap_off]),
        "p50 of the mean gaps, ms: aiperf, limpid": [round(statistics.median(v), 3) for v in (
            [statistics.mean(a["inter_chunk_latency"]) for a in theirs], [ours[a["id"]]["timing"]["tpot_ms"] for a in theirs])],
        "p50 of all gaps, ms: aiperf": round(statistics.median(all_gaps), 3),
        "ttft p50, ms: aiperf": round(statistics.median(a["time_to_first_token"] for a in theirs), 2),
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    record_property("figures", figures)

    # Two processes are scheduled apart, so single requests tell of the machine; the middle of them tells of the definitions.
    assert statistics.median(over) <= 2, f"TTFT: half of them are off by more than 2 ms + 1 %: {figures}"
    a_50, l_50 = figures["p50 of the mean gaps, ms: aiperf, limpid"]
    assert abs(l_50 / a_50 - 1) <= 0.02, figures
    assert statistics.median(map(abs, gap_off)) <= 2, figures
    low, high = median_bucket(through.metrics())
    assert low * 0.98 <= statistics.median(all_gaps) / 1000 <= high * 1.02, (low, high, figures)


def median_bucket(samples) -> tuple[float, float]:
    """The bounds, in seconds, of the bucket with the median of all gaps between token events."""
    total = samples.total(f"{CHUNK_METRIC}_count")
    bounds: dict[float, float] = {}
    for name, labels, value in samples:
        if name == f"{CHUNK_METRIC}_bucket":
            bounds[float(labels["le"])] = bounds.get(float(labels["le"]), 0) + value
    below = 0.0
    for bound, count in sorted(bounds.items()):
        if count * 2 >= total > 0:
            return below, bound
        below = bound
    raise AssertionError(f"no bucket holds the half of {total} gaps")


def at_50_90_max(values: list[float]) -> list[float]:
    v = sorted(values)
    return [round(x, 3) for x in (statistics.median(v), v[len(v) * 9 // 10], v[-1])]
