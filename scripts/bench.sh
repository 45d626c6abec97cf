#!/usr/bin/env bash
# `make bench`: the comparison with peers, then memory. The tables go to the terminal and to
# bench/results/.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-benchmark=redis-tools nutcracker=nutcracker
cargo build --release --locked -p codis-proxy -p codis-bench
bin=${CARGO_TARGET_DIR:-target}/release
mkdir -p bench/results
stamp=$(date -u +%Y%m%d-%H%M%S)
for part in peers memory; do
    "$bin/codis-bench-$part" --proxy "$bin/codis-proxy" "$@" | tee "bench/results/$stamp-$part.md"
done
