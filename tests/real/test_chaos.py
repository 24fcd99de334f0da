"""The matrix of `chaos.py` with few streams: each fault once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile

import pytest

import chaos
import rawhttp
from limpid import BINARY
from processes import clean_env, until
from scripted import Scripted, reply

STREAMS = int(os.environ.get("STREAMS") or 40)

# What still fails; the marks go when it is mended.
# Lines for a named pipe without a reader wait in the queue; what is left is told at the end, in limpid's own log alone.
OWED = {"log file gone"}


@pytest.mark.parametrize("fault", chaos.FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_stays_where_it_is(fault, request):
    if fault.name in OWED:
        request.applymarker(pytest.mark.xfail(reason="not mended yet"))
    try:
        result = chaos.play(fault, STREAMS)
    except chaos.NotHere as e:
        pytest.skip(str(e))
    print(result)
    if result.faults:
        pytest.fail("\n".join([f"{len(result.faults)} faults under {STREAMS} streams:", *result.faults[:5]]), pytrace=False)


NOBODY = 54_321  # a user that runs nothing else: the limit on threads counts all that a user runs


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to become another user, whom the limit holds")
def test_it_starts_whole_or_not_at_all():
    """Under each limit on threads from 1 to 14, and far above what it needs, it says in one line why it does not start, or it serves: many at once, and with
    a health that is true."""
    started = {}
    with tempfile.TemporaryDirectory() as folder, Scripted(lambda s, _request: s.sendall(reply(b'{"model":"m"}'))) as upstream:
        os.chmod(folder, 0o777)
        binary = shutil.copy(BINARY, folder)
        for limit in (*range(1, 15), 60):
            addresses = f"{folder}/{limit}.json"
            child = subprocess.Popen(
                [binary, "serve", "--upstream", upstream.url, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--addresses-file", addresses],
                user=NOBODY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_env(), cwd=folder,
                preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit)),
            )  # fmt: skip
            try:
                until(f"it to start or to end under {limit}", lambda: os.path.exists(addresses) and os.path.getsize(addresses) or child.poll() is not None, 20)
                if child.poll() is None:
                    with open(addresses) as file:
                        at = json.load(file)
                    for _ in range(20):
                        answer = rawhttp.ask(at["data"], "POST", "/v1/chat/completions", b'{"model":"m"}')
                        assert (answer.status, answer.body) == (200, b'{"model":"m"}'), f"under {limit}: {answer}"
                    assert rawhttp.ask(at["admin"], "GET", "/readyz").status == 200
                    child.terminate()
                told = child.communicate(timeout=20)[1]
                started[limit] = child.returncode == 0
                assert "panicked" not in told, f"under {limit}: {told}"
                if child.returncode:
                    assert child.returncode == 1 and "thread" in told.strip().splitlines()[-1], f"under {limit}: it left with {child.returncode} and says {told!r}"
            finally:
                child.kill()
                child.wait()
    print({limit: "serves" if it else "does not start" for limit, it in started.items()})
    assert started[60] and not started[1]
