#!/usr/bin/env bash
# Runs client libraries from their registries against a proxy with two groups and two shards, as clients/README.md says:
# clients.sh [HOST:PORT [python|node|rust ...]]
set -euo pipefail
cd "$(dirname "$0")/.."

address=${1:-}
[ $# -gt 0 ] && shift
languages=("$@")
[ $# -eq 0 ] && languages=(python node rust)

scripts/install.sh redis-server=redis-server python3=python3 node=nodejs npm=npm
python3 -c 'import venv, ensurepip' 2>/dev/null || scripts/install.sh python3-venv-is-missing=python3-venv

folder=$(mktemp -d)
cluster=
finish() {
    [ -n "$cluster" ] && kill "$cluster" 2>/dev/null && wait "$cluster" 2>/dev/null
    rm -rf "$folder"
}
trap finish EXIT

if [ -z "$address" ]; then
    cargo build --locked --release --workspace --bins
    bins=${CARGO_TARGET_DIR:-target}/release
    "$bins/codis-loadtest" cluster --groups 2 --shards 2 --json >"$folder/cluster.json" &
    cluster=$!
    for _ in $(seq 600); do
        [ -s "$folder/cluster.json" ] && break
        kill -0 "$cluster" 2>/dev/null || { echo "error: the cluster did not start" >&2 && exit 1; }
        sleep 0.1
    done
    address=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["proxies"][0]["address"])' <"$folder/cluster.json")
fi

python() {
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis
    "$folder/venv/bin/python" clients/python/redis_py.py "$address"
}

node_libraries() {
    cp clients/node/*.mjs "$folder"
    (cd "$folder" && npm install --silent --no-audit --no-fund --no-save ioredis redis &&
        node ioredis.mjs "$address" && node node_redis.mjs "$address")
}

rust() {
    cargo run --quiet --locked --manifest-path clients/rust/Cargo.toml --target-dir "$folder/rust" -- "$address"
}

for language in "${languages[@]}"; do
    case $language in
    python) python ;;
    node) node_libraries ;;
    rust) rust ;;
    *) echo "usage: scripts/clients.sh [HOST:PORT [python|node|rust ...]]" >&2 && exit 2 ;;
    esac
done
