#!/usr/bin/env bash
# `make soak`: the simulation with many more seeds than `make test` has time for. SEEDS says how many,
# FIRST_SEED where to begin (the clock by default, so that each soak sees new ones).
set -euo pipefail
cd "$(dirname "$0")/.."

export CODIS_SIM_SEEDS=${SEEDS:-1000000}
export CODIS_SIM_FIRST_SEED=${FIRST_SEED:-$(date +%s%N)}
echo "seeds $CODIS_SIM_FIRST_SEED and the $CODIS_SIM_SEEDS from there"
exec cargo test --locked --release -p codis-proxy --test simulation -- --nocapture
