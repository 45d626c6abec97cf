#!/usr/bin/env bash
# `make soak`: what `make test` has too little time for.
#
# - The fault run: a metadata group under kills, freezes, cuts and full disks. CODIS_FAULT_SECONDS says for how
#   long (10 minutes), CODIS_FAULT_SEED repeats the choices of an earlier run.
# - The simulations of the proxy and of migration with many more seeds. SEEDS says how many (a million), FIRST_SEED where to begin
#   (the clock by default, so that each soak sees new ones).
#
# - Moves of 500,000 keys there and back under load, with a proxy frozen for 10 s, kills and cuts among it, and of keys with
#   a million elements.
# - `codis-loadtest check` through kills, freezes, cuts, moves and promotions; CODIS_CHECK_SECONDS says for how long (10 minutes).
# - The same against proxies with a planted fault each, which it has to find within a minute.
#
# - Random commands to the proxy and to one Redis, replies compared: CODIS_DIFFERENTIAL_COMMANDS says how many (a million),
#   CODIS_DIFFERENTIAL_SEED repeats a run.
# - The same with other servers behind the proxy: CODIS_TEST_SERVERS names their programs. Without it, nothing is done.
# - Client libraries from their registries, as clients/README.md says.
#
# `scripts/soak.sh faults`, `simulation`, `moves`, `differential`, `servers`, `check`, `planted` or `clients` runs one of them alone.
set -euo pipefail
cd "$(dirname "$0")/.."

faults() {
    scripts/install.sh redis-server=redis-server ip=iproute2
    cargo build --locked --release --workspace --bins
    CODIS_FAULT_SECONDS=${CODIS_FAULT_SECONDS:-600} cargo test --locked --release -p codis-proxy --test faults \
        -- --nocapture
}

simulation() {
    export CODIS_SIM_SEEDS=${SEEDS:-1000000}
    export CODIS_SIM_FIRST_SEED=${FIRST_SEED:-$(date +%s%N)}
    echo "seeds $CODIS_SIM_FIRST_SEED and the $CODIS_SIM_SEEDS from there"
    cargo test --locked --release -p codis-proxy --test simulation --test migration -- --nocapture
}

moves() {
    scripts/install.sh redis-server=redis-server
    cargo build --locked --release --workspace --bins
    CODIS_MOVE_KEYS=${CODIS_MOVE_KEYS:-500000} CODIS_MOVE_FREEZE_SECONDS=10 CODIS_MOVE_ELEMENTS=1000000 \
        cargo test --locked --release -p codis-proxy --test cluster -- --nocapture --test-threads 1 moves::
}

differential() {
    scripts/install.sh redis-server=redis-server
    CODIS_DIFFERENTIAL_COMMANDS=${CODIS_DIFFERENTIAL_COMMANDS:-1000000} \
        cargo test --locked --release -p codis-proxy --test differential -- --nocapture
}

servers() {
    local server
    for server in ${CODIS_TEST_SERVERS:-}; do
        echo "== $("$server" --version)"
        CODIS_TEST_SERVER=$server differential
    done
}

check() {
    scripts/install.sh redis-server=redis-server
    cargo build --locked --release --workspace --bins
    CODIS_CHECK_SECONDS=${CODIS_CHECK_SECONDS:-600} cargo test --locked --release -p codis-loadtest --test program \
        -- --nocapture nothing_is_lost
}

planted() {
    scripts/install.sh redis-server=redis-server
    cargo build --locked --release --workspace --bins
    # In a folder of its own, so that no other run takes this proxy for a good one.
    local folder=${CARGO_TARGET_DIR:-target}/planted
    cargo build --locked --release -p codis-proxy --features planted-faults --bin codis-proxy --target-dir "$folder"
    CODIS_PLANTED_PROXY=$(realpath "$folder/release/codis-proxy") cargo test --locked --release -p codis-loadtest \
        --test program -- --nocapture --ignored --test-threads 1 planted::
}

case ${1:-all} in
faults) faults ;;
simulation) simulation ;;
moves) moves ;;
differential) differential ;;
servers) servers ;;
check) check ;;
planted) planted ;;
clients) scripts/clients.sh ;;
all) faults && simulation && moves && differential && servers && check && planted && scripts/clients.sh ;;
*)
    echo "usage: scripts/soak.sh [faults|simulation|moves|differential|servers|check|planted|clients]" >&2
    exit 2
    ;;
esac
