#!/usr/bin/env python3
"""openai-python's own tests, once straight against the mock they are made for and once through limpid.

The tests are those of the client's API, `tests/api_resources` of the source distribution openai 3.3.1: every method,
synchronous and asynchronous, raw and streaming. The rest of that suite talks to no server. The mock checks each
request against the OpenAPI description given and answers 400 to what does not fit. `tests/run` prepares all of it
under `target/suite`; then also by hand:

    target/test-venv/bin/python tests/real/suite_openai.py DESCRIPTION.yml

Exits 0 if every test came to the same end both times and none failed. Without the description nothing is run, and it
says so. Two cores need one to two minutes a run.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections import Counter

from limpid import LOGS, TARGET, Limpid
from processes import clean_env

SUITE = TARGET / "suite"
FOLDER = LOGS / "suite-openai"
AT_LEAST = 6000  # tests that must have passed: an empty run is equal to an empty run


def outcomes(report: pathlib.Path) -> dict[str, str]:
    """What became of each test, from pytest's JUnit report."""
    found = {}
    for case in xml.parse(report).iter("testcase"):
        bad = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}::{case.get('name')}"] = min(bad, default="passed")
    return found


def run(name: str, url: str) -> dict[str, str]:
    report, log = FOLDER / f"{name}.xml", FOLDER / f"{name}.log"
    report.unlink(missing_ok=True)
    env = {k: v for k, v in clean_env().items() if not k.startswith(("OPENAI_", "PYTEST_"))}
    env |= {"TEST_API_BASE_URL": url, "DEFER_PYDANTIC_BUILD": "false"}
    command = [SUITE / "venv" / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "tests/api_resources"]
    begun = time.monotonic()
    with open(log, "wb") as out:
        code = subprocess.run(command, cwd=SUITE / "openai", stdout=out, stderr=out, env=env, timeout=900).returncode
    if not report.exists():
        raise SystemExit(f"no report, exit code {code}:\n{log.read_text()[-3000:]}")
    found = outcomes(report)
    counts = ", ".join(f"{n} {what}" for what, n in sorted(Counter(found.values()).items()))
    print(f"openai-python {name}: {counts} in {time.monotonic() - begun:.0f} s", flush=True)
    return found


def main(description: pathlib.Path) -> int:
    if not description.exists():
        print(f"openai-python's tests: SKIPPED, there is no OpenAPI description at {description} (LIMPID_OPENAPI names another)")
        return 0
    from nodejs import Steady

    FOLDER.mkdir(parents=True, exist_ok=True)
    mock = Steady(description.resolve(), FOLDER / "steady.log")
    try:
        straight = run("straight", mock.url)
        limpid = Limpid(mock.url, FOLDER / "limpid")
        try:
            relayed = run("through limpid", limpid.data)
        finally:
            code = limpid.end()
    finally:
        mock.end()
    different = sorted(t for t in straight.keys() | relayed.keys() if straight.get(t) != relayed.get(t))
    for test in different[:20]:
        print(f"  {test}: {straight.get(test)} straight, {relayed.get(test)} through limpid")
    passed, records = Counter(relayed.values())["passed"], len(limpid.all_records())
    print(f"{len(different)} of {len(straight)} tests differ; limpid relayed {records} requests")
    # Most tests ask once; those of refused arguments and of binary answers never reach a server.
    good = not different and set(relayed.values()) <= {"passed", "skipped"} and passed >= AT_LEAST and records >= passed / 2
    return 0 if good and code == 0 else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {os.path.basename(sys.argv[0])} DESCRIPTION.yml")
    sys.exit(main(pathlib.Path(sys.argv[1])))
