#!/usr/bin/env bash
# `make bench-moves`: what a move of slots costs. The tables go to the terminal and to bench/results/.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server
cargo build --release --locked -p codis-meta -p codis-proxy -p codis-bench
bin=${CARGO_TARGET_DIR:-target}/release
mkdir -p bench/results
"$bin/codis-bench-moves" --meta "$bin/codis-meta" --proxy "$bin/codis-proxy" --admin "$bin/codis-admin" "$@" |
    tee "bench/results/$(date -u +%Y%m%d-%H%M%S)-moves.md"
