"""The official clients for Node.js see the same through limpid as straight: npm `openai`, `@anthropic-ai/sdk`, `ai`.

Each script of `node/` runs twice, against a fresh aimock and through limpid against another, and tells what every
call returned or threw: objects, events, fields of heads, errors with their causes. Two runs differ by themselves in
random ids and clock times (`normalised`), and in nothing else. One difference is limpid's own: see `REFUSED`.
"""

from __future__ import annotations

import json
import re

import pytest

import nodejs

# Where the upstream closes without a byte of a response, the client would see a connection error. limpid has a
# connection of its own to the client, so it answers 502 and says why; the client's class of error follows from that.
REFUSED = "chaos-disconnect"

ID = re.compile(r"\b(chatcmpl|resp|msg|rs|fc|call|file|modr|req|toolu|item)[-_](?=[\w-]{12})[\w-]{12,}")
UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
AI_ID = re.compile(r"\baitxt-[\w-]+")


def normalised(told, key: str = ""):
    """What a script told, without random ids and clock times (seconds since 1970, and the field `date`)."""
    if isinstance(told, dict):
        return {k: normalised(v, k) for k, v in told.items()}
    if isinstance(told, list):
        if len(told) == 2 and told[0] == "date":
            return ["date", "*"]
        return [normalised(v, key) for v in told]
    if key in ("created", "created_at", "completed_at") and isinstance(told, (int, float)):
        return "*"
    if isinstance(told, str):
        for pattern in (ID, UUID, AI_ID):
            told = pattern.sub("*", told)
    return told


@pytest.mark.parametrize("script", ["openai", "anthropic", "ai"])
def test_the_same_straight_and_through(script, limpid, folder):
    ends = [nodejs.Aimock(folder / f"aimock-{side}.log") for side in ("straight", "through")]
    try:
        through = limpid(ends[1].url)
        straight = nodejs.run(f"{script}.mjs", ends[0].url, log=folder / "straight.log")
        relayed = nodejs.run(f"{script}.mjs", through.data, log=folder / "through.log")
    finally:
        for end in ends:
            end.end()
    (folder / "straight.json").write_text(json.dumps(straight, indent=1, ensure_ascii=False))
    (folder / "through.json").write_text(json.dumps(relayed, indent=1, ensure_ascii=False))
    refused = straight.pop(REFUSED, None), relayed.pop(REFUSED, None)
    different = [case for case in straight if normalised(relayed[case]) != normalised(straight[case])]
    assert list(relayed) == list(straight) and not different, "\n".join(
        f"{c}:\n  straight {normalised(straight[c])}\n  through  {normalised(relayed[c])}" for c in different)  # fmt: skip

    # The comparison would hold for two runs that failed alike.
    threw = {case for case, what in straight.items() if "error" in what}
    assert all(case.startswith(("error-", "chaos-", "truncated-", "files-refused")) for case in threw), threw
    assert len(straight) > 25 and len(threw) < len(straight) / 2
    assert {r["outcome"]["category"] for r in through.all_records()} > {"ok", "cancelled"}
    if script != "ai":
        assert refused[0]["error"]["class"] == "APIConnectionError"
        assert (refused[1]["error"]["class"], refused[1]["error"]["status"]) == ("InternalServerError", 502)
        assert "limpid_" in json.dumps(refused[1]["error"])
