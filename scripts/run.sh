#!/usr/bin/env bash
# `make run`: two Redis servers and a proxy with a member of the metadata group inside, until Ctrl-C.
#
# `codis-loadtest cluster` does all of it, in the place of this script: whatever ends it ends everything and leaves
# nothing behind. CODIS_LOADTEST_BINARY names it where it is built, with the other programs beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null # it may be closed, and nothing here reads it

scripts/install.sh redis-server=redis-server redis-cli=redis-tools

program=${CODIS_LOADTEST_BINARY:-}
if [ -z "$program" ]; then
    command -v cargo >/dev/null || {
        echo "error: cargo is not installed; see https://rustup.rs" >&2
        exit 1
    }
    echo "building (the first time takes some minutes)"
    setpriv --pdeathsig TERM -- cargo build --release --locked -p codis-proxy -p codis-meta -p codis-loadtest --bins
    program=${CARGO_TARGET_DIR:-target}/release/codis-loadtest
fi

# A shard for each core, and two are enough to see what more than one does.
shards=$(nproc)
exec "$program" cluster --members 0 --shards $((shards < 2 ? shards : 2)) \
    --proxy-port "${CODIS_RUN_PORT:-19000}" --admin-port "${CODIS_RUN_ADMIN_PORT:-11080}" \
    --member-port "${CODIS_RUN_META_PORT:-18080}"
