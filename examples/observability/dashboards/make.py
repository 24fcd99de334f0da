#!/usr/bin/env python3
"""Writes the dashboards as JSON, beside this file or into the folder named: `make.py [FOLDER]`.

Needs `grafana-foundation-sdk` in the version that tests/real/requirements.txt names; its number after the `!` is the
Grafana that the JSON is made for. The same input gives the same bytes, and a test compares them with the committed files.
"""

from __future__ import annotations

import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder

import resources
import traffic

VIEWS = [traffic.overview, traffic.latency, traffic.errors, traffic.refusals, resources.tokens, resources.cost, resources.capacity, resources.itself]


def main() -> None:
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for view in VIEWS:
        made = view().build()
        text = json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / f"{made.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
