#!/usr/bin/env bash
# `make test`: every test of the workspace, and of `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh redis-server=redis-server redis-cli=redis-tools valgrind=valgrind ip=iproute2
command -v cargo >/dev/null || {
    echo "error: cargo is not installed; see https://rustup.rs" >&2
    exit 1
}
# Tests of 10,000 connections need as many files; the tests say so themselves where this is not enough.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

# All at once, and not crate by crate: tests of one run the programs of another, which are built with it.
cargo test --locked --workspace
built=${CARGO_TARGET_DIR:-target}/debug
CODIS_LOADTEST_BINARY=$built/codis-loadtest scripts/test-run.sh
if [ -x bench/instructions.sh ]; then bench/instructions.sh; fi
